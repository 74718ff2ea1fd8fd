"""Keys: kept, renewed and rotated without a failed verification and without a flood."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest
from local_issuer import (
    AUDIENCE,
    JWKS,
    METADATA,
    NOW,
    Clock,
    LocalIssuer,
    after,
    document,
    eventually,
    settle,
    status,
)

from hourpass.oauth.errors import InvalidToken
from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.resource_server import KeysUnavailable, Verifier, memory
from hourpass.resource_server.jwks import KeySet

LATER = NOW + 1_000_000


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """An issuer that publishes one key."""
    with LocalIssuer() as issuer:
        yield issuer


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 300),
        ({"Cache_Control": "public"}, 300),
        ({"Cache_Control": "max-age=600"}, 600),
        ({"Cache_Control": "public, MAX-AGE=60, must-revalidate"}, 60),
        ({"Cache_Control": 'max-age="120"'}, 120),
        ({"Cache_Control": "max-age=0"}, 30),
        ({"Cache_Control": "max-age=1"}, 30),
        ({"Cache_Control": "max-age=99999999999999999999"}, 86_400),
        ({"Cache_Control": "max-age=-5"}, 300),
        ({"Cache_Control": "max-age=soon"}, 300),
        ({"Cache_Control": "s-maxage=900"}, 300),
        ({"Cache_Control": "max-age=600", "Age": "500"}, 100),
        ({"Cache_Control": "max-age=600", "Age": "5000"}, 30),
        ({"Cache_Control": "max-age=600", "Age": "old"}, 600),
    ],
)
@pytest.mark.spec("RFC 9111", "4.2", "an answer is fresh for its max-age, less its Age")
def test_keys_are_fresh_for_as_long_as_the_issuer_says(
    issuer: LocalIssuer, headers: dict[str, str], seconds: int
) -> None:
    """Between 30 seconds and a day, 5 minutes where it says nothing."""
    issuer.show(issuer.key, **headers)
    clock = Clock()
    verifier = issuer.verifier(clock)
    verifier.verify(issuer.token(exp=LATER))

    clock.now = NOW + seconds - 1
    verifier.verify(issuer.token(exp=LATER))
    settle()
    assert issuer.jwks_requests == 1

    clock.now = NOW + seconds
    verifier.verify(issuer.token(exp=LATER))
    settle()
    assert issuer.jwks_requests == 2


def test_nobody_waits_for_a_renewal(issuer: LocalIssuer) -> None:
    """While the issuer takes its time, the old keys verify; one request is under way."""
    clock, gate = Clock(), threading.Event()
    verifier = issuer.verifier(clock)
    verifier.verify(issuer.token())
    issuer.scripts[JWKS] = after(gate, issuer.scripts[JWKS])

    clock.now += 301
    began = time.monotonic()
    for number in range(20):
        verifier.verify(issuer.token(jti=str(number)))
    took = time.monotonic() - began
    gate.set()
    settle()

    assert took < 2
    assert issuer.jwks_requests == 2


def test_a_failed_renewal_is_not_repeated_at_once(issuer: LocalIssuer) -> None:
    """Once in ten seconds, for as long as the outage lasts."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    verifier.verify(issuer.token())
    issuer.scripts[JWKS] = status(500)

    clock.now += 301
    verifier.verify(issuer.token())
    settle()
    for _ in range(20):
        clock.now += 0.4
        verifier.verify(issuer.token())
        settle()
    assert issuer.jwks_requests == 2

    clock.now += 2.1
    verifier.verify(issuer.token())
    settle()
    assert issuer.jwks_requests == 3


def test_an_outage_at_the_start_ends_by_itself(issuer: LocalIssuer) -> None:
    """503 at once during the cooldown, good again after it."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    good = issuer.scripts.pop(METADATA)

    for _ in range(5):
        with pytest.raises(KeysUnavailable, match="try again"):
            verifier.verify(issuer.token())
    assert issuer.requests == [METADATA]

    issuer.scripts[METADATA] = good
    clock.now += 10
    verifier.verify(issuer.token())


def test_a_text_that_is_no_token_needs_no_keys(issuer: LocalIssuer) -> None:
    """It is 401 also while the issuer is away, and costs no request."""
    with pytest.raises(InvalidToken):
        issuer.verifier(Clock()).verify("a.b.c")
    assert issuer.requests == []


def test_a_new_key_verifies_with_its_first_token(issuer: LocalIssuer) -> None:
    """An unknown kid is looked for at once, although the keys held are fresh."""
    verifier = issuer.verifier(Clock())
    verifier.verify(issuer.token())
    new = PrivateKey.generate(Algorithm.ES256)
    issuer.show(issuer.key, new)

    assert verifier.verify(issuer.token(new)).key_id == new.kid
    assert verifier.verify(issuer.token()).key_id == issuer.key.kid
    assert issuer.jwks_requests == 2


def test_a_stranger_cannot_make_us_flood_the_issuer(issuer: LocalIssuer) -> None:
    """Any number of unknown kids is one request in ten seconds."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    verifier.verify(issuer.token())

    for number in range(50):
        with pytest.raises(InvalidToken):
            verifier.verify(issuer.token_with_header(kid=f"stranger-{number}"))
    assert issuer.jwks_requests == 2

    clock.now += 10
    with pytest.raises(InvalidToken):
        verifier.verify(issuer.token_with_header(kid="stranger"))
    assert issuer.jwks_requests == 3


