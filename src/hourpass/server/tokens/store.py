"""What an online check reads, in one statement: the client of a token as it is now."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text

from hourpass.server.db.engine import Database, Dialect
from hourpass.server.db.schema import moment
from hourpass.server.tokens.exchange import Registered
from hourpass.server.tokens.registered import POSTGRESQL_COLUMNS, SQLITE_COLUMNS, registered

_FROM = """
    FROM installation i
        LEFT JOIN client c ON c.client_id = :client_id
        LEFT JOIN organization o ON o.id = c.organization
"""
_ON_SQLITE = text(f"SELECT {SQLITE_COLUMNS}, i.keys_version, NULL {_FROM}")
_ON_POSTGRESQL = text(  # both are put together from constants
    f"SELECT {POSTGRESQL_COLUMNS}, i.keys_version, clock_timestamp() {_FROM}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How things stand at `now`; no client: it is gone, or never was."""

    client: Registered | None
    keys_version: int
    now: datetime


def look(database: Database, client_id: str) -> Seen:
    """Read it; whatever was committed before the call is seen."""
    on_sqlite = database.dialect is Dialect.SQLITE
    with database.look() as connection:
        row = connection.execute(
            _ON_SQLITE if on_sqlite else _ON_POSTGRESQL, {"client_id": client_id}
        ).one()
    *columns, keys_version, now = row
    client = None
    if columns[0] is not None:
        client = registered(columns, moment=moment if on_sqlite else None)
    return Seen(client=client, keys_version=keys_version, now=now or datetime.now(UTC))
