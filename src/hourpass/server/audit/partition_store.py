"""The SQL of the audit trail's partitions: PostgreSQL only, but for counting.

Which locks: ATTACH needs SHARE UPDATE EXCLUSIVE on the table, beside which everybody reads and
writes, and ACCESS EXCLUSIVE on the DEFAULT partition, which is empty and which no token's row
meets while there is a partition for it. DETACH needs ACCESS EXCLUSIVE on the table itself, so
tokens queue behind it: it may wait 200 ms for that and no longer (DETACH CONCURRENTLY is refused
where there is a DEFAULT partition).
"""

from datetime import datetime

from sqlalchemy import Connection, text

from hourpass.server.db.engine import Dialect

DEFAULT = "audit_event_default"
_TURN = 4_865_717_180  # any number: what counts is that every Hourpass takes the same lock
_COUNTED = 100_000
_EXPIRED = "Hourpass: older than HOURPASS_AUDIT_RETENTION_DAYS; will be dropped"


def take_turn(connection: Connection) -> bool:
    """Be the only one at the partitions until the transaction ends; False: another is.

    Its statements may last, but wait for no lock longer than 200 ms.
    """
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = '200ms'"))
    query = text("SELECT pg_try_advisory_xact_lock(:turn)")
    return bool(connection.execute(query, {"turn": _TURN}).scalar_one())


def bounds(connection: Connection) -> list[tuple[str, str]]:
    """Name and bounds, as PostgreSQL writes them, of each partition."""
    query = text(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
        "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_event'::regclass"
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def lock_default(connection: Connection) -> None:
    """Let nobody read or write the DEFAULT partition until the transaction ends."""
    connection.execute(text(f"LOCK TABLE {DEFAULT} IN ACCESS EXCLUSIVE MODE"))


def default_holds(connection: Connection, since: datetime, until: datetime) -> bool:
    """Whether rows of a range lie in the DEFAULT partition."""
    query = text(
        f"SELECT 1 FROM {DEFAULT} WHERE time >= :since AND time < :until LIMIT 1"  # noqa: S608  (names of ours)
    )
    found = connection.execute(query, {"since": since, "until": until})
    return found.first() is not None


def table_exists(connection: Connection, name: str) -> bool:
    """Whether there is such a table, a partition or not."""
    query = text("SELECT to_regclass(:name) IS NOT NULL")
    return bool(connection.execute(query, {"name": name}).scalar_one())


def make(connection: Connection, name: str, since: datetime, until: datetime) -> None:
    """A partition for a range, with what lies in the DEFAULT partition for it."""
    connection.execute(text(f"CREATE TABLE {name} (LIKE audit_event INCLUDING DEFAULTS)"))
    connection.execute(
        text(
            f"WITH moved AS (DELETE FROM {DEFAULT} WHERE time >= :since AND time < :until "  # noqa: S608  (names of ours)
            f"RETURNING *) INSERT INTO {name} SELECT * FROM moved"
        ),
        {"since": since, "until": until},
    )
    attach(connection, name, since, until)


def attach(connection: Connection, name: str, since: datetime, until: datetime) -> None:
    """Make a table of the same columns a partition; its indexes are made by that."""
    connection.execute(text(f"ALTER TABLE {name} ADD CONSTRAINT pk_{name} PRIMARY KEY (id)"))
    connection.execute(
        text(
            f"ALTER TABLE audit_event ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{since.isoformat()}') TO ('{until.isoformat()}')"
        )
    )


def rows_elsewhere(connection: Connection) -> int:
    """Rows in the DEFAULT partition, counted to 100,000; 0 when all is well, and on SQLite."""
    if connection.dialect.name != Dialect.POSTGRESQL:
        return 0
    query = text(
        f"SELECT count(*) FROM (SELECT 1 FROM {DEFAULT} LIMIT {_COUNTED}) AS counted"  # noqa: S608  (names of ours)
    )
    return int(connection.execute(query).scalar_one())


def detach(connection: Connection, name: str) -> None:
    """Take a partition out, and mark it: what an operator took out is not ours to drop."""
    connection.execute(text(f"ALTER TABLE audit_event DETACH PARTITION {name}"))
    connection.execute(text(f"COMMENT ON TABLE {name} IS '{_EXPIRED}'"))


def detached(connection: Connection) -> list[str]:
    """Tables that were taken out to be dropped."""
    query = text(
        "SELECT c.relname FROM pg_class c JOIN pg_description d "
        "ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0 "
        "WHERE d.description = :mark AND NOT c.relispartition AND c.relkind = 'r' "
        "AND pg_table_is_visible(c.oid) AND c.relname LIKE 'audit\\_event\\_%'"
    )
    return list(connection.execute(query, {"mark": _EXPIRED}).scalars())


def drop(connection: Connection, name: str) -> None:
    """Delete a table that is no partition any more; nobody else uses it."""
    connection.execute(text(f"DROP TABLE {name}"))
