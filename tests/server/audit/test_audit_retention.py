"""Old audit events go, a little at a time, and that they went is on record; nothing else goes."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dated import DatedDatabase
from sqlalchemy import text

from hourpass.server.audit import retention
from hourpass.server.audit.partitions import keep_partitions, month
from hourpass.server.audit.retention import retain
from hourpass.server.audit.upkeep import LATER_S, keep_up
from hourpass.server.db.engine import Dialect
from support.installation import Installation, Server

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def database(installation: Installation) -> DatedDatabase:
    """On either database."""
    return DatedDatabase.of(installation.context.database)


def midnight(moment: datetime) -> datetime:
    """Of its day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def retain_all(database: DatedDatabase, days: int | None) -> int:
    """Until there is no more to do; how often it was called."""
    for number in range(1, 100):
        if not retain(database, days):
            return number
    raise AssertionError("there is always more")


def test_what_is_older_goes(database: DatedDatabase, installation: Installation) -> None:
    """To the day; the rest stays, with its IDs, and one event says what went."""
    before = midnight(database.clock[0]) - 30 * DAY
    database.write_at([before - 400 * DAY, before - DAY] * 3 + [before - HOUR / 3600])
    database.write_at([before, before + HOUR, database.clock[0]])
    kept = database.issued()[-3:]
    others = [event for event in installation.events() if event["event"] != "token.issued"]

    retain_all(database, 30)

    assert database.issued() == kept
    pruned = installation.events()[-1]
    left = [event for event in installation.events() if event["event"] != "token.issued"]
    assert left == [*others, pruned]
    assert pruned["event"] == "audit.pruned"
    assert pruned["actor"]["type"] == "system"
    assert pruned["detail"] == {"before": before.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "events": 7}


def test_a_day_has_one_event_and_a_day_without_removal_none(
    database: DatedDatabase, installation: Installation
) -> None:
    """However often it is looked; what turns up late for a day that was done goes silently."""
    now = database.clock[0] = midnight(database.clock[0]) + 12 * HOUR
    retain_all(database, 30)
    assert installation.events(event="audit.pruned") == []

    for _ in range(2):
        database.write_at([now - 40 * DAY])
        retain_all(database, 30)
    assert len(installation.events(event="audit.pruned")) == 1

    database.clock[0] = now + DAY
    database.write_at([now - 30 * DAY])
    retain_all(database, 30)
    assert len(installation.events(event="audit.pruned")) == 2
    assert database.issued() == []


def test_without_the_setting_everything_stays(database: DatedDatabase) -> None:
    """It is kept for ever."""
    database.write_at([database.clock[0] - 4000 * DAY])

    assert not retain(database, None)
    assert keep_up(database, None) == LATER_S

    assert len(database.issued()) == 1


def test_many_rows_go_in_many_transactions(
    database: DatedDatabase, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of some rows; one that ends in the middle is gone on with, with one event in all."""
    monkeypatch.setattr(retention, "_MOST", 20)
    monkeypatch.setattr(retention, "_WITHIN_S", 0.0001)
    old = database.clock[0] - 40 * DAY
    database.write_at([old + number * timedelta(seconds=1) for number in range(70)])

    assert retain(database, 30)
    assert len(database.issued()) == 50
    monkeypatch.setattr(retention, "_WITHIN_S", 60)
    assert retain_all(database, 30) == 2

    assert database.issued() == []
    (pruned,) = installation.events(event="audit.pruned")
    assert pruned["detail"]["events"] == 70

    database.clock[0] += DAY
    database.write_at([old + number * timedelta(seconds=1) for number in range(50)])
    retain_all(database, 30)
    assert len(installation.events(event="audit.pruned")) == 2


def test_a_partition_goes_when_all_of_it_is_older(
    postgres_installation: Installation,
) -> None:
    """Not before its last day is; the first partition's rows go one by one until then."""
    database = DatedDatabase.of(postgres_installation.context.database)
    start = month(database.clock[0], 1)
    database.write_at([start - DAY])
    keep_partitions(database)
    for later in range(4):
        database.clock[0] = month(start, later)
        keep_partitions(database)
        database.write_at([database.clock[0] + DAY])
    names = [each.name for each in database.partitions()]

    database.clock[0] = month(start, 1) + 9 * DAY + HOUR  # a month ends ten days before
    retain_all(database, 10)
    assert [each.name for each in database.partitions()] == names[1:]
    assert len(database.issued()) == 4

    database.clock[0] += DAY
    retain_all(database, 10)
    assert [each.name for each in database.partitions()] == names[2:]
    assert len(database.issued()) == 3
    with database.read() as connection:
        assert connection.execute(text(f"SELECT to_regclass('{names[1]}')")).scalar_one() is None
    assert len(postgres_installation.events(event="audit.pruned")) == 2


def test_a_partition_waits_for_who_reads_and_nobody_for_it(
    postgres_installation: Installation,
) -> None:
    """Who reads for long keeps it there; tokens go on; when the reader is done it goes."""
    database = DatedDatabase.of(postgres_installation.context.database)
    database.write_at([database.clock[0]])
    database.clock[0] = month(database.clock[0], 3)
    keep_partitions(database)
    with database.engine.connect() as reading:
        reading.execute(text("SELECT count(*) FROM audit_event"))

        assert not retain(database, 10)

        database.write_at([database.clock[0]])
        assert postgres_installation.events(event="audit.pruned") == []
    retain_all(database, 10)

    assert [moment for _, moment in database.issued()] == [database.clock[0]]


def test_what_an_operator_took_out_is_left_alone(postgres_installation: Installation) -> None:
    """A partition that was detached by hand, to be archived, is nobody's to drop."""
    database = DatedDatabase.of(postgres_installation.context.database)
    database.write_at([database.clock[0]])
    with database.write() as connection:
        connection.execute(text("ALTER TABLE audit_event DETACH PARTITION audit_event_first"))
    database.clock[0] = month(database.clock[0], 5)

    retain_all(database, 1)

    assert database.rows_in("audit_event_first") > 0


def test_a_server_does_it_by_itself(
    new_installation: Callable[..., Installation], tmp_path: Path
) -> None:
    """At its start, with the setting; on PostgreSQL it makes the partitions as well."""
    made = new_installation(tmp_path / "retaining", HOURPASS_AUDIT_RETENTION_DAYS="30")
    database = DatedDatabase.of(made.context.database)
    database.write_at([database.clock[0] - 32 * DAY])
    running = Server(made)
    try:
        deadline = time.monotonic() + 20
        while database.issued() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert database.issued() == []
        assert len(made.events(event="audit.pruned")) == 1
        if database.dialect is Dialect.POSTGRESQL:
            assert len(database.partitions()) == 4
    finally:
        running.stop()
        made.close()
