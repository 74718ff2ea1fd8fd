"""What a single online check reads, in one statement; and the table of revoked tokens."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select, text
from sqlalchemy.dialects import postgresql, sqlite

from hourpass.server.db.columns import moment
from hourpass.server.db.engine import Database, Dialect
from hourpass.server.db.schema import revoked_token
from hourpass.server.tokens.claims import Alleged
from hourpass.server.tokens.exchange import Registered
from hourpass.server.tokens.registered import POSTGRESQL_COLUMNS, SQLITE_COLUMNS, registered

_FROM = """
    FROM installation i
        LEFT JOIN client c ON c.client_id = :client_id
        LEFT JOIN organization o ON o.id = c.organization
"""
_MORE = "i.keys_version, EXISTS (SELECT 1 FROM revoked_token WHERE jti = :jti)"
_ON_SQLITE = text(f"SELECT {SQLITE_COLUMNS}, {_MORE}, NULL {_FROM}")
_ON_POSTGRESQL = text(  # both are put together from constants
    f"SELECT {POSTGRESQL_COLUMNS}, {_MORE}, clock_timestamp() {_FROM}"
)

# Longer than any token lives: a clock that is set back brings none of them to life again.
_KEPT_BEYOND_EXPIRY = timedelta(days=1)
_PURGE_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How things stand at `now`; no client: it is gone, or never was."""

    client: Registered | None
    revoked: bool
    """Whether this very token was (RFC 7009)."""
    keys_version: int
    now: datetime


def look(database: Database, token: Alleged) -> Found:
    """Read it; whatever was committed before the call is seen."""
    on_sqlite = database.dialect is Dialect.SQLITE
    with database.look() as connection:
        row = connection.execute(
            _ON_SQLITE if on_sqlite else _ON_POSTGRESQL,
            {"client_id": token.client_id, "jti": token.jti},
        ).one()
    *columns, keys_version, revoked, now = row
    client = None
    if columns[0] is not None:
        client = registered(columns, moment=moment if on_sqlite else None)
    return Found(
        client=client,
        revoked=bool(revoked),
        keys_version=keys_version,
        now=now or datetime.now(UTC),
    )


def add_revoked(connection: Connection, jti: str, client_id: str, expires_at: datetime) -> bool:
    """Refuse this token from now on; False when that was so already."""
    on_sqlite = connection.dialect.name == "sqlite"
    insert = sqlite.insert if on_sqlite else postgresql.insert
    added = connection.execute(
        insert(revoked_token)
        .values(jti=jti, client_id=client_id, expires_at=expires_at)
        .on_conflict_do_nothing()
        .returning(revoked_token.c.jti)
    )
    return added.first() is not None


def purge_revoked(connection: Connection, now: datetime) -> bool:
    """Drop some of those that expired long ago; True: there may be more."""
    expired = revoked_token.c.expires_at < now - _KEPT_BEYOND_EXPIRY
    some = select(revoked_token.c.jti).where(expired).limit(_PURGE_AT_ONCE)
    gone = connection.execute(delete(revoked_token).where(revoked_token.c.jti.in_(some)))
    return gone.rowcount == _PURGE_AT_ONCE
