"""The audit trail's monthly partitions (PostgreSQL): which there must be, and making them.

They are made three months ahead. What fits none of them goes into the DEFAULT partition, so a
partition that is missing never stops a token. Nothing here keeps who writes waiting: a lock that
is not free within 200 ms is given up, and the partition made another time.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from hourpass.server.audit import partition_store as store
from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect
from hourpass.server.db.postgres import lock_was_not_free

MONTHS_AHEAD = 3
_BOUND = re.compile(r"FOR VALUES FROM \((MINVALUE|'[^']+')\) TO \((MAXVALUE|'[^']+')\)")
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """From `since` until before `until`, aware UTC moments."""

    since: datetime
    until: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A table and the times of its rows; the first one's begin with the year 1."""

    name: str
    range: Range


def keep_partitions(database: Database) -> bool:
    """Make what is missing; False when it has to be tried again soon. Nothing to do on SQLite.

    Of several nodes at once one does it. Raises DatabaseUnavailable.
    """
    if database.dialect is not Dialect.POSTGRESQL:
        return True
    while True:
        try:
            made = _make_one(database)
        except DatabaseUnavailable as fault:
            if not lock_was_not_free(fault):
                raise
            _log.info("a partition of the audit trail has to wait: its lock was not free")
            return False
        if made is None:
            return True
        _log.info("made the partition %s of the audit trail", made)


def partitions(connection: Connection) -> list[Partition]:
    """Those with bounds, the oldest first; the DEFAULT partition is not among them."""
    found = [
        Partition(name=name, range=range_)
        for name, bound in store.bounds(connection)
        if (range_ := parsed(bound)) is not None
    ]
    return sorted(found, key=lambda each: each.range.since)


def parsed(bound: str) -> Range | None:
    """A partition's bounds as PostgreSQL writes them; None for DEFAULT."""
    match = _BOUND.fullmatch(bound)
    if match is None:
        return None
    since, until = match.groups()
    return Range(
        since=_FIRST if since == "MINVALUE" else _moment(since),
        until=_LAST if until == "MAXVALUE" else _moment(until),
    )


def missing(there: Sequence[Range], now: datetime) -> Iterator[Range]:
    """What has no partition, month by month, from where partitions begin to three months ahead."""
    end = month(now, MONTHS_AHEAD + 1)
    begin = min([month(now), *(each.until for each in there)])
    while begin < end:
        covering = next((each for each in there if begin in each), None)
        if covering is not None:
            begin = covering.until
            continue
        later = [each.since for each in there if each.since > begin]
        gap = Range(since=begin, until=min([month(begin, 1), *later]))
        yield gap
        begin = gap.until


def month(moment: datetime, later: int = 0) -> datetime:
    """The beginning of a moment's month, or of the one so many months later; UTC."""
    number = moment.year * 12 + moment.month - 1 + later
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _make_one(database: Database) -> str | None:
    """One partition in one transaction; None when there is none to make (here and now)."""
    with database.write() as connection:
        if not store.take_turn(connection):
            return None
        now = database.now(connection)
        gaps = list(missing([each.range for each in partitions(connection)], now))
        busy = any(now in gap for gap in gaps)
        for gap in gaps:
            made = _without_today(gap, now) if now in gap else gap
            if made is None or store.table_exists(connection, _name(made)):
                continue  # what an operator has detached is not made again
            if (
                busy
                and made.until <= now
                and store.default_holds(connection, made.since, made.until)
            ):
                continue  # today's rows go there: nobody waits while others are moved
            # From here on nobody writes into the DEFAULT partition: nothing slips past the move.
            store.lock_default(connection)
            store.make(connection, _name(made), made.since, made.until)
            return _name(made)
        return None


def _without_today(gap: Range, now: datetime) -> Range | None:
    """What of a month can have its partition while today's rows go to the DEFAULT partition.

    Were today's part attached, whoever waits to write a row of today would fail: the row has
    been sent to the DEFAULT partition, which may not take it any more. Tomorrow it is the past.
    """
    since = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Range(since=since, until=gap.until) if since < gap.until else None


def _name(range_: Range) -> str:
    day = "" if range_.since.day == 1 else f"_{range_.since:%d}"
    return f"audit_event_{range_.since:%Y_%m}{day}"


def _moment(quoted: str) -> datetime:
    return datetime.fromisoformat(quoted.strip("'")).astimezone(UTC)
