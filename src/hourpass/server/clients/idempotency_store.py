"""The idempotency_key table."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from hourpass.server.db.schema import idempotency_key as table


def take_turn(connection: Connection, lock: int) -> bool:
    """Whether nobody else works on the same key now; on SQLite the write lock says so."""
    if connection.dialect.name == "sqlite":
        return True
    taken: bool = connection.execute(select(func.pg_try_advisory_xact_lock(lock))).scalar_one()
    return taken


def get(
    connection: Connection, caller: str, route: str, key: str
) -> tuple[bytes, str, datetime] | None:
    """Digest of the request, client ID and time of the deed that was done under the key."""
    row = connection.execute(
        select(table.c.request, table.c.client_id, table.c.created_at).where(
            *_is(caller, route, key)
        )
    ).one_or_none()
    return None if row is None else (bytes(row.request), row.client_id, row.created_at)


def put(
    connection: Connection,
    caller: str,
    route: str,
    key: str,
    request: bytes,
    client_id: str,
    now: datetime,
) -> None:
    """The deed is done, in this transaction; an older one under the same key is forgotten."""
    connection.execute(delete(table).where(*_is(caller, route, key)))
    connection.execute(
        insert(table).values(
            caller=caller,
            route=route,
            key=key,
            request=request,
            client_id=client_id,
            created_at=now,
        )
    )


def any_before(connection: Connection, moment: datetime) -> bool:
    """Whether there are keys that old."""
    query = select(table.c.key).where(table.c.created_at < moment).limit(1)
    return connection.execute(query).first() is not None


def drop_before(connection: Connection, moment: datetime, *, limit: int) -> bool:
    """Delete about `limit` of the oldest keys that old; True: there may be more."""
    oldest = select(table.c.created_at).where(table.c.created_at < moment)
    last = connection.execute(
        oldest.order_by(table.c.created_at).offset(limit - 1).limit(1)
    ).scalar_one_or_none()
    bound = table.c.created_at < moment if last is None else table.c.created_at <= last
    connection.execute(delete(table).where(bound))
    return last is not None


def _is(caller: str, route: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return (table.c.caller == caller, table.c.route == route, table.c.key == key)
