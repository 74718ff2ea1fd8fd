"""SIGTERM with requests in flight: each is answered, then the server ends with status 0."""

import os
import signal
import socket
import time

import httpx

from support.installation import Credentials, Server

IN_FLIGHT = 20
BODY = b"grant_type=client_credentials"


def test_requests_in_flight_are_answered_before_the_end(server: Server) -> None:
    """Half a request is here when SIGTERM comes; the other half still gets its token."""
    credentials = server.installation.create_client("customers:read")
    assert server.token(credentials).status_code == 200
    assert server.process is not None
    connections = [_half_a_request(server, credentials) for _ in range(IN_FLIGHT)]
    time.sleep(0.2)

    os.killpg(server.process.pid, signal.SIGTERM)
    _until_closed(server)
    for connection in connections:
        connection.sendall(BODY[10:])
    answers = [connection.recv(65536) for connection in connections]

    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * IN_FLIGHT
    assert all(b"connection: close" in answer for answer in answers)
    assert server.process.wait(15) == 0
    issued = server.installation.events(event="token.issued")
    assert len(issued) == IN_FLIGHT + 1
    for connection in connections:
        connection.close()


def test_a_balancer_has_a_moment_to_go_elsewhere(server: Server) -> None:
    """After SIGTERM everybody is served still, but not ready, and answers close connections."""
    credentials = server.installation.create_client("customers:read")
    kept = server.token(credentials)
    assert "connection" not in kept.headers
    assert server.process is not None

    os.killpg(server.process.pid, signal.SIGTERM)
    statuses = []
    while True:
        try:
            ready = httpx.get(f"{server.url}/readyz", trust_env=False)
            answer = server.token(credentials)
        except httpx.TransportError:
            break  # it takes no connections any more
        statuses.append((ready.status_code, answer.status_code))
        if ready.status_code == 503:
            assert answer.headers["connection"] == "close"
        time.sleep(0.05)

    assert {token for _, token in statuses} == {200}
    assert (503, 200) in statuses
    assert server.process.wait(15) == 0


def test_a_second_signal_does_not_wait(server: Server) -> None:
    """Whoever presses Ctrl-C twice means it: a stalled upload does not hold the server."""
    credentials = server.installation.create_client("customers:read")
    assert server.process is not None
    with _half_a_request(server, credentials):
        time.sleep(0.2)
        begun = time.monotonic()
        os.killpg(server.process.pid, signal.SIGINT)
        time.sleep(0.3)
        os.killpg(server.process.pid, signal.SIGINT)

        server.process.wait(15)
        assert time.monotonic() - begun < 5


def _half_a_request(server: Server, credentials: Credentials) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.installation.port), timeout=15)
    head = (
        "POST /token HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {credentials.basic['Authorization']}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    connection.sendall(head.encode() + BODY[:10])
    return connection


def _until_closed(server: Server) -> None:
    """Until the server takes no more connections: it has begun to end."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.installation.port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("the server did not begin to end")
