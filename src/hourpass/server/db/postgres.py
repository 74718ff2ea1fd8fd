"""PostgreSQL: connections that give up in time, and the settings that durability needs."""

import time

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

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
_SURELY_ALIVE_S = 1.0
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
        pool_size=10,  # and no overflow: such connections are made and closed again each time
        max_overflow=0,
        pool_timeout=2,
        isolation_level="READ COMMITTED",
        hide_parameters=True,  # they would be in the text of errors, which are logged
    )
    _ask_after_idling(engine)
    location = f"PostgreSQL {parsed.host or 'local'} database {parsed.database}"
    return Database(
        dialect=Dialect.POSTGRESQL,
        engine=engine,
        reader=engine,
        looker=engine.execution_options(isolation_level="AUTOCOMMIT"),
        location=location,
    )


def raw_connection(url: str, *, statement_timeout_s: float) -> psycopg.Connection:
    """A bare autocommit connection: for the commit loop, where a statement is a transaction."""
    return psycopg.connect(
        url,
        autocommit=True,
        options=f"-c statement_timeout={int(statement_timeout_s * 1000)} -c timezone=UTC",
        **_CONNECT,  # type: ignore[arg-type]  # libpq's own settings
    )


async def raw_async_connection(url: str, *, statement_timeout_s: float) -> psycopg.AsyncConnection:
    """The same for a coroutine."""
    return await psycopg.AsyncConnection.connect(
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


def _ask_after_idling(engine: Engine) -> None:
    """A connection that lay idle for a while is asked whether it is still one, else made anew.

    One that was used a moment ago is not asked: that would be a round trip for each transaction.
    Who then meets a database that has just gone away fails alone: with the first such failure
    every connection made before is given up.
    """

    def on_checkin(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    def on_checkout(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object
    ) -> None:
        if time.monotonic() - record.info.get("idle_since", 0.0) < _SURELY_ALIVE_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as fault:
            raise DisconnectionError("the database has closed this connection") from fault

    event.listen(engine, "checkin", on_checkin)
    event.listen(engine, "checkout", on_checkout)


def _show(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    assert row is not None  # noqa: S101  (a select without FROM always has one row)
    return str(row[0])
