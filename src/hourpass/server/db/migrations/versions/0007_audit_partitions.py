"""The audit trail in the order of time, and (PostgreSQL) in monthly partitions.

The table becomes the first partition as it is: no row is copied. What takes long at many rows,
`prepare` does beforehand, beside everybody who writes; the swap itself is a matter of
milliseconds. Statements of the version before work on the new table as on the old one.
"""

import re
import time
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import OperationalError

from hourpass.server.db.engine import Database, Dialect

revision = "0007"
down_revision = "0006"

FIRST = "audit_event_first"
DEFAULT = "audit_event_default"
CHECK = "ck_audit_event_before_"
LOCK_TRIES = 60
LOCK_NOT_AVAILABLE = "55P03"
DEED = "event <> 'token.issued'"
NEW_INDEXES = {
    "client_id_time": (["client_id", "time"], None),
    "organization_time": (["organization", "time"], None),
    "deed": (["event", "time"], DEED),
    "deed_client": (["client_id", "time"], DEED),
    "deed_actor": (["actor_id", "time"], DEED),
}
OLD_INDEXES = ("client_id_id", "deed", "deed_client", "deed_actor")


def prepare(database: Database) -> None:
    """What would keep writers waiting for long in the migration itself; harmless to repeat.

    A check that every row lies before the first partition's end (else the swap would look at
    every row), and the new indexes.
    """
    if database.dialect is not Dialect.POSTGRESQL:
        return
    with database.write() as connection:
        _without_limit(connection)
        if not _is_plain_table(connection):
            return
        name = _with_check(connection)
    with database.write() as connection:
        _without_limit(connection)
        connection.execute(sa.text(f"ALTER TABLE audit_event VALIDATE CONSTRAINT {name}"))
    with database.look() as connection:  # in no transaction: indexes are built beside writers
        connection.execute(sa.text("SET statement_timeout = 0"))
        try:
            for name, (columns, where) in NEW_INDEXES.items():
                _build(connection, f"ix_{FIRST}_{name}", ", ".join(columns), where)
        finally:
            connection.invalidate()  # its statement_timeout is nobody else's


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for name in OLD_INDEXES:
            op.drop_index(f"ix_audit_event_{name}")
        _create_indexes("audit_event")
        return
    _lock(connection, "audit_event")
    until = _end_of_first(connection)
    last = connection.execute(sa.text("SELECT last_value, is_called FROM audit_event_id_seq")).one()
    next_id = last.last_value + 1 if last.is_called else last.last_value
    # Identity on partitioned tables came with PostgreSQL 17: a sequence does the same on all.
    op.execute("ALTER TABLE audit_event ALTER COLUMN id DROP IDENTITY")
    op.execute(f"ALTER TABLE audit_event RENAME TO {FIRST}")
    op.execute(f"ALTER INDEX pk_audit_event RENAME TO pk_{FIRST}")
    op.execute(f"ALTER INDEX ix_audit_event_time RENAME TO ix_{FIRST}_time")
    for name in OLD_INDEXES:
        op.execute(f"DROP INDEX ix_audit_event_{name}")
    for name in NEW_INDEXES:
        if _is_valid(connection, f"ix_{FIRST}_{name}") is False:
            op.execute(f"DROP INDEX ix_{FIRST}_{name}")
    op.execute(f"CREATE SEQUENCE audit_event_id_seq AS bigint START WITH {next_id}")
    # No primary key: it would have to hold the time as well. Each partition has one of its own,
    # and no number is given twice.
    op.execute(f"CREATE TABLE audit_event (LIKE {FIRST}) PARTITION BY RANGE (time)")
    op.execute(
        "ALTER TABLE audit_event ALTER COLUMN id SET DEFAULT nextval('audit_event_id_seq'::regclass)"
    )
    op.execute("ALTER SEQUENCE audit_event_id_seq OWNED BY audit_event.id")
    op.create_index("ix_audit_event_time", "audit_event", ["time"])
    _create_indexes("audit_event")
    op.execute(
        f"ALTER TABLE audit_event ATTACH PARTITION {FIRST} "
        f"FOR VALUES FROM (MINVALUE) TO ('{until:%Y-%m-%d} 00:00:00+00')"
    )
    op.execute(f"CREATE TABLE {DEFAULT} PARTITION OF audit_event DEFAULT")
    op.execute(f"ALTER TABLE {DEFAULT} ADD CONSTRAINT pk_{DEFAULT} PRIMARY KEY (id)")
    for name in _checks(connection, FIRST):  # the partition's bounds say it now
        op.execute(f"ALTER TABLE {FIRST} DROP CONSTRAINT {name}")


