"""When a token is used, renewed and given up: properties of the state machine."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from hourpass.client import ServerUnavailable, WrongCredentials, renewal
from hourpass.client.answer import MAX_LIFE_S, Granted
from hourpass.client.renewal import Ask, GiveUp, Held, Pause, State, Use

SPREADS = st.floats(0, 1, exclude_max=True)
TIMES = st.floats(0, 1e8)
LIVES = st.integers(1, MAX_LIFE_S)


def held(token: str = "t", life: int = 3600, at: float = 0.0, spread: float = 0.5) -> Held:
    granted = Granted(access_token=token, expires_in=life, scope=None)
    return renewal.hold(granted, asked_at=at, spread=spread)


@given(LIVES, TIMES, SPREADS)
def test_a_token_is_renewed_before_it_is_put_away_before_it_ends(
    life: int, at: float, spread: float
) -> None:
    """In this order, whatever its life; so a busy program never waits for a renewal."""
    token = held(life=life, at=at, spread=spread)

    assert at < token.renew_at < token.usable_until < token.expires_at == at + life
    assert life * 0.79 < token.renew_at - at < life * 0.91
    assert token.expires_at - token.usable_until <= 10.001


@given(LIVES, TIMES, SPREADS, st.floats(-100, 4e6), st.booleans())
def test_no_token_is_used_at_its_end(
    life: int, at: float, spread: float, later: float, failing: bool
) -> None:
    """A failed renewal changes nothing about a token that is still good."""
    token, now = held(life=life, at=at, spread=spread), at + later
    state = renewal.succeeded(State(), token)
    if failing:
        state = renewal.failed(state, ServerUnavailable(), now, spread)

    decision = renewal.decide(state, now, give_up_at=now + 30)

    usable = now < token.usable_until
    assert isinstance(decision, Use) == usable
    if isinstance(decision, Use):
        assert decision.renew == (now >= token.renew_at and not failing)


@given(st.integers(1, 10_000), st.none() | st.floats(0, 300), SPREADS)
@example(10_000, None, 0.0)
def test_a_pause_is_as_long_as_the_server_asks_and_bounded(
    failures: int, retry_after: float | None, spread: float
) -> None:
    """Never shorter than `Retry-After`, never endless, never zero."""
    pause = renewal.pause_s(failures, retry_after, spread)

    assert 0.25 <= pause <= 330
    assert math.isfinite(pause)
    assert pause >= (retry_after or 0)
    assert pause < 30 or failures > 6 or retry_after is not None


@given(st.integers(1, 8), SPREADS)
def test_pauses_grow_and_differ(failures: int, spread: float) -> None:
    """Each may be up to twice the one before; two programs do not come back together."""
    assert renewal.pause_s(failures, None, spread) <= renewal.pause_s(failures + 1, None, spread)
    if spread > 0.1:
        assert renewal.pause_s(failures, None, 0) < renewal.pause_s(failures, None, spread)


def test_an_empty_source_asks() -> None:
    assert renewal.decide(State(), 0.0, give_up_at=30) == Ask()
    assert renewal.decide(State(), 0.0, give_up_at=0) == Ask()


@given(st.integers(1, 20), st.none() | st.floats(0, 300), SPREADS, st.floats(0, 60))
def test_who_waits_pauses_and_asks_again_until_its_time_is_up(
    failures: int, retry_after: float | None, spread: float, patience: float
) -> None:
    """A server that is away is asked again by whoever has time; the others are told at once."""
    state = State(failures=failures - 1)
    error = ServerUnavailable(retry_after_s=retry_after)

    state = renewal.failed(state, error, 100.0, spread)
    decision = renewal.decide(state, 100.0, give_up_at=100.0 + patience)

    if state.quiet_until <= 100.0 + patience:
        assert decision == Pause(state.quiet_until)
        assert renewal.decide(state, state.quiet_until, give_up_at=100.0 + patience) == Ask()
    else:
        assert decision == GiveUp(error)


def test_a_refusal_is_told_at_once_and_not_asked_for_again_and_again() -> None:
    """Nobody waits for what waiting does not change; a later caller may find it changed."""
    error = WrongCredentials()
    state = renewal.failed(State(), error, 100.0, 0.5)

    assert renewal.decide(state, 100.1, give_up_at=1000) == GiveUp(error)
    assert renewal.decide(state, state.quiet_until, give_up_at=1000) == Ask()


def test_a_token_ends_a_row_of_failures() -> None:
    state = renewal.failed(State(), ServerUnavailable(), 100.0, 0.5)

    assert renewal.succeeded(state, held()) == State(held=held())


def test_only_the_token_that_is_held_is_dropped() -> None:
    """Two calls may fail with the same token: the second must not drop the first one's new one."""
    state = renewal.succeeded(State(), held("new"))

    assert renewal.rejected(state, "old", 100.0) is state
    dropped = renewal.rejected(state, "new", 100.0)
    assert (dropped.held, dropped.rejected) == (None, "new")


@given(st.lists(st.floats(0, 4), min_size=1, max_size=50))
def test_an_api_that_refuses_every_token_costs_little(gaps: list[float]) -> None:
    """At most one token is dropped in five seconds, however often it is called."""
    now, dropped, state = 1000.0, 0, State(held=held("0", at=1000.0))
    for number, gap in enumerate(gaps):
        now += gap
        assert state.held is not None
        after = renewal.rejected(state, state.held.access_token, now)
        if after.held is None:
            dropped += 1
            after = renewal.succeeded(after, held(str(number + 1), at=now))
        state = after

    assert dropped <= (now - 1000.0) / 5 + 1


def test_no_repr_shows_a_token() -> None:
    state = renewal.rejected(State(held=held("secret-1")), "secret-1", 0.0)

    assert "secret-1" not in repr(state) + repr(held("secret-1"))
