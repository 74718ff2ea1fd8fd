"""PostgreSQL: connections that give up in time, and the settings that durability needs."""

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect

# The server may have gone without a word: notice within seconds instead of the kernel's minutes.
_CONNECT = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "hourpass",
}
_DURABLE = {"fsync": "on", "full_page_writes": "on"}


def open_postgresql(url: str, *, statement_timeout_s: float) -> Database:
    """The shared database; nothing is connected yet."""
    try:
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        conninfo_to_dict(url)
    except (ArgumentError, ValueError, psycopg.ProgrammingError) as fault:
        raise DatabaseUnavailable("HOURPASS_DATABASE_URL cannot be read") from fault
    options = f"-c statement_timeout={int(statement_timeout_s * 1000)} -c timezone=UTC"
    engine = create_engine(
        parsed,
        connect_args={**_CONNECT, "options": options},
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=5,
        pool_timeout=2,
        isolation_level="READ COMMITTED",
    )
    location = f"PostgreSQL {parsed.host or 'local'} database {parsed.database}"
    return Database(dialect=Dialect.POSTGRESQL, engine=engine, reader=engine, location=location)


def raw_connection(url: str, *, statement_timeout_s: float) -> psycopg.Connection:
    """A bare autocommit connection: for the commit loop, where a statement is a transaction."""
    return psycopg.connect(
        url,
        autocommit=True,
        options=f"-c statement_timeout={int(statement_timeout_s * 1000)} -c timezone=UTC",
        **_CONNECT,  # type: ignore[arg-type]  # libpq's own settings
    )


def weak_settings(connection: psycopg.Connection) -> list[str]:
    """What keeps an acknowledged commit from being durable; empty when all is well."""
    faults = []
    for name, wanted in _DURABLE.items():
        value = _show(connection, name)
        if value != wanted:
            faults.append(f"{name} is {value}, must be {wanted}")
    commit = _show(connection, "synchronous_commit")
    if commit in ("off", "local") and (
        commit == "off" or _show(connection, "synchronous_standby_names")
    ):
        faults.append(f"synchronous_commit is {commit}, must be on, remote_write or remote_apply")
    return faults


def _show(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    assert row is not None  # noqa: S101  (a select without FROM always has one row)
    return str(row[0])
