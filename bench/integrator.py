"""The integrator's side: what a token source costs a program, and what it spares the server.

By itself: `python -m bench.integrator`.
"""

import asyncio
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import httpx

from hourpass.client import TokenSource
from hourpass.client.httpx import TokenAuth
from support.token_server import Asked, TokenServer, grant_of

URL = "https://api.example.com/customers"
TASKS = 1_000
CALLS = 10_000
LIFE_S = 6
"""Renewed after 4.8 to 5.4 s, and then not before 9.6 s: in between lies exactly one renewal."""
SPREAD_OVER_S = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """Calls spread over a time in which one token ends."""

    calls: int
    unauthorized: int
    token_requests: int
    slowest_token_ms: float
    """The longest that a call waited for its token, the first one apart."""


def added_us(*, rounds: int = 200, calls: int = 100) -> float:
    """Microseconds that `TokenAuth` with a token in hand adds to a call.

    What httpx runs for authentication is run here without the rest of a call, which takes twenty
    times as long as what is looked for and would drown it: with our auth, less httpx's own that
    does nothing, in turns. The best round of each counts, since the machine has other work too.
    """
    with TokenServer() as server:
        source = server.source()
        source.token()
        ours, nothing = TokenAuth(source), httpx.Auth()
        taken = [(_seconds_of(ours, calls), _seconds_of(nothing, calls)) for _ in range(rounds)]
    best, least = min(one for one, _ in taken), min(other for _, other in taken)
    return (best - least) / calls * 1e6


def cached_token_ns(*, calls: int = 200_000) -> float:
    """Nanoseconds of `token()` with a token in hand."""
    with TokenServer() as server:
        source = server.source()
        source.token()
        began = time.perf_counter()
        for _ in range(calls):
            source.token()
        return (time.perf_counter() - began) / calls * 1e9


def requests_for_a_crowd(*, tasks: int = TASKS) -> int:
    """Token requests that so many tasks make which start at once without a token."""

    async def crowd(source: TokenSource) -> None:
        await asyncio.gather(*(source.token_async() for _ in range(tasks)))

    with TokenServer() as server:
        asyncio.run(crowd(server.source()))
        return server.token_requests


def across_an_expiry(*, calls: int = CALLS) -> Expiry:
    """Calls, evenly in time, to an API that takes each token for `LIFE_S` and no longer."""
    with TokenServer(expires_in=LIFE_S) as server:
        api = _Expiring()
        server.scripts["/token"] = api.grant
        source = server.source()
        source.token()
        slowest = 0.0
        began = time.monotonic()
        with httpx.Client(transport=api, auth=TokenAuth(source), trust_env=False) as client:
            for number in range(calls):
                ahead = began + SPREAD_OVER_S * number / calls - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
                asked = time.perf_counter()
                source.token()
                slowest = max(slowest, time.perf_counter() - asked)
                client.get(URL)
        return Expiry(
            calls=calls,
            unauthorized=api.unauthorized,
            token_requests=server.token_requests,
            slowest_token_ms=slowest * 1e3,
        )


class _Expiring(httpx.BaseTransport):
    """An API and a token endpoint with one clock."""

    def __init__(self) -> None:
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()
        self.unauthorized = 0

    def grant(self, asked: Asked) -> None:
        """The next token; its life begins now."""
        with self._lock:
            token = f"token-{len(self._ends) + 1}"
            self._ends[token] = time.monotonic() + LIFE_S
        asked.answer(200, grant_of(token, LIFE_S))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if time.monotonic() < self._ends.get(token, 0.0):
            return httpx.Response(200)
        self.unauthorized += 1
        challenge = 'Bearer error="invalid_token"'
        return httpx.Response(401, headers={"WWW-Authenticate": challenge})


def _seconds_of(auth: httpx.Auth, calls: int) -> float:
    requests = [httpx.Request("GET", URL) for _ in range(calls)]
    answer = httpx.Response(200)
    began = time.perf_counter()
    for request in requests:
        flow = auth.sync_auth_flow(request)
        next(flow)
        with suppress(StopIteration):
            flow.send(answer)
        flow.close()
    return time.perf_counter() - began


def figures() -> list[str]:
    """A sentence for each."""
    expiry = across_an_expiry()
    return [
        f"httpx auth with a token in hand adds {added_us():.1f} µs to a call (bound: 10)",
        f"`token()` with a token in hand takes {cached_token_ns():.0f} ns",
        (
            f"{TASKS:,} tasks at once without a token make {requests_for_a_crowd()} token request "
            "(bound: 1)"
        ),
        (
            f"{expiry.calls:,} calls across an expiry see {expiry.unauthorized} × 401 (bound: 0) "
            f"and {expiry.token_requests - 1} renewal (bound: 1); the slowest `token()` took "
            f"{expiry.slowest_token_ms:.2f} ms"
        ),
    ]


if __name__ == "__main__":
    for line in figures():
        sys.stdout.write(f"{line}\n")
