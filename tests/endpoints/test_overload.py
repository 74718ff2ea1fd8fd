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

# A server that is so busy with other callers that each turn of its event loop takes a while.
BUSY = """
import asyncio, time
from hourpass.cli.main import run
from hourpass.server import http_server

class Busy(http_server._Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        def turn():
            time.sleep(0.03)
            loop.call_soon(turn)
        turn()
http_server._Server = Busy
run()
"""
NEW = 300


@pytest.fixture
def busy(sqlite_installation: Installation) -> Iterator[Server]:
    """Such a server."""
    running = Server(sqlite_installation, program=(sys.executable, "-c", BUSY))
    yield running
    running.stop()


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


def test_new_callers_of_a_busy_server_are_let_in_together(busy: Server) -> None:
    """Not one in a turn of the event loop: the last of them would wait for nine seconds."""

    async def main() -> list[int]:
        held = [await floods.connect(busy.installation.port, number) for number in range(NEW)]
        for _, writer in held:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            async with asyncio.timeout(NEW * 0.03 / 2):
                return await asyncio.gather(*(floods.answer(reader) for reader, _ in held))
        finally:
            for _, writer in held:
                writer.close()

    assert asyncio.run(main()) == [200] * NEW
