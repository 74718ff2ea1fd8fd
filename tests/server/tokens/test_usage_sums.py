"""Usage: sums per client and hour that leave the process a few at a time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.server.tokens.usage import Sum, UsageSums

NOW = datetime(2026, 2, 24, 12, 59, 59, 999999, tzinfo=UTC)
HOUR = datetime(2026, 2, 24, 12, tzinfo=UTC)
A_MICROSECOND = timedelta(microseconds=1)
Noted = tuple[str, datetime, bool]

NOTES = st.lists(
    st.tuples(
        st.sampled_from(["m2m_a", "m2m_b", "m2m_c"]),
        st.integers(0, 3 * 3600).map(lambda seconds: HOUR + timedelta(seconds=seconds)),
        st.booleans(),
    ),
    max_size=30,
)


def note(sums: UsageSums, noted: list[Noted]) -> None:
    """Each as a token or as a refusal."""
    for client_id, moment, issued in noted:
        (sums.issued if issued else sums.refused)(client_id, moment)


def expected(noted: list[Noted]) -> dict[tuple[str, datetime], Sum]:
    """The sums, counted another way."""
    found: dict[tuple[str, datetime], Sum] = {}
    for client_id, moment, issued in noted:
        hour = datetime(moment.year, moment.month, moment.day, moment.hour, tzinfo=UTC)
        entry = found.setdefault((client_id, hour), Sum())
        entry.issued += issued
        entry.refused += not issued
        entry.last_issued_at = moment if issued else entry.last_issued_at
    return found


def test_an_hour_ends_at_its_last_microsecond() -> None:
    """The next one belongs to the next hour."""
    sums = UsageSums()
    sums.issued("m2m_a", NOW)
    sums.issued("m2m_a", NOW + A_MICROSECOND)
    sums.refused("m2m_a", NOW)

    assert sums.take(10) == [
        (("m2m_a", HOUR), Sum(1, 1, NOW)),
        (("m2m_a", HOUR + timedelta(hours=1)), Sum(1, 0, NOW + A_MICROSECOND)),
    ]


@given(noted=NOTES)
def test_the_sums_are_what_was_noted(noted: list[Noted]) -> None:
    """Per client and hour, with the last token of each."""
    sums = UsageSums()
    note(sums, noted)

    assert len(sums) == len(expected(noted))
    assert dict(sums.take(100)) == expected(noted)
    assert len(sums) == 0
    assert sums.take(100) == []


@given(noted=NOTES, limit=st.integers(1, 5))
@pytest.mark.spec("contract", "HTTP", "last_token_at and usage may lag 10 s")
def test_they_leave_a_few_at_a_time_and_none_twice(noted: list[Noted], limit: int) -> None:
    """Each part sorted, so that two processes that add theirs never lock each other out."""
    sums = UsageSums()
    note(sums, noted)
    parts = []
    while part := sums.take(limit):
        parts.append(part)

    for part in parts:
        assert len(part) <= limit
        assert [key for key, _ in part] == sorted(key for key, _ in part)
    together = [entry for part in parts for entry in part]
    assert len(together) == len(expected(noted))
    assert dict(together) == expected(noted)


@given(first=NOTES, second=NOTES, limit=st.integers(0, 9))
def test_what_is_put_back_adds_up(first: list[Noted], second: list[Noted], limit: int) -> None:
    """A write that failed loses nothing, whatever was noted meanwhile."""
    sums = UsageSums()
    note(sums, sorted(first, key=lambda noted: noted[1]))
    taken = sums.take(limit)
    note(sums, sorted(second, key=lambda noted: noted[1]))

    sums.put_back(taken)

    together = expected(sorted(first, key=lambda noted: noted[1]) + second)
    found = dict(sums.take(100))
    assert {key: (entry.issued, entry.refused) for key, entry in found.items()} == {
        key: (entry.issued, entry.refused) for key, entry in together.items()
    }
    for key, entry in found.items():
        assert (entry.last_issued_at is None) == (together[key].last_issued_at is None)


def test_what_is_put_back_does_not_turn_the_last_token_back() -> None:
    """The newer moment stays; a refusal meanwhile does not hide the older one."""
    sums = UsageSums()
    sums.issued("m2m_a", NOW - timedelta(minutes=5))
    taken = sums.take(1)
    sums.issued("m2m_a", NOW)
    sums.put_back(taken)
    assert sums.take(1) == [(("m2m_a", HOUR), Sum(2, 0, NOW))]

    sums.refused("m2m_a", NOW)
    sums.put_back([(("m2m_a", HOUR), Sum(1, 0, NOW))])
    assert sums.take(1) == [(("m2m_a", HOUR), Sum(1, 1, NOW))]
