"""One object that always has a token: kept, renewed behind the calls, asked for once."""

import asyncio
import itertools
import logging
import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hourpass.client import (
    BadConfiguration,
    ClientSuspended,
    ServerUnavailable,
    TokenSource,
    WrongCredentials,
)
from hourpass.oauth import basic
from support.token_server import (
    CLIENT_ID,
    METADATA,
    SECRET,
    Asked,
    Clock,
    TokenServer,
    after,
    always,
    eventually,
    grant_of,
    in_turn,
)


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


def settled(source: TokenSource) -> None:
    """Wait for the attempt under way."""
    eventually(lambda: source._flight is None or not source._flight.is_running())


@pytest.mark.spec("RFC 6749", "4.4.2", "grant_type, scope, in a form; the client authenticates")
def test_a_token_is_asked_for_once(server: TokenServer) -> None:
    source = server.source(scope=["b:read", "a:read"], resource="https://api.example.com")

    assert {source.token() for _ in range(5)} == {"token-1"}

    assert server.asked == ["/token"]
    assert server.authorization == [basic.encode(CLIENT_ID, SECRET)]
    (body,) = server.bodies
    assert body == (
        b"grant_type=client_credentials&scope=b%3Aread+a%3Aread"
        b"&resource=https%3A%2F%2Fapi.example.com"
    )


@pytest.mark.spec("RFC 8414", "3", "the token endpoint is found in the issuer's metadata")
def test_the_endpoint_is_found_in_the_issuers_metadata(server: TokenServer) -> None:
    source = server.source(issuer=server.url)

    assert source.token() == "token-1"
    assert server.asked == [METADATA, "/token"]


def test_a_token_is_renewed_behind_the_calls_that_use_it(server: TokenServer) -> None:
    """No call waits: the renewal hangs, and the calls go on with the old token."""
    clock, gate = Clock(), threading.Event()
    source = server.source(clock=clock)
    assert source.token() == "token-1"
    server.scripts["/token"] = after(gate, server.grant)

    clock.now += 3600 * 0.79
    assert source.token() == "token-1"
    assert source._flight is not None
    assert not source._flight.is_running()
    clock.now += 3600 * 0.12
    began = time.monotonic()
    assert {source.token() for _ in range(100)} == {"token-1"}
    assert asyncio.run(source.token_async()) == "token-1"
    assert time.monotonic() - began < 2

    gate.set()
    settled(source)
    assert source.token() == "token-2"
    assert server.token_requests == 2


def test_a_token_is_not_used_up_to_its_end(server: TokenServer) -> None:
    """After a long silence the first call waits for a new one."""
    clock = Clock()
    source = server.source(clock=clock)
    source.token()

    clock.now += 3595

    assert source.token() == "token-2"


def test_a_thousand_tasks_make_one_request(server: TokenServer) -> None:
    source = server.source()

    async def everybody() -> set[str]:
        return set(await asyncio.gather(*(source.token_async() for _ in range(1000))))

    assert asyncio.run(everybody()) == {"token-1"}
    assert server.token_requests == 1


def test_threads_and_tasks_of_several_loops_make_one_request(server: TokenServer) -> None:
    gate = threading.Event()
    server.scripts["/token"] = after(gate, server.grant)
    source = server.source()

    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(source.token) for _ in range(10)]
        waiting += [pool.submit(lambda: asyncio.run(source.token_async())) for _ in range(10)]
        eventually(lambda: server.token_requests == 1)
        time.sleep(0.05)
        gate.set()
        assert {one.result(10) for one in waiting} == {"token-1"}

    assert server.token_requests == 1


def test_a_task_that_is_cancelled_takes_nothing_from_the_others(server: TokenServer) -> None:
    gate = threading.Event()
    server.scripts["/token"] = after(gate, server.grant)
    source = server.source()

    async def one_leaves() -> str:
        leaving, staying = (asyncio.create_task(source.token_async()) for _ in range(2))
        await asyncio.sleep(0.05)
        leaving.cancel()
        await asyncio.sleep(0.05)
        assert leaving.cancelled()
        gate.set()
        return await staying

    assert asyncio.run(one_leaves()) == "token-1"
    assert server.token_requests == 1


