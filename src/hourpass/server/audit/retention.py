"""How long audit events are kept: removing what is older, a little at a time.

On PostgreSQL a partition goes as a whole, once all of it is older; of the first partition and of
the DEFAULT partition, whose rows may be of any time, and on SQLite rows are deleted in small steps.
Each cut-off day gets one `audit.pruned` event, in the transaction of its first step.
"""

import logging
import time
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hourpass.server.audit import partition_store, retention_store, store
from hourpass.server.audit.events import SYSTEM, AuditEvent, Event, Origin, rfc3339
from hourpass.server.audit.partitions import partitions
from hourpass.server.audit.store import EventFilter
from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect
from hourpass.server.db.postgres import lock_was_not_free
from hourpass.server.db.steps import Pace

_WITHIN_S = 0.5
_FEWEST, _MOST = 20, 5000  # rows in a step
_log = logging.getLogger(__name__)


def retain(database: Database, days: int | None) -> bool:
    """Remove events older than so many days, for about half a second; True: there is more.

    A day is removed as a whole, after its last moment (UTC) is old enough; None keeps all. Of
    several nodes at once one does it. Raises DatabaseUnavailable.
    """
    if days is None:
        return False
    with database.read() as connection:
        today = database.now(connection).replace(hour=0, minute=0, second=0, microsecond=0)
        before = today - timedelta(days=days)
        tables = _with_old_rows(database, connection, before)
        expired = _expired(database, connection, before)
        dropped = _detached(database, connection)
    try:
        if dropped:
            return _drop(database, dropped[0])
        if expired:
            return _detach(database, expired[0], before)
        return bool(tables) and _delete(database, tables[0], before)
    except DatabaseUnavailable as fault:
        if not lock_was_not_free(fault):
            raise
        _log.info("old audit events have to wait: a lock was not free")
        return False


def _with_old_rows(database: Database, connection: Connection, before: datetime) -> list[str]:
    """The tables of which single rows are deleted, where they have any to delete."""
    if database.dialect is Dialect.SQLITE:
        tables = ["audit_event"]
    else:
        mixed = [each for each in partitions(connection) if each.range.since.year == 1]
        tables = [each.name for each in mixed if each.range.until > before]
        tables.append(partition_store.DEFAULT)
    return [name for name in tables if retention_store.any_before(connection, name, before)]


def _expired(database: Database, connection: Connection, before: datetime) -> list[str]:
    if database.dialect is Dialect.SQLITE:
        return []
    return [each.name for each in partitions(connection) if each.range.until <= before]


def _detached(database: Database, connection: Connection) -> list[str]:
    return [] if database.dialect is Dialect.SQLITE else partition_store.detached(connection)


def _drop(database: Database, name: str) -> bool:
    with database.write() as connection:
        if not partition_store.take_turn(connection):
            return False
        partition_store.drop(connection, name)
    _log.info("dropped the partition %s of the audit trail", name)
    return True


def _detach(database: Database, name: str, before: datetime) -> bool:
    rows = _count(database, before)
    with database.write() as connection:
        if not partition_store.take_turn(connection):
            return False
        partition_store.detach(connection, name)
        _announce(database, connection, before, rows)
    return True


def _delete(database: Database, table: str, before: datetime) -> bool:
    """Step by step: each as large as its time allows, and a pause for others after each."""
    rows, pace, since = _count(database, before), Pace(_FEWEST, _MOST), None
    end = time.monotonic() + _WITHIN_S
    while time.monotonic() < end:
        with database.write() as connection:
            if database.dialect is Dialect.POSTGRESQL and not partition_store.take_turn(connection):
                return False
            begin = time.monotonic()
            since = retention_store.delete_some(
                connection, table, before, since=since, limit=pace.size
            )
            _announce(database, connection, before, rows)
        if since is None:
            break
        took = time.monotonic() - begin
        pace.took(took)
        time.sleep(took)
    return True


def _count(database: Database, before: datetime) -> int | None:
    """How many events are to go; None when that was counted and announced already."""
    with database.read() as connection:
        if _is_announced(connection, before):
            return None
        return retention_store.count_before(connection, before)


def _announce(
    database: Database, connection: Connection, before: datetime, rows: int | None
) -> None:
    if rows is None or _is_announced(connection, before):
        return
    event = AuditEvent(
        event=Event.AUDIT_PRUNED,
        origin=Origin(actor=SYSTEM),
        detail={"before": rfc3339(before), "events": rows},
    )
    store.record(connection, [event], database.now(connection))


def _is_announced(connection: Connection, before: datetime) -> bool:
    last = store.page(connection, EventFilter(event=Event.AUDIT_PRUNED), limit=1)
    return bool(last) and str(last[0].detail.get("before", "")) >= rfc3339(before)
