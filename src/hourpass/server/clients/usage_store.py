"""The usage table, where rows of hours become rows of days."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from hourpass.server.db.schema import client, usage

_LOCK = 0x484F_5552_5553_4147
_Row = tuple[str, int, int, datetime | None]


def take_turn(connection: Connection) -> bool:
    """Whether nobody else sums now, until the end of the transaction."""
    if connection.dialect.name == "sqlite":
        return True  # who writes is alone
    taken: bool = connection.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar_one()
    return taken


def next_hour(connection: Connection, after: datetime | None, before: datetime) -> datetime | None:
    """The first hour that any client has a row of, after `after` (None: of all) and `before`."""
    query = select(func.min(usage.c.hour)).where(usage.c.hour < before)
    if after is not None:
        query = query.where(usage.c.hour > after)
    hour: datetime | None = connection.execute(query).scalar_one()
    return hour


def roll_up(connection: Connection, day: datetime, *, limit: int) -> int:
    """Make one row, at `day`, of all that up to `limit` clients have of that day; how many had.

    What is added meanwhile to a row that goes is waited for and summed; what is added after it
    went makes a new row, which is summed another time.
    """
    end = day + timedelta(days=1)
    hour = next_hour(connection, day, end)
    if hour is None:
        return 0
    found = connection.scalars(select(usage.c.client_id).where(usage.c.hour == hour).limit(limit))
    client_ids = list(found)
    # Whoever deletes one of these clients waits, and then removes the day's row as well.
    still_there = select(client.c.client_id).where(client.c.client_id.in_(client_ids))
    connection.execute(
        still_there.order_by(client.c.client_id).with_for_update(read=True, key_share=True)
    )
    # Summed is what this statement removed, and nothing else: so no row counts twice or never.
    gone = connection.execute(
        delete(usage)
        .where(usage.c.client_id.in_(client_ids), usage.c.hour > day, usage.c.hour < end)
        .returning(usage.c.client_id, usage.c.issued, usage.c.refused, usage.c.last_issued_at)
    )
    _add(connection, day, [(row[0], row[1], row[2], row[3]) for row in gone])
    return len(client_ids)


def _add(connection: Connection, day: datetime, rows: Iterable[_Row]) -> None:
    sums: dict[str, tuple[int, int, datetime | None]] = {}
    for client_id, issued, refused, last in rows:
        before = sums.get(client_id, (0, 0, None))
        latest = max(filter(None, (before[2], last)), default=None)
        sums[client_id] = (before[0] + issued, before[1] + refused, latest)
    if not sums:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    new = dialect.insert(usage)
    is_later = or_(
        usage.c.last_issued_at.is_(None), new.excluded.last_issued_at > usage.c.last_issued_at
    )
    add = new.on_conflict_do_update(
        index_elements=[usage.c.client_id, usage.c.hour],
        set_={
            "issued": usage.c.issued + new.excluded.issued,
            "refused": usage.c.refused + new.excluded.refused,
            "last_issued_at": case(
                (is_later, new.excluded.last_issued_at), else_=usage.c.last_issued_at
            ),
        },
    )
    values = [
        {
            "client_id": client_id,
            "hour": day,
            "issued": issued,
            "refused": refused,
            "last_issued_at": last,
        }
        for client_id, (issued, refused, last) in sorted(sums.items())
    ]
    connection.execute(add, values)