def test_a_valid_token_is_served_while_renewals_fail(
    server: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is left alone as long as it says, then asked again; a line in the log says so."""
    clock = Clock()
    source = server.source(clock=clock)
    source.token()
    server.scripts["/token"] = always(503, Retry_After="60")
    clock.now += 3600 * 0.91

    with caplog.at_level(logging.WARNING, "hourpass.client"):
        for _ in range(10):
            assert source.token() == "token-1"
            settled(source)
    assert server.token_requests == 2
    assert "was not renewed" in caplog.text
    assert SECRET not in caplog.text

    clock.now += 70
    server.scripts["/token"] = server.grant
    assert source.token() == "token-1"
    settled(source)
    assert source.token() == "token-2"


@pytest.mark.spec("RFC 9110", "10.2.3", "the client leaves the server alone for that long")
def test_a_server_that_is_away_is_asked_again_after_a_pause(server: TokenServer) -> None:
    """By whoever has no token and has time: 503, 429 with Retry-After, a broken line, a token."""
    times: list[float] = []

    def hang_up(asked: Asked) -> None:
        asked.close_connection = True

    answers = in_turn(
        always(503), always(429, Retry_After="1"), hang_up, lambda asked: server.grant(asked)
    )

    def timed(asked: Asked) -> None:
        times.append(time.monotonic())
        answers(asked)

    server.scripts["/token"] = timed

    assert server.source().token() == "token-1"
    first, second, third = (b - a for a, b in itertools.pairwise(times))
    assert 0.25 <= first < 1
    assert 1 <= second < 2.5
    assert 1 <= third < 3


def test_who_has_no_time_is_told_at_once(server: TokenServer) -> None:
    """Retry-After is longer than the patience; the next caller costs the server nothing."""
    server.scripts["/token"] = always(429, {"error": "rate_limited"}, Retry_After="120")
    source = server.source(patience_s=5)

    for _ in range(3):
        with pytest.raises(ServerUnavailable, match="try again later") as caught:
            source.token()
        assert (caught.value.status, caught.value.retry_after_s) == (429, 120)

    assert server.token_requests == 1


def test_a_refusal_is_raised_to_everybody_and_forgotten_soon(server: TokenServer) -> None:
    """One request for a crowd; an operator's `activate` is seen within moments."""
    clock = Clock()
    refused = {"error": "invalid_client", "reason": "suspended"}
    server.scripts["/token"] = always(401, refused)
    source = server.source(clock=clock)

    async def crowd() -> list[object]:
        waiting = (source.token_async() for _ in range(50))
        return list(await asyncio.gather(*waiting, return_exceptions=True))

    errors = asyncio.run(crowd())
    assert {type(error) for error in errors} == {ClientSuspended}
    assert len(set(map(id, errors))) == 50
    assert server.token_requests == 1

    server.scripts["/token"] = server.grant
    clock.now += 1
    assert source.token() == "token-1"


def test_a_token_that_an_api_refused_is_replaced_once(server: TokenServer) -> None:
    source = server.source()
    first = source.token()

    assert source.reject(first)
    second = source.token()
    assert source.reject(first)  # a slower call with the first token: the second one is there
    assert source.token() == second
    assert not source.reject(second)  # got a moment ago: another would not help
    assert source.token() == second

    assert server.token_requests == 2


def test_the_tokens_own_exp_is_not_looked_at(server: TokenServer) -> None:
    """Clocks differ: only `expires_in` and our own clock count."""
    server.scripts["/token"] = always(200, grant_of("eyJhbGciOiJub25lIn0.eyJleHAiOjF9."))
    source = server.source()

    source.token()
    source.token()

    assert server.token_requests == 1


def test_the_wall_clock_may_be_set(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    source = server.source()
    source.token()
    real = time.time

    monkeypatch.setattr(time, "time", lambda: real() + 1e6)
    assert source.token() == "token-1"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token_url": "ftp://auth.example.com/token"}, "no http or https URL"),
        ({"token_url": "https://user:pw@auth.example.com/token"}, "no http or https URL"),
        ({"token_url": "https://auth.example.com:x/token"}, "no http or https URL"),
        ({"token_url": "http://auth.example.com/token"}, "use https"),
        ({"token_url": "http://127.0.0.1.example.com/token"}, "use https"),
        ({"issuer": "http://auth.example.com"}, "use https"),
        ({"issuer": "localhost:8080"}, "no http or https URL"),
        ({"issuer": None}, "HOURPASS_ISSUER"),
        ({"issuer": "https://a.example", "token_url": "https://a.example/token"}, "one of both"),
        ({"token_url": "https://a.example/token", "scope": "a  b"}, "scope"),
    ],
)
def test_settings_that_can_never_work_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(BadConfiguration, match=words):
        TokenSource(**settings, client_id="m2m_x", client_secret="any", environ={})  # type: ignore[arg-type]  # any setting


