"""Slow callers hold nothing for long. All of them wait together: one test, ten seconds."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_http import Connection, form_of, token_head

from support.installation import Installation, Server
from support.token_server import eventually

WAIT_S = 10.0
PAGE = b"GET /admin/static/hourpass.css HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def server(sqlite_installation: Installation) -> Iterator[Server]:
    """One is enough: the database has no part in it."""
    running = Server(sqlite_installation)
    yield running
    running.stop()


@pytest.mark.spec("threats", "23", "slow and idle connections do not starve the rest")
def test_whoever_dawdles_is_shown_out_after_ten_seconds(server: Server) -> None:
    """Silent, slow in the head, slow in the body, not done after the answer, or reading none."""
    credentials = server.installation.create_client("customers:read")
    length = f"Content-Length: {len(form_of(credentials))}"
    silent, slow_head, slow_body, answered = (Connection(server, 14) for _ in range(4))
    unread = socket.socket()
    unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    unread.connect(("127.0.0.1", server.installation.port))
    began = time.monotonic()

    unread.sendall(PAGE * 300)
    slow_head.send(b"POST /token HTTP/1.1\r\n")
    slow_body.send(token_head(length))
    answered.send(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    assert answered.answer().status == 404
    assert is_held(unread)
    while time.monotonic() < began + WAIT_S - 1:
        slow_head.send(b"X")
        slow_body.send(b"&")
        answered.send(b"x")
        assert server.token(credentials).status_code == 200
        time.sleep(0.5)

    late = slow_body.answer()
    assert late.status == 408
    assert late.header("content-type") == "application/json"
    assert late.header("connection") == "close"
    assert b'"error":"invalid_request"' in late.body
    assert all(connection.is_closed() for connection in (silent, slow_head, answered))
    assert WAIT_S - 0.5 < time.monotonic() - began < WAIT_S + 2
    for connection in (silent, slow_head, slow_body, answered):
        connection.close()
    eventually(lambda: not is_held(unread))  # it came to the pages a little later
    unread.close()
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def is_held(caller: socket.socket) -> bool:
    """Whether the server still has its end of a connection open."""
    ours, theirs = (
        f":{address[1]:04X}" for address in (caller.getpeername(), caller.getsockname())
    )
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    ends = [row for row in rows if row[1].endswith(ours) and row[2].endswith(theirs)]
    return any(row[9] != "0" for row in ends)  # the inode: the kernel's own rest has none
