"""The installation table's one row: whether there is an installation in the database."""

from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from hourpass.server.db.engine import Dialect
from hourpass.server.db.schema import installation as table


def add(connection: Connection, now: datetime) -> bool:
    """The row of a new installation; False when somebody else has written it."""
    on_postgresql = connection.dialect.name == Dialect.POSTGRESQL
    made = connection.execute(
        (postgresql.insert if on_postgresql else sqlite.insert)(table)
        .values(id=1, catalogue_version=1, keys_version=1, created_at=now)
        .on_conflict_do_nothing()
        .returning(table.c.id)  # psycopg's rowcount would not tell
    ).all()
    return bool(made)
