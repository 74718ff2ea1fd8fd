"""More is asked than can be served: some are told to come again, the others do not wait long."""

import asyncio
import sys
import time
from collections.abc import Iterator

import pytest

from hourpass.oauth.errors import Overloaded
from support import floods
from support.installation import Installation, Server

# A server whose commits take four requests and a tenth of a second, on any machine.
SLOW = """
import time
from hourpass.cli.main import run
from hourpass.server.tokens import commit
from hourpass.server.tokens.commit_postgres import PostgresCommit
from hourpass.server.tokens.commit_sqlite import SqliteCommit

commit.MAX_BATCH = 4
def slowed(real):
    def commits(*arguments):
        time.sleep(0.1)
        return real(*arguments)
    return commits
for kind in (PostgresCommit, SqliteCommit):
    kind.commit = slowed(kind.commit)
run()
"""
AT_ONCE = 160  # four seconds of work


@pytest.fixture
def slow(installation: Installation) -> Iterator[Server]:
    """Such a server."""
    running = Server(installation, program=(sys.executable, "-c", SLOW))
    yield running
    running.stop()


def test_an_overloaded_token_endpoint_sheds_and_goes_on(slow: Server) -> None:
    """503 with `Retry-After` at once for those who would wait too long, tokens for the others."""
    client = slow.installation.create_client("customers:read")
    for _ in range(8):  # what a commit takes is known by those before
        assert slow.token(client).status_code == 200

    async def main() -> list[tuple[bytes, bytes, float]]:
        port = slow.installation.port
        held = [await floods.connect(port, number) for number in range(AT_ONCE)]
        began = time.monotonic()
        for _, writer in held:
            writer.write(floods.token_request(client.client_id, client.secret))

        async def read(reader: asyncio.StreamReader) -> tuple[bytes, bytes, float]:
            head = await reader.readuntil(b"\r\n\r\n")
            took = time.monotonic() - began
            return head.lower(), await reader.readuntil(b"}"), took

        try:
            return await asyncio.gather(*(read(reader) for reader, _ in held))
        finally:
            for _, writer in held:
                writer.close()

    answers = asyncio.run(main())

    served = [took for head, _, took in answers if head.startswith(b"http/1.1 200 ")]
    refused = [(head, body) for head, body, _ in answers if head.startswith(b"http/1.1 503 ")]
    shed = [body for _, body in refused if Overloaded.description.encode() in body]
    assert len(served) + len(refused) == AT_ONCE
    assert len(served) >= 8
    assert len(shed) >= AT_ONCE / 4
    assert all(b"\r\nretry-after: 1\r\n" in head for head, _ in refused)
    assert max(served) < 3.0  # a second's wait, two commits, and a busy machine
    assert slow.token(client).status_code == 200
