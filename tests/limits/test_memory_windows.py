"""Windows in the memory of a process: exact, and no more of them than needed."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limit_model import Model, rules_of_a_call

from hourpass.limits import PerMinute, Rule
from hourpass.limits.memory import MemoryWindows


class Clock:
    """Seconds that only a test moves; it begins anywhere, as the machine's does."""

    def __init__(self, now: float = 123_456.75) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def a_rule(limit: int, *key: str) -> Rule:
    """A rule for this key."""
    return Rule(policy="client", per_minute=limit, key=key or ("api", "ann"))


# Quarters of a second, which are exact in binary: the model counts in floats.
_STEPS = st.integers(0, 4 * 150).map(lambda quarters: quarters / 4)


@given(st.lists(st.tuples(_STEPS, rules_of_a_call()), max_size=60))
def test_a_refused_call_is_counted_by_no_rule(calls: list[tuple[float, tuple[Rule, ...]]]) -> None:
    """Any calls by any rules at any times: as the model says, each of them."""
    clock, model = Clock(), Model()
    windows = MemoryWindows(clock)
    begin = clock.now
    for step, rules in calls:
        clock.now += step
        now = clock.now - begin

        verdict = windows.take(rules)

        assert verdict.allowed == model.take(rules, now)
        assert verdict.used == tuple(model.count(rule) for rule in rules)
        assert verdict.resets_in == tuple(model.ends(rule, now) for rule in rules)


def test_a_window_begins_with_its_first_request_and_lasts_a_minute() -> None:
    """The 61st second is another window, whenever the first one began."""
    clock = Clock()
    windows = MemoryWindows(clock)
    clock.now += 17
    assert [windows.take([a_rule(2)]).allowed for _ in range(3)] == [True, True, False]
    clock.now += 59.75
    last = windows.take([a_rule(2)])
    assert not last.allowed
    assert last.retry_after == 1
    clock.now += 0.25
    assert windows.take([a_rule(2)]).used == (1,)


def test_a_changed_limit_counts_at_once() -> None:
    """The window goes on with what it has counted."""
    windows = MemoryWindows(Clock())
    for _ in range(5):
        windows.take([a_rule(5)])
    assert not windows.take([a_rule(5)]).allowed
    assert windows.take([a_rule(6)]).used == (6,)
    lowered = windows.take([a_rule(3)])
    assert not lowered.allowed
    assert '"client";r=0;' in dict(lowered.headers)["ratelimit"]


@pytest.mark.spec("threats", "23", "limiter memory is bounded however many IDs are tried")
def test_windows_that_are_over_are_forgotten() -> None:
    """Only what was counted in the last two minutes is held."""
    clock = Clock()
    windows = MemoryWindows(clock)
    for minute in range(10):
        for number in range(100):
            windows.take([a_rule(9, "api", f"client {minute} {number}")])
        clock.now += 30
    assert len(windows) <= 400
    clock.now += 1000
    windows.take([a_rule(9)])
    assert len(windows) == 1


class _Interrupted(tuple[Rule, ...]):
    """Rules between which other threads have their turn."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Rule]:
        for rule in super().__iter__():
            yield rule
            time.sleep(0)


def test_threads_together_get_the_limit_exactly() -> None:
    """Four threads call 2,000 times; of two rules neither is exceeded, nor given away."""
    windows = MemoryWindows()
    limits = PerMinute(api=900, scopes={"a:read": 700})
    rules = _Interrupted(limits.rules("api", "ann", ["a:read"]))
    passed: list[bool] = []

    def call() -> None:
        passed.extend([windows.take(rules).allowed for _ in range(500)])

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(passed) == 700
    assert windows.take(limits.rules("api", "ann")).used == (701,)


def test_strangers_cannot_make_more_windows_than_there_may_be() -> None:
    """With `most` the older half is forgotten early; the newer ones still count."""
    clock = Clock()
    windows = MemoryWindows(clock, most=100)
    for number in range(1000):
        windows.take([a_rule(1, str(number))])
        assert len(windows) <= 100
    newest = [windows.take([a_rule(1, str(number))]).allowed for number in range(960, 1000)]
    assert newest == [False] * 40
    assert windows.take([a_rule(1, "0")]).allowed
