"""Very many connections that ask for nothing: the next caller is answered all the same."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from raw_http import Connection, form_of, token_head, token_request

from support.installation import Installation, Server

FILES, IDLE = 400, 900  # a third of each kind, and that is more than there is room for


@pytest.fixture
def server(sqlite_installation: Installation) -> Iterator[Server]:
    """It may have few files, and begins with fewer. The database has no part in it."""
    running = Server(sqlite_installation, "prlimit", f"--nofile=200:{FILES}")
    yield running
    running.stop()


def files_open(server: Server) -> int:
    """How many the serving process has."""
    assert server.process is not None
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


@pytest.mark.spec("threats", "23", "slow and idle connections do not starve the rest")
def test_idle_connections_make_room(server: Server) -> None:
    """More than there are files: silent, with half a head or body, or kept after an answer."""
    credentials = server.installation.create_client("customers:read")
    half = b"POST /token HTTP/1.1\r\nHost: x\r\n"
    half_body = token_head(f"Content-Length: {len(form_of(credentials))}") + b"grant_type="
    used = Connection(server)
    used.send(token_request(credentials))
    assert used.answer().status == 200
    with ExitStack() as held:
        for number in range(IDLE):
            silent = socket.create_connection(("127.0.0.1", server.installation.port), 10)
            held.enter_context(silent)
            if number % 3:
                silent.sendall((half, half_body)[number % 3 - 1])
            if number % 100 == 0:
                assert server.token(credentials).status_code == 200
        for _ in range(5):  # each over a connection of its own
            with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as http:
                form = {"grant_type": "client_credentials"}
                answer = http.post("/token", data=form, headers=credentials.basic)
                assert answer.status_code == 200
        assert files_open(server) <= FILES - 64
        used.send(token_request(credentials))
        assert used.answer().status == 200, "one that was used goes after all that never were"
    used.close()
    assert server.process is not None
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    assert line.split()[3:5] == [str(FILES), str(FILES)]
    assert "Traceback" not in server.log.read_text()