def test_plain_http_is_for_this_machine_unless_allowed() -> None:
    known: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": SECRET}
    for url in ("http://localhost:1", "http://127.0.0.2", "http://[::1]:1", "https://a.example"):
        TokenSource(issuer=url, **known)
    TokenSource(issuer="http://auth.internal:8080", allow_http=True, **known)


def test_an_address_that_is_not_told_comes_from_the_environment(server: TokenServer) -> None:
    environ = {
        "HOURPASS_ISSUER": server.url,
        "HOURPASS_CLIENT_ID": CLIENT_ID,
        "HOURPASS_CLIENT_SECRET": SECRET,
    }

    assert TokenSource(environ=environ).token() == "token-1"


def test_an_error_keeps_its_facts_when_it_is_sent_on() -> None:
    """Between processes, or raised to several threads."""
    error = WrongCredentials(error="invalid_client", status=401)

    for copy in (pickle.loads(pickle.dumps(error)), error.again()):
        assert type(copy) is WrongCredentials
        assert (str(copy), copy.error, copy.status) == (str(error), "invalid_client", 401)


def test_no_repr_shows_a_secret(server: TokenServer) -> None:
    source = server.source()

    assert SECRET not in repr(source) + repr(vars(source))
    assert CLIENT_ID in repr(source)


def test_a_forked_process_waits_for_nobody(server: TokenServer) -> None:
    """An attempt of the parent does not live on in the child."""
    source = server.source()
    stranded = threading.Event()
    server.scripts["/token"] = in_turn(after(stranded, server.grant), server.grant)
    threading.Thread(target=source.token, daemon=True).start()
    eventually(lambda: server.token_requests == 1)
    assert source._flight is not None
    flight = source._flight

    class Gone:
        def is_alive(self) -> bool:
            return False

    source._flight = type(flight)(done=flight.done, thread=Gone())  # type: ignore[arg-type]  # all that is asked of it
    assert source.token().startswith("token-")
    assert server.token_requests == 2
    stranded.set()


def test_calls_across_an_expiry_never_meet_a_dead_token(server: TokenServer) -> None:
    """Two lives of a token, a call each hundredth of one: two renewals, and every token good."""
    clock = Clock()
    ends: dict[str, float] = {}

    def grant(asked: Asked) -> None:
        token = f"token-{len(ends) + 1}"
        ends[token] = clock.now + 3600
        asked.answer(200, grant_of(token))

    server.scripts["/token"] = grant
    source = server.source(clock=clock)

    for _ in range(200):
        assert clock.now < ends[source.token()]
        settled(source)
        clock.now += 36

    assert len(ends) == 3