def test_an_unknown_key_is_no_verdict_while_the_issuer_is_away(issuer: LocalIssuer) -> None:
    """It may be a new key: 503, while tokens of known keys stay good."""
    verifier = issuer.verifier(Clock())
    verifier.verify(issuer.token())
    issuer.scripts[JWKS] = status(502)

    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            verifier.verify(issuer.token(PrivateKey.generate(Algorithm.ES256)))
    verifier.verify(issuer.token(jti="another"))

    assert issuer.jwks_requests == 2


@pytest.mark.parametrize(("settings", "seconds"), [({}, 86_400), ({"max_stale_s": 60}, 60)])
def test_keys_that_cannot_be_renewed_are_used_for_a_while_and_no_longer(
    issuer: LocalIssuer, settings: dict[str, float], seconds: int
) -> None:
    """Then it is 503, for tokens verified before too, until there are keys again."""
    clock = Clock()
    verifier = issuer.verifier(clock, **settings)
    seen, other = issuer.token(exp=LATER), issuer.token(exp=LATER, jti="another")
    verifier.verify(seen)
    issuer.scripts[JWKS] = status(500)

    clock.now = NOW + 300 + seconds - 1
    verifier.verify(seen)
    settle()
    verifier.verify(issuer.token(exp=LATER, jti="a third"))

    clock.now += 1
    assert verifier.recall(f"Bearer {seen}") is None
    for token in (seen, other):
        with pytest.raises(KeysUnavailable):
            verifier.verify(token)
        with pytest.raises(KeysUnavailable):
            asyncio.run(verifier.verify_async(token))

    issuer.show(issuer.key)
    clock.now += 10
    for token in (seen, other):
        verifier.verify(token)


@pytest.mark.spec("threats", "13", "No decision outlives its reason")
def test_a_key_that_was_withdrawn_while_nobody_asked_opens_nothing(issuer: LocalIssuer) -> None:
    """After a silence longer than keys may be stale, the first token waits for the new ones."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    token = issuer.token(exp=LATER)
    verifier.verify(token)
    issuer.show(PrivateKey.generate(Algorithm.ES256))

    clock.now += 300 + 86_400
    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_a_clock_that_is_set_back_makes_keys_no_better(issuer: LocalIssuer) -> None:
    """Further than keys may be stale: as if it had gone forward."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    token = issuer.token(iat=0)
    verifier.verify(token)
    issuer.scripts[JWKS] = status(500)

    clock.now = NOW - 60 - 86_400
    verifier.verify(token)
    settle()
    clock.now -= 1
    with pytest.raises(KeysUnavailable):
        verifier.verify(token)


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_how_long_keys_may_be_stale_is_a_number_of_seconds(
    issuer: LocalIssuer, seconds: float
) -> None:
    """A fault of the settings is found when the verifier is made."""
    with pytest.raises(ValueError, match="max_stale_s"):
        issuer.verifier(Clock(), max_stale_s=seconds)


