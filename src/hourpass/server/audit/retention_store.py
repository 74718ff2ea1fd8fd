"""The SQL of removing audit events: the only place that deletes any, but for whole partitions."""

from datetime import datetime

from sqlalchemy import Connection, TableClause, column, delete, func, select, table, text

from hourpass.server.db.columns import Moment
from hourpass.server.db.engine import Dialect


def any_before(connection: Connection, name: str, before: datetime) -> bool:
    """Whether a table (the trail, or one of its partitions) has older events."""
    rows = _table(name)
    query = select(rows.c.time).where(rows.c.time < before).limit(1)
    return connection.execute(query).first() is not None


def count_before(connection: Connection, before: datetime) -> int:
    """How many events are older. It may take a minute, and keeps nobody waiting."""
    if connection.dialect.name == Dialect.POSTGRESQL:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    rows = _table("audit_event")
    query = select(func.count()).select_from(rows).where(rows.c.time < before)
    return int(connection.execute(query).scalar_one())


def delete_some(
    connection: Connection, name: str, before: datetime, *, since: datetime | None, limit: int
) -> datetime | None:
    """Delete about so many of the oldest events; None when those before `before` are gone.

    Else the time at which to go on, as `since`: or PostgreSQL would walk over what was deleted
    and is not vacuumed yet, again and again. Events of one moment go together.
    """
    rows = _table(name)
    old = [rows.c.time < before, *([] if since is None else [rows.c.time >= since])]
    nth = select(rows.c.time).where(*old).order_by(rows.c.time).offset(limit - 1).limit(1)
    last: datetime | None = connection.execute(nth).scalar_one_or_none()
    connection.execute(delete(rows).where(*old, *([] if last is None else [rows.c.time <= last])))
    return last


def _table(name: str) -> TableClause:
    return table(name, column("time", Moment))