def _create_indexes(table: str) -> None:
    for name, (columns, condition) in NEW_INDEXES.items():
        where = None if condition is None else sa.text(condition)
        op.create_index(
            f"ix_{table}_{name}", table, columns, sqlite_where=where, postgresql_where=where
        )


def _build(connection: sa.Connection, name: str, columns: str, condition: str | None) -> None:
    """An index beside writers; one that was left half-made is built anew."""
    if _is_valid(connection, name):
        return
    where = "" if condition is None else f" WHERE {condition}"
    connection.execute(sa.text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
    connection.execute(
        sa.text(f"CREATE INDEX CONCURRENTLY {name} ON audit_event ({columns}){where}")
    )


def _with_check(connection: sa.Connection) -> str:
    """The name of a check that is good for a year: from its date on nothing could be written.

    Whoever leaves the migration unfinished has that long. The first partition ends there.
    """
    until = _months_after(_newest(connection), 13)
    wanted = CHECK + f"{until:%Y_%m_%d}"
    there = _checks(connection, "audit_event")
    if wanted in there:
        return wanted
    _lock(connection, "audit_event")
    for name in there:
        connection.execute(sa.text(f"ALTER TABLE audit_event DROP CONSTRAINT {name}"))
    moment = f"{until:%Y-%m-%d} 00:00:00+00"
    connection.execute(
        sa.text(
            f"ALTER TABLE audit_event ADD CONSTRAINT {wanted} "
            f"CHECK (time < '{moment}'::timestamptz) NOT VALID"
        )
    )
    return wanted


def _end_of_first(connection: sa.Connection) -> datetime:
    """Where the first partition ends; that of the check, which spares a look at every row."""
    for name in _checks(connection, "audit_event"):
        year, month, day = map(int, name.removeprefix(CHECK).split("_"))
        return datetime(year, month, day, tzinfo=UTC)
    return _months_after(_newest(connection), 1)


def _lock(connection: sa.Connection, table: str) -> None:
    """For a moment nobody may use the table. Whoever waits for that lets nobody else pass: so
    wait a little only, let the others pass, and try again."""
    for number in range(LOCK_TRIES):
        try:
            with connection.begin_nested():
                connection.execute(sa.text("SET LOCAL lock_timeout = '300ms'"))
                connection.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
                connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
        except OperationalError as fault:
            if getattr(fault.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if number == LOCK_TRIES - 1:
                raise
            time.sleep(0.7)
        else:
            return


def _is_plain_table(connection: sa.Connection) -> bool:
    query = sa.text("SELECT relkind FROM pg_class WHERE oid = to_regclass('audit_event')")
    return connection.execute(query).scalar_one_or_none() == "r"


def _is_valid(connection: sa.Connection, index: str) -> bool | None:
    """None: there is no such index."""
    query = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:index)")
    return connection.execute(query, {"index": index}).scalar_one_or_none()


def _checks(connection: sa.Connection, table: str) -> list[str]:
    query = sa.text(
        "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:table) AND contype = 'c'"
    )
    names = connection.execute(query, {"table": table}).scalars()
    return [name for name in names if re.fullmatch(CHECK + r"\d{4}_\d\d_\d\d", name)]


def _without_limit(connection: sa.Connection) -> None:
    connection.execute(sa.text("SET LOCAL statement_timeout = 0"))


def _newest(connection: sa.Connection) -> datetime:
    """Now, or the newest row's time where a clock was ahead once."""
    query = sa.text("SELECT greatest(now(), (SELECT max(time) FROM audit_event))")
    moment: datetime = connection.execute(query).scalar_one()
    return moment.astimezone(UTC)


def _months_after(moment: datetime, months: int) -> datetime:
    """The beginning of the month that many months on."""
    number = moment.year * 12 + moment.month - 1 + months
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
