"""The geometry of charts: what stands where, and how high."""

from datetime import UTC, datetime, timedelta

import pytest

from hourpass.server.admin import chart
from hourpass.server.clients.usage import Period

FIRST = datetime(2026, 11, 24, 0, tzinfo=UTC)


def _periods(*numbers: tuple[int, int], length: timedelta = timedelta(hours=1)) -> list[Period]:
    return [
        Period(begins_at=FIRST + place * length, issued=issued, refused=refused)
        for place, (issued, refused) in enumerate(numbers)
    ]


def test_refusals_stand_on_what_was_issued() -> None:
    """Each as high as its number, in its own place, inside the picture."""
    drawn = chart.of(_periods((30, 10), (0, 0), (20, 0), (0, 5)))

    assert drawn.top == 40
    both, none, issued, refused = drawn.bars
    assert both.issued is not None and both.refused is not None
    assert (both.issued.y, both.issued.height) == (25, 75)
    assert (both.refused.y, both.refused.height) == (0, 25)
    assert none.issued is None and none.refused is None
    assert issued.issued is not None and issued.issued.height == 50
    assert refused.refused is not None and refused.refused.y + refused.refused.height == 100
    for place, bar in enumerate(drawn.bars):
        assert bar.slot.x == place * 250
        for box in (bar.issued, bar.refused):
            assert box is None or bar.slot.x < box.x < box.x + box.width < bar.slot.x + 250
    assert (drawn.issued, drawn.refused) == (50, 15)


def test_one_refusal_among_many_tokens_can_be_seen() -> None:
    """And nothing sticks out of the picture for it."""
    (bar,) = chart.of(_periods((9_999, 1))).bars

    assert bar.issued is not None and bar.refused is not None
    assert bar.refused.height > 0
    assert bar.refused.y >= 0


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 2), (1, 2), (3, 4), (9, 10), (10, 10), (11, 20), (41, 60), (1_001, 2_000)],
)
def test_the_upper_edge_is_a_number_that_is_easy_to_halve(most: int, top: int) -> None:
    """Never less than the highest bar, never an odd one."""
    assert chart.of(_periods((most, 0))).top == top


def test_the_first_the_middle_and_the_last_period_are_named() -> None:
    """Hours by the clock, days by the date."""
    day = chart.of(_periods(*[(1, 0)] * 24))
    month = chart.of(_periods(*[(1, 0)] * 30, length=timedelta(days=1)))

    assert [mark.hour for mark in day.marks] == [0, 12, 23]
    assert (day.is_daily, month.is_daily) == (False, True)


def test_nothing_is_a_chart_as_well() -> None:
    """Without periods there is nothing to name and nothing to draw."""
    drawn = chart.of([])

    assert (drawn.bars, drawn.marks, drawn.top) == ((), (), 2)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (950, "950"), (1_500, "1.5k"), (20_000, "20k"), (4_000_000, "4M")],
)
def test_numbers_beside_a_chart_are_short(number: int, words: str) -> None:
    """They have to fit."""
    assert chart.short(number) == words
