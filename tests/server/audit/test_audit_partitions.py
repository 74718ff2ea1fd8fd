"""Monthly partitions on PostgreSQL: made ahead, beside everybody, and no token waits for one."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from dated import DatedDatabase
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from hourpass.server.audit import partition_store
from hourpass.server.audit.partition_store import rows_elsewhere as counted
from hourpass.server.audit.partitions import Range, keep_partitions, missing, month, parsed
from hourpass.server.audit.upkeep import keep_up
from hourpass.server.db.engine import DatabaseUnavailable
from support.installation import Installation

DAY = timedelta(days=1)
MOMENTS = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001  (the strategy adds the zone)
    max_value=datetime(2040, 1, 1),  # noqa: DTZ001  (hypothesis adds the zone)
    timezones=st.just(UTC),
)


@pytest.fixture
def database(postgres_installation: Installation) -> DatedDatabase:
    """On PostgreSQL, migrated; only the first and the DEFAULT partition are there."""
    return DatedDatabase.of(postgres_installation.context.database)


@given(now=MOMENTS, taken=st.lists(st.tuples(MOMENTS, st.integers(1, 100)), max_size=5))
def test_what_is_missing_fills_every_gap(now: datetime, taken: list[tuple[datetime, int]]) -> None:
    """No two overlap, none leaves its month, and after them three more months are covered."""
    there: list[Range] = []
    for since, days in sorted(taken):
        if not there or since >= there[-1].until:
            there.append(Range(since=since, until=since + days * DAY))

    made = list(missing(there, now))

    every = sorted([*there, *made], key=lambda each: each.since)
    assert all(a.until <= b.since for a, b in itertools.pairwise(every))
    assert all(gap.since < gap.until <= month(gap.since, 1) for gap in made)
    assert all(any(month(now, later) in each for each in every) for later in range(4))
    assert any(now in each for each in every)
    assert list(missing(every, now)) == []


def test_bounds_are_read_as_postgresql_writes_them() -> None:
    """The first has no beginning, the DEFAULT partition has no bounds."""
    december = datetime(2026, 12, 1, tzinfo=UTC)
    first = parsed("FOR VALUES FROM (MINVALUE) TO ('2026-12-01 00:00:00+00')")
    assert first is not None
    assert (first.since.year, first.until) == (1, december)
    assert parsed(
        "FOR VALUES FROM ('2026-12-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')"
    ) == Range(since=december, until=month(december, 1))
    assert parsed("DEFAULT") is None


def test_three_months_ahead(database: DatedDatabase) -> None:
    """This month lies in the first partition; a month later there is one more."""
    now = database.clock[0]
    (first,) = database.partitions()
    assert first.range.until == month(now, 1)

    assert keep_partitions(database)

    assert [each.range.since for each in database.partitions()[1:]] == [
        month(now, 1),
        month(now, 2),
        month(now, 3),
    ]
    database.clock[0] = month(now, 1)
    assert keep_partitions(database)
    assert database.partitions()[-1].range == Range(since=month(now, 4), until=month(now, 5))
    assert keep_partitions(database)
    assert len(database.partitions()) == 5


def test_a_missing_partition_stops_nothing(database: DatedDatabase) -> None:
    """Its rows are in the DEFAULT partition, seen and counted, and move when it is made."""
    now = database.clock[0]
    moments = [now, month(now, 1), month(now, 2), month(now, 2) + DAY, month(now, 9)]
    database.write_at(moments)
    with database.read() as connection:
        assert counted(connection) == 4
    before = database.issued()
    assert [moment for _, moment in before] == moments

    assert keep_partitions(database)

    with database.read() as connection:
        assert counted(connection) == 1
    assert database.issued() == before
    assert database.rows_in(f"audit_event_{month(now, 2):%Y_%m}") == 2
    assert database.rows_in("audit_event_default") == 1


def test_rows_of_today_are_moved_tomorrow(database: DatedDatabase) -> None:
    """Tomorrow's rows have a partition first; until then those of the past wait too."""
    now = month(database.clock[0], 2) + 10 * DAY  # nobody was here for a while
    past = month(now, -1)
    database.clock[0] = now
    database.write_at([past] * 3 + [now])

    assert keep_partitions(database)

    tomorrow = (now + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    assert database.partitions()[1].range == Range(since=tomorrow, until=month(now, 1))
    assert len(database.partitions()) == 5
    assert database.rows_in("audit_event_default") == 4

    database.clock[0] = now + DAY
    assert keep_partitions(database)
    assert database.rows_in("audit_event_default") == 0
    assert database.rows_in(f"audit_event_{past:%Y_%m}") == 3
    assert database.rows_in(f"audit_event_{now:%Y_%m}") == 1


def test_a_month_that_was_archived_is_not_made_again(database: DatedDatabase) -> None:
    """An operator detached it: later partitions are made all the same."""
    now = database.clock[0]
    assert keep_partitions(database)
    archived = f"audit_event_{month(now, 1):%Y_%m}"
    with database.write() as connection:
        connection.execute(text(f"ALTER TABLE audit_event DETACH PARTITION {archived}"))
    database.clock[0] = month(now, 3)

    assert keep_partitions(database)

    assert [each.range.since for each in database.partitions()[1:]] == [
        month(now, later) for later in (2, 3, 4, 5, 6)
    ]


def test_old_events_go_although_no_partition_can_be_made(
    database: DatedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cannot make a table may well delete rows."""
    now = database.clock[0]
    database.write_at([now - 10 * DAY, now])

    def refuse(*_: object) -> None:
        raise DatabaseUnavailable("permission denied for schema public")

    monkeypatch.setattr(partition_store, "make", refuse)
    with pytest.raises(DatabaseUnavailable):
        keep_up(database, 5)

    assert [moment for _, moment in database.issued()] == [now]


def test_nobody_waits_for_who_reads_for_long(database: DatedDatabase) -> None:
    """The partition is made another time; meanwhile there is writing and reading."""
    with database.engine.connect() as reading:
        reading.execute(text("SELECT count(*) FROM audit_event"))

        assert not keep_partitions(database)

        database.write_at([database.clock[0], month(database.clock[0], 1)])
        assert len(database.issued()) == 2
    assert keep_partitions(database)
    assert database.rows_in("audit_event_default") == 0


def test_of_several_nodes_one_makes_them(database: DatedDatabase) -> None:
    """All at the same moment."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: keep_partitions(database), range(4)))
    assert keep_partitions(database)
    assert len(database.partitions()) == 4


def test_ids_go_on_over_partitions(database: DatedDatabase) -> None:
    """Each is one more than the last, wherever its row is."""
    keep_partitions(database)
    now = database.clock[0]
    database.write_at([month(now, later) for later in (3, 0, 2, 9, 1)])

    numbers = [number for number, _ in database.issued()]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
