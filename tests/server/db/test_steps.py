"""The size of the steps in which many rows are worked on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.server.db.steps import Pace


def sizes(pace: Pace, cost_s: float, steps: int = 20) -> list[int]:
    """Of so many steps, where each row takes so long."""
    found = []
    for _ in range(steps):
        found.append(pace.size)
        pace.took(pace.size * cost_s)
    return found


def test_steps_grow_until_they_take_twenty_milliseconds() -> None:
    """From the fewest on, twice as large at most each time; then they stay."""
    found = sizes(Pace(10, 1000), cost_s=0.0001)

    assert found[:5] == [10, 20, 40, 80, 160]
    assert found[5:] == pytest.approx([200] * 15, abs=1)


def test_a_slow_step_is_answered_at_once() -> None:
    """By one that is as much smaller as it was too long."""
    pace = Pace(10, 1000)
    sizes(pace, cost_s=0.0001)
    pace.took(0.1)
    assert pace.size == pytest.approx(40, abs=1)


@given(st.lists(st.floats(0, 1000), max_size=30))
def test_no_step_is_ever_out_of_bounds(seconds: list[float]) -> None:
    """Whatever the clock says."""
    pace = Pace(3, 50)
    for each in seconds:
        pace.took(each)
        assert 3 <= pace.size <= 50
