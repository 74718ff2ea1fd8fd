"""The organization table."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hourpass.server.db.schema import organization as table
from hourpass.server.organizations.model import Organization

_GET = select(table).where(table.c.id == bindparam("organization_id"))
_GET_FOR_UPDATE = _GET.with_for_update()


def get(
    connection: Connection, organization_id: str, *, for_update: bool = False
) -> Organization | None:
    """One organization, or None; `for_update` keeps others from changing it meanwhile."""
    query = _GET_FOR_UPDATE if for_update else _GET
    row = connection.execute(query, {"organization_id": organization_id}).one_or_none()
    return None if row is None else Organization(**row._mapping)


def every(connection: Connection) -> list[Organization]:
    """All of them."""
    return [Organization(**row._mapping) for row in connection.execute(select(table))]


def page(
    connection: Connection, *, limit: int, before: tuple[datetime, str] | None = None
) -> list[Organization]:
    """Up to `limit` organizations, newest first, created before that one."""
    query = select(table).order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
    if before is not None:
        moment, organization_id = before
        query = query.where(
            (table.c.created_at < moment)
            | ((table.c.created_at == moment) & (table.c.id < organization_id))
        )
    return [Organization(**row._mapping) for row in connection.execute(query)]


def add(connection: Connection, organization: Organization) -> None:
    """A new organization."""
    connection.execute(
        insert(table).values(
            id=organization.id,
            name=organization.name,
            created_at=organization.created_at,
            suspended_at=organization.suspended_at,
        )
    )


def add_new(connection: Connection, organization: Organization) -> bool:
    """A new organization; False when its ID is taken, also at this very moment."""
    on_sqlite = connection.dialect.name == "sqlite"
    statement = (sqlite.insert if on_sqlite else postgresql.insert)(table)
    made = connection.execute(
        statement.values(
            id=organization.id, name=organization.name, created_at=organization.created_at
        )
        .on_conflict_do_nothing()
        .returning(table.c.id)
    ).all()
    return bool(made)


def save(connection: Connection, organization: Organization) -> None:
    """What a deed may change, written back."""
    connection.execute(
        update(table)
        .where(table.c.id == organization.id)
        .values(name=organization.name, suspended_at=organization.suspended_at)
    )