@pytest.mark.parametrize("shown", [True, False])
def test_a_withdrawn_key_ends_its_tokens(issuer: LocalIssuer, *, shown: bool) -> None:
    """With the next key set, also for tokens verified before; an empty set is believed."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    token, new = issuer.token(), PrivateKey.generate(Algorithm.ES256)
    verifier.verify(token)
    issuer.show(*([new] if shown else []))

    clock.now += 301
    verifier.verify(token)
    settle()

    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_a_key_that_changed_under_its_name_ends_its_tokens(issuer: LocalIssuer) -> None:
    """What was verified with the old key is verified anew, and fails."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    token = issuer.token()
    verifier.verify(token)
    other = {**PrivateKey.generate(Algorithm.ES256).public_jwk, "kid": issuer.key.kid}
    issuer.scripts[JWKS] = document({"keys": [other]})

    clock.now += 301
    verifier.verify(token)
    settle()

    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_a_clock_that_is_set_back_does_not_freeze_the_keys(issuer: LocalIssuer) -> None:
    """The keys are asked for again instead of staying for as long as the jump was."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    verifier.verify(issuer.token(iat=0))

    clock.now -= 3600
    verifier.verify(issuer.token(iat=0))
    settle()

    assert issuer.jwks_requests == 2


def test_what_another_thread_brought_is_not_fetched_again(issuer: LocalIssuer) -> None:
    """A thread that saw no keys, and asks when they have just arrived, has them."""
    keys = KeySet(issuer.url, None, Algorithm)

    first = keys.fetch(NOW, issuer.key.kid)
    assert first is not None
    first.wait(5)
    settle()

    assert keys.fetch(NOW, issuer.key.kid) is None
    assert keys.current(NOW) is not None


def test_many_threads_share_one_fetch(issuer: LocalIssuer) -> None:
    """Twenty first tokens at once are one request, and all are verified."""
    gate = threading.Event()
    issuer.scripts[JWKS] = after(gate, issuer.scripts[JWKS])
    verifier = issuer.verifier(Clock())
    tokens = [issuer.token(jti=str(number)) for number in range(20)]

    with ThreadPoolExecutor(20) as pool:
        verified = [pool.submit(verifier.verify, token) for token in tokens]
        eventually(lambda: JWKS in issuer.requests)
        gate.set()
        ids = [future.result(10).jti for future in verified]

    assert ids == [str(number) for number in range(20)]
    assert issuer.requests == [METADATA, JWKS]


def test_many_coroutines_share_one_fetch_and_the_loop_runs_on(issuer: LocalIssuer) -> None:
    """A coroutine that is cancelled while it waits takes nothing from the others."""
    asked, gate = threading.Event(), threading.Event()
    good = after(gate, issuer.scripts[JWKS])

    def asked_then_good(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        good(handler)

    issuer.scripts[JWKS] = asked_then_good
    verifier = issuer.verifier(Clock())

    async def scenario() -> list[str]:
        waiting = [
            asyncio.create_task(verifier.verify_async(issuer.token(jti=str(number))))
            for number in range(20)
        ]
        await asyncio.wait_for(asyncio.to_thread(asked.wait), 5)  # needs a loop that runs
        waiting[0].cancel()
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in waiting[1:])
        gate.set()
        return [token.jti for token in await asyncio.gather(*waiting[1:])]

    assert asyncio.run(scenario()) == [str(number) for number in range(1, 20)]
    assert issuer.requests == [METADATA, JWKS]


def test_a_coroutine_gets_the_same_refusals(issuer: LocalIssuer) -> None:
    """One body for both: InvalidToken, KeysUnavailable and what is remembered."""
    verifier, lost = issuer.verifier(Clock()), Verifier("http://127.0.0.1:1", AUDIENCE)
    token = issuer.token()

    with pytest.raises(InvalidToken):
        asyncio.run(verifier.verify_async(issuer.token(aud="x")))
    with pytest.raises(KeysUnavailable):
        asyncio.run(lost.verify_async(token))
    assert asyncio.run(verifier.verify_async(token)) is verifier.verify(token)


def test_a_token_that_expires_while_keys_are_fetched_is_expired(issuer: LocalIssuer) -> None:
    """The time of the verdict counts, not the time of the question."""
    clock = Clock()

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        clock.now = NOW + 3600
        good(handler)

    good = issuer.scripts[JWKS]
    issuer.scripts[JWKS] = slowly

    with pytest.raises(InvalidToken, match="expired"):
        issuer.verifier(clock).verify(issuer.token())


def test_a_token_is_verified_once_and_memory_is_bounded(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict on the least recently used token is forgotten first."""
    monkeypatch.setattr(memory, "MAX_REMEMBERED", 2)
    here = issuer.verifier(Clock())
    one, two, three = (issuer.token(jti=str(number)) for number in range(3))

    first, second = here.verify(one), here.verify(two)
    assert here.verify(one) is first
    here.verify(three)

    assert here.verify(one) is first
    assert here.verify(two) is not second


def test_an_unchanged_key_set_keeps_what_was_verified(issuer: LocalIssuer) -> None:
    """A renewal that brings the same keys costs no second verification."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    token = issuer.token()
    first = verifier.verify(token)

    clock.now += 301
    verifier.verify(token)
    settle()

    assert issuer.jwks_requests == 2
    assert verifier.verify(token) is first
