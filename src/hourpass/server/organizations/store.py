"""The organization table."""

from sqlalchemy import Connection, insert, select

from hourpass.server.db.schema import organization as table
from hourpass.server.organizations.model import Organization


def get(connection: Connection, organization_id: str) -> Organization | None:
    """One organization, or None."""
    row = connection.execute(select(table).where(table.c.id == organization_id)).one_or_none()
    return None if row is None else Organization(**row._mapping)


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
