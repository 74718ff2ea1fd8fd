"""Threat 2, on the wire: what HTTP allows and few clients do, and what no client should."""

import json

import client_states
import pytest
from raw_http import Connection, RawAnswer, form_of, token_head, token_request
from token_answers import token_in

from support.installation import Credentials, Server


@pytest.fixture(scope="module")
def credentials(shared_server: Server) -> Credentials:
    """A client whose credentials are good."""
    return shared_server.installation.create_client("customers:read")


def token_of(answer: RawAnswer) -> str:
    """Assert that this is a token answer; the access token."""
    assert answer.status == 200, answer.body
    token: str = json.loads(answer.body)["access_token"]
    return token


@pytest.mark.spec("RFC 9112", "9.3.2", "pipelined requests are answered in the order received")
def test_pipelined_requests_are_answered_in_order(
    shared_server: Server, credentials: Credentials
) -> None:
    """Good and bad ones in one packet, each with its own answer."""
    good, bad = token_request(credentials), token_head("Content-Length: 1") + b"x"
    with Connection(shared_server) as connection:
        connection.send(good + bad + good + good + bad)
        answers = [connection.answer() for _ in range(5)]

    assert [answer.status for answer in answers] == [200, 400, 200, 200, 400]
    tokens = {token_of(answer) for answer in answers if answer.status == 200}
    assert len(tokens) == 3
    assert len({answer.header("x-request-id") for answer in answers}) == 5


def test_an_oversized_head_behind_a_request_does_not_take_its_answer(
    shared_server: Server, credentials: Credentials
) -> None:
    """While a request waits for its commit, the 431 of what came after would be read as its own."""
    installation = shared_server.installation
    with client_states.audit_held(installation), Connection(shared_server) as connection:
        connection.send(token_request(credentials))
        connection.send_until_closed([b"POST /token?", *[b"x" * 65_536] * 20])
        assert connection.is_closed()


@pytest.mark.spec("RFC 9110", "7.8", "A server MAY ignore a received Upgrade header field.")
@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.2"])
def test_an_upgrade_is_ignored(
    shared_server: Server, credentials: Credentials, protocol: str
) -> None:
    """Java's client asks for h2c with every first request; body and answer stay what they are."""
    lines = (
        *(f"Upgrade: {protocol}", "Connection: Upgrade, HTTP2-Settings"),
        *("HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA", "Sec-WebSocket-Version: 13"),
    )
    with Connection(shared_server) as connection:
        connection.send(token_request(credentials, *lines))
        token_of(connection.answer())
        connection.send(token_request(credentials))
        token_of(connection.answer())


@pytest.mark.spec("RFC 9110", "10.1.1", "100 (Continue) asks for the body that was held back")
def test_a_body_that_waits_for_100_is_asked_for(
    shared_server: Server, credentials: Credentials
) -> None:
    """curl does so for long bodies."""
    body = form_of(credentials)
    with Connection(shared_server) as connection:
        connection.send(token_head("Expect: 100-continue", f"Content-Length: {len(body)}"))
        assert connection.answer().status == 100
        connection.send(body)
        token_of(connection.answer())


def test_http_1_0_is_answered_and_closed(shared_server: Server, credentials: Credentials) -> None:
    """Old proxies and health checkers speak it."""
    with Connection(shared_server) as connection:
        connection.send(token_request(credentials, version="1.0"))
        token_of(connection.answer())
        assert connection.is_closed()


def test_a_body_in_single_octets_is_a_body(shared_server: Server, credentials: Credentials) -> None:
    """Each in a chunk of its own, with a trailer behind them."""
    chunks = b"".join(b"1\r\n%c\r\n" % octet for octet in form_of(credentials))
    head = token_head("Transfer-Encoding: chunked", "Trailer: X-Sum")
    with Connection(shared_server) as connection:
        for _ in range(2):
            connection.send(head + chunks + b"0\r\nX-Sum: 1\r\n\r\n")
            token_of(connection.answer())


@pytest.mark.spec("RFC 9112", "6.3", "a message whose length is in doubt is an attack")
@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
        ("Content-Length: 4", "Content-Length: 5"),
        ("Content-Length: -1",),
        ("Content-Length: 4x",),
        ("Content-Length: 99999999999999999999999",),
        ("Transfer-Encoding: gzip, identity",),
        ("Transfer-Encoding: chunked, gzip",),
        ("X-Nul: a\x00b", "Content-Length: 4"),
        ("X-Space : y", "Content-Length: 4"),
        ("no colon", "Content-Length: 4"),
        ("X-Bare: y\nContent-Length: 4",),
    ],
    ids=lambda lines: repr(lines[0]),
)
def test_a_message_of_doubtful_length_ends_the_connection(
    shared_server: Server, credentials: Credentials, lines: tuple[str, ...]
) -> None:
    """So that nothing behind it can be read as a request of its own."""
    with Connection(shared_server) as connection:
        connection.send_until_closed([token_head(*lines), b"0\r\n\r\n", token_request(credentials)])

        assert connection.answer().status == 400
        assert connection.is_closed()


@pytest.mark.parametrize("target", ["*", "localhost:80", "http://", "//", "/%", "/token%00", "x"])
@pytest.mark.parametrize("method", ["OPTIONS", "CONNECT", "POST", "GET"])
def test_an_odd_target_is_no_fault_of_ours(shared_server: Server, method: str, target: str) -> None:
    """400, 404 or 405, whatever it is; never 500 and never silence."""
    with Connection(shared_server) as connection:
        connection.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.answer().status in (400, 404, 405)


@pytest.mark.parametrize("cut", ["in the head", "before the body", "in the body", "at the end"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_caller_that_goes_away_is_no_fault(
    shared_server: Server, credentials: Credentials, cut: str, *, reset: bool
) -> None:
    """Nothing is logged, nobody else notices."""
    whole = token_request(credentials)
    head = whole.index(b"\r\n\r\n") + 4
    at = {"in the head": 30, "before the body": head, "in the body": head + 9}.get(cut, len(whole))
    log = shared_server.log.read_text()

    for _ in range(10):
        connection = Connection(shared_server)
        connection.send(whole[:at])
        if reset:
            connection.reset()
        connection.close()

    token_in(shared_server.token(credentials))
    assert shared_server.log.read_text() == log
