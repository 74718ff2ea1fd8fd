"""Slow callers hold nothing for long. All of them wait together: one test, ten seconds."""

import time
from collections.abc import Iterator

import pytest
from raw_http import Connection, form_of, token_head

from support.installation import Installation, Server

WAIT_S = 10.0


@pytest.fixture
def server(sqlite_installation: Installation) -> Iterator[Server]:
    """One is enough: the database has no part in it."""
    running = Server(sqlite_installation)
    yield running
    running.stop()


@pytest.mark.spec("threats", "23", "slow and idle connections do not starve the rest")
def test_whoever_dawdles_is_shown_out_after_ten_seconds(server: Server) -> None:
    """Silent, slow in the head, slow in the body, or not done after the answer."""
    credentials = server.installation.create_client("customers:read")
    length = f"Content-Length: {len(form_of(credentials))}"
    silent, slow_head, slow_body, answered = (Connection(server, 14) for _ in range(4))
    began = time.monotonic()

    slow_head.send(b"POST /token HTTP/1.1\r\n")
    slow_body.send(token_head(length))
    answered.send(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    assert answered.answer().status == 404
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
    assert server.stop() == 0
