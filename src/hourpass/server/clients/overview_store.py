"""Figures over all clients of an organization, each from an index: fast at a million clients.

Everywhere `organization` None stands for all organizations.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from hourpass.server.clients.model import Status
from hourpass.server.db.schema import client as table
from hourpass.server.db.schema import usage

LOOKED_AT = 2000
"""How many of the newest clients are looked at for those that were never used."""
_LARGE = 20_000  # in an organization of more, those that expire are found by when they do


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFigure:
    """A client in a short list."""

    client_id: str
    name: str
    created_at: datetime
    expires_at: datetime | None


def count_by_status(
    connection: Connection, organization: str | None, now: datetime
) -> dict[Status, int]:
    """How many clients have each status; all three are there.

    The few that expire or are suspended have indexes of their own; the rest are active.
    """
    there = [] if organization is None else [table.c.organization == organization]
    total = _count(connection, *there)
    if organization is not None and total > _LARGE:
        there = [_without_index(organization)]
    gone = table.c.expires_at <= now
    suspended = table.c.suspended_at.is_not(None)
    expired = _count(connection, gone, *there)
    stopped = _count(connection, suspended, *there)
    both = _count(connection, suspended, gone, *there)  # an expired client is expired
    return {
        Status.ACTIVE: total - expired - (stopped - both),
        Status.SUSPENDED: stopped - both,
        Status.EXPIRED: expired,
    }


def sums_of_hour(
    connection: Connection, organization: str | None, hour: datetime
) -> tuple[int, int]:
    """Tokens issued and refused in one hour."""
    query = select(
        func.coalesce(func.sum(usage.c.issued), 0), func.coalesce(func.sum(usage.c.refused), 0)
    ).where(usage.c.hour == hour)
    if organization is not None:
        query = query.join(table, table.c.client_id == usage.c.client_id).where(
            table.c.organization == organization
        )
    issued, refused = connection.execute(query).one()
    return int(issued), int(refused)


def about_to_expire(
    connection: Connection, organization: str | None, now: datetime, until: datetime, *, limit: int
) -> list[ClientFigure]:
    """Clients whose time is over before `until`, the first to expire first."""
    query = _figures().where(table.c.expires_at > now, table.c.expires_at < until)
    if organization is not None:
        query = query.where(_without_index(organization))
    query = query.order_by(table.c.expires_at, table.c.seq).limit(limit)
    return [_figure(row) for row in connection.execute(query)]


def count_expiring(connection: Connection, now: datetime, until: datetime) -> int:
    """How many clients' time is over before `until`, and is not yet."""
    return _count(connection, table.c.expires_at > now, table.c.expires_at < until)


def never_used(
    connection: Connection, organization: str | None, now: datetime, *, limit: int
) -> list[ClientFigure]:
    """Clients that never got a token and still could, the oldest first.

    Only the `LOOKED_AT` newest clients are looked at, or a million that are in use would all be.
    """
    newest = _figures().order_by(table.c.seq.desc()).limit(LOOKED_AT)
    if organization is not None:
        newest = newest.where(table.c.organization == organization)
    looked_at = [_figure(row) for row in connection.execute(newest)]
    # By ID, in a statement of its own: in one with a join PostgreSQL read all usage there is.
    ids = [client.client_id for client in looked_at]
    query = select(usage.c.client_id).where(
        usage.c.client_id.in_(ids), usage.c.last_issued_at.is_not(None)
    )
    used = frozenset(connection.scalars(query.distinct()))
    unused = [
        client
        for client in reversed(looked_at)
        if client.client_id not in used and (client.expires_at is None or client.expires_at > now)
    ]
    return unused[:limit]


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(*conditions)
    return int(connection.execute(query).scalar_one())


def _without_index(organization: str) -> ColumnElement[bool]:
    """So written that the index of an organization's clients, all of them, is not what serves."""
    return func.coalesce(table.c.organization, "") == organization


def _figures() -> Select[tuple[object, ...]]:
    return select(table.c.client_id, table.c.name, table.c.created_at, table.c.expires_at)


def _figure(row: Row[tuple[object, ...]]) -> ClientFigure:
    return ClientFigure(
        client_id=row.client_id,
        name=row.name,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
