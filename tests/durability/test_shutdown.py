"""SIGTERM with requests in flight: each is answered, then the server ends with status 0."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from half_requests import HalfRequest, until_closed

from support.installation import Server
from support.worker_lines import workers

IN_FLIGHT = 20


@pytest.fixture(
    params=[
        ("sqlite", "1"),
        ("postgres", "1"),
        ("postgres", "2"),
    ],
    ids=["SQLite", "PostgreSQL", "two workers"],
)
def ending(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that the test ends."""
    database, count = request.param
    installation = request.getfixturevalue(f"{database}_installation")
    server = Server(installation, HOURPASS_WORKERS=count)
    yield server
    server.stop()


def test_requests_in_flight_are_answered_before_the_end(ending: Server) -> None:
    """Half a request is here when SIGTERM comes; the other half still gets its token."""
    credentials = ending.installation.create_client("customers:read")
    assert ending.token(credentials).status_code == 200
    assert ending.process is not None
    served_by = workers(ending)
    requests = [HalfRequest(ending, credentials) for _ in range(IN_FLIGHT)]
    time.sleep(0.2)

    os.killpg(ending.process.pid, signal.SIGTERM)  # as systemd does: to all of them
    until_closed(ending)
    answers = [request.finish() for request in requests]

    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * IN_FLIGHT
    assert all(b"connection: close" in answer for answer in answers)
    assert ending.process.wait(15) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in served_by)
    issued = ending.installation.events(event="token.issued")
    assert len(issued) == IN_FLIGHT + 1


def test_a_balancer_has_a_moment_to_go_elsewhere(ending: Server) -> None:
    """After SIGTERM everybody is served still, but not ready, and answers close connections."""
    credentials = ending.installation.create_client("customers:read")
    kept = ending.token(credentials)
    assert "connection" not in kept.headers
    assert ending.process is not None

    os.killpg(ending.process.pid, signal.SIGTERM)
    statuses = []
    while True:
        try:
            ready = httpx.get(f"{ending.url}/readyz", trust_env=False)
            answer = ending.token(credentials)
        except httpx.TransportError:
            break  # it takes no connections any more
        statuses.append((ready.status_code, answer.status_code))
        if ready.status_code == 503:
            assert answer.headers["connection"] == "close"
        time.sleep(0.05)

    assert {token for _, token in statuses} == {200}
    assert (503, 200) in statuses
    assert ending.process.wait(15) == 0


def test_a_second_signal_does_not_wait(ending: Server) -> None:
    """Whoever presses Ctrl-C twice means it: a stalled upload does not hold the server."""
    credentials = ending.installation.create_client("customers:read")
    assert ending.process is not None
    stalled = HalfRequest(ending, credentials)
    time.sleep(0.2)
    begun = time.monotonic()
    os.killpg(ending.process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(ending.process.pid, signal.SIGINT)

    ending.process.wait(15)
    assert time.monotonic() - begun < 5
    stalled.close()
