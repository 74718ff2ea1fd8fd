"""When the store of the limits is away: requests go on, in time, and one line a minute says so."""

import asyncio
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from hourpass.limits import Limiter, PerMinute, Verdict
from hourpass.limits.shared import problem_with
from support.ports import free_port

RULES = PerMinute(api=3).rules("api", "ann")
Take = Callable[[Limiter], Verdict]


def _in_a_coroutine(limiter: Limiter) -> Verdict:
    return asyncio.run(limiter.take_async(RULES))


TAKES: dict[str, Take] = {
    "thread": lambda limiter: limiter.take(RULES),
    "coroutine": _in_a_coroutine,
}


@pytest.fixture(params=TAKES)
def take(request: pytest.FixtureRequest) -> Take:
    """One call, as a thread or as a coroutine makes it."""
    return TAKES[request.param]


class Clock:
    """Seconds that only a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def a_peer(says: bytes | None) -> Iterator[str]:
    """A server that is no Valkey: says these octets to whatever comes, or (None) nothing at all."""
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            held.append(peer)
            while says and peer.recv(1000):
                peer.sendall(says)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://:hunter2@127.0.0.1:{listener.getsockname()[1]}/0"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for peer in held:
        peer.close()


@contextmanager
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    yield f"redis://:hunter2@127.0.0.1:{free_port()}/0"


AWAY: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "nobody there": nobody,
    "says nothing": lambda: a_peer(None),
    "no Valkey": lambda: a_peer(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "an error": lambda: a_peer(b"-LOADING the data set\r\n"),
    "another answer": lambda: a_peer(b"+OK\r\n"),
    "a wrong shape": lambda: a_peer(b"*2\r\n:1\r\n:1\r\n"),
}


@pytest.mark.parametrize("how", AWAY)
def test_requests_go_on_by_the_memory_of_the_process(
    how: str, take: Take, caplog: pytest.LogCaptureFixture
) -> None:
    """At most half a second late, still limited, one line of warning, no password in it."""
    with AWAY[how]() as url:
        limiter = Limiter(url)
        began = time.monotonic()
        verdicts = [take(limiter) for _ in range(4)]
        took = time.monotonic() - began
        limiter.close()

    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
    assert took < 1.5
    (line,) = caplog.messages
    assert line.startswith("the store of the rate limits is away (")
    assert "hunter2" not in caplog.text


def test_a_name_that_resolves_slowly_keeps_nobody_waiting(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time-out of a socket bounds that; the wait itself does."""
    free = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: free.wait(5) and [])
    limiter = Limiter("redis://slow.example/0")
    began = time.monotonic()
    assert take(limiter).allowed
    assert time.monotonic() - began < 0.9
    free.set()
    limiter.close()


def test_one_request_a_second_looks_and_one_line_a_minute_warns(
    take: Take, caplog: pytest.LogCaptureFixture
) -> None:
    """The others do not wait for a store that is known to be away."""
    clock = Clock()
    with a_peer(None) as url:
        limiter = Limiter(url, clock=clock)
        began = time.monotonic()
        for _ in range(100):
            take(limiter)
        assert time.monotonic() - began < 1.5  # one of them waited
        clock.now = 59.0
        take(limiter)
        assert len(caplog.messages) == 1
        clock.now = 61.0
        take(limiter)
        assert len(caplog.messages) == 2
        limiter.close()


def test_a_store_that_comes_back_is_used_again(
    take: Take, caplog: pytest.LogCaptureFixture
) -> None:
    """From the next look on, and the log says so."""
    caplog.set_level(logging.INFO)
    clock = Clock()
    with nobody() as url:
        limiter = Limiter(url, clock=clock)
        take(limiter)
    port = int(url.rpartition(":")[2].partition("/")[0])
    answer = b"*2\r\n:1\r\n*1\r\n*2\r\n:2\r\n:30000\r\n"

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            while octets := peer.recv(4000):
                peer.sendall(answer if b"EVALSHA" in octets else b"+OK\r\n" * octets.count(b"*"))

    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert take(limiter).used == (2,)  # memory: nobody looks yet
        clock.now = 1.5
        back = take(limiter)
        limiter.close()
        thread.join(5)

    assert (back.used, back.resets_in) == ((2,), (30.0,))
    assert caplog.messages[-1] == "the store of the rate limits is back"


def test_a_limiter_that_was_closed_still_answers() -> None:
    """While the process ends, requests come in yet."""
    with nobody() as url:
        limiter = Limiter(url)
        limiter.close()
        assert limiter.take(RULES).allowed


def test_without_the_package_the_refusal_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An API that counts in memory needs no package."""
    monkeypatch.setitem(sys.modules, "redis", None)
    assert Limiter().take(RULES).allowed
    with pytest.raises(ValueError, match=r"pip install 'hourpass\[limits\]'"):
        Limiter("redis://localhost")


ADDRESSES = [
    *("redis://localhost", "redis://:pw@store.example:6380/3", "rediss://u:p@store.example"),
    *("valkey://localhost/0", "valkeys://localhost?ssl_ca_certs=/etc/ca.pem"),
    *("unix:///run/valkey.sock", "unix://:pw@/run/valkey.sock?db=2", "redis+unix:///run/a.sock"),
    *("valkey+unix:///run/a.sock", "redis://[::1]:6379/0", "rediss://h?ssl_cert_reqs=none"),
]
UNUSABLE = [
    *("", "localhost:6379", "http://localhost", "redis:localhost", "redis://", "redis:///1"),
    *("redis://localhost:0", "redis://localhost:99999", "redis://localhost/hunter2"),
    *("redis://:hunter#2@localhost", "redis://[::1", "unix://hunter2/run", "unix://"),
    *("redis://localhost?hunter2", "redis://localhost?socket_timeout=99", "redis://h?timeout=9"),
    *("redis://localhost?ssl_ca_certs=/a", "rediss://localhost?ssl_cert_reqs=hunter2"),
    *("memcached://localhost", "memory://", "redis+sentinel://localhost", "unix:///a?db=hunter2"),
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_of_a_store(url: str) -> None:
    """All of these can be used; nothing is connected to until the first request."""
    assert problem_with(url) is None
    Limiter(url).close()


@pytest.mark.parametrize("url", UNUSABLE)
def test_what_is_no_address_is_refused_without_being_repeated(url: str) -> None:
    """In one line that says what to give."""
    problem = problem_with(url)
    assert problem is not None
    assert "hunter" not in problem and "\n" not in problem
    with pytest.raises(ValueError, match="the limits' store: "):
        Limiter(url or "x")
