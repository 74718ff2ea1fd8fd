"""PostgreSQL: connections that give up in time, and the settings that durability needs."""

import time
from collections.abc import Generator, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from hourpass.server.db.engine import PATIENCE_S, Database, DatabaseUnavailable, Dialect

# The server may have gone without a word: notice within seconds instead of the kernel's minutes.
# Of several hosts each may take the time to connect, and callers wait for two seconds.
_CONNECT = {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "hourpass",
    # A standby would answer too, with rows of a moment ago: whatever a URL or a balancer leads
    # to, only a server that takes writes will do.
    "target_session_attrs": "read-write",
}
_SURELY_ALIVE_S = 1.0
_DURABLE = {"fsync": "on", "full_page_writes": "on"}


def read_url(url: str) -> dict[str, Any]:
    """What libpq makes of a URL, by its own names for it; ValueError says what to give.

    The URL, which may hold a password, is not in that text.
    """
    try:
        parsed = conninfo_to_dict(url)
        for port in str(parsed.get("port", "")).split(","):
            int(port or 0)
    except (psycopg.ProgrammingError, ValueError):
        raise ValueError(
            "libpq cannot read it: give postgresql://<user>@<host>/<database>"
        ) from None
    return parsed


def open_postgresql(url: str, *, statement_timeout_s: float) -> Database:
    """The shared database; nothing is connected yet. Raises ValueError as `read_url` does."""
    parsed = read_url(url)
    engine = create_engine(
        # The URL is libpq's to read, with several hosts and all: SQLAlchemy gets a name alone.
        URL.create("postgresql+psycopg", database=str(parsed.get("dbname", ""))),
        connect_args={"conninfo": url, **_CONNECT, "options": _options(url, statement_timeout_s)},
        pool_size=10,  # and no overflow: such connections are made and closed again each time
        max_overflow=0,
        pool_timeout=2,
        isolation_level="READ COMMITTED",
        hide_parameters=True,  # they would be in the text of errors, which are logged
    )
    _ask_after_idling(engine)
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "handle_error", _give_up_read_only)
    hosts = str(parsed.get("host") or parsed.get("hostaddr") or "local").replace(",", ", ")
    location = f"PostgreSQL {hosts} database {parsed.get('dbname', '')}"
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
        options=_options(url, statement_timeout_s),
        **_CONNECT,  # type: ignore[arg-type]  # libpq's own settings
    )


async def raw_async_connection(url: str, *, statement_timeout_s: float) -> psycopg.AsyncConnection:
    """The same for a coroutine."""
    return await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        options=_options(url, statement_timeout_s),
        **_CONNECT,  # type: ignore[arg-type]  # libpq's own settings
    )


class Prepared:
    """One statement of an autocommit connection, prepared once and run without a cursor.

    A cursor looks at every value, keeps account of what it prepared and waits for the socket in
    Python: 150 µs each time, which is more than a token takes to decide.
    """

    def __init__(self, connection: psycopg.Connection, name: str, statement: str) -> None:
        """Its places are `$1`, `$2` and so on; raises psycopg.Error."""
        self._connection = connection
        self._name = name.encode("ascii")
        self._checked(connection.pgconn.prepare(self._name, statement.encode("ascii")))

    def __call__(self, values: Sequence[str]) -> list[list[str]]:
        """Run it, and its rows as text; neither values nor rows hold NULL, and values are ASCII.

        Raises psycopg.Error, as `execute` does: OperationalError when the outcome is unknown.
        """
        octets = [value.encode("ascii") for value in values]
        result = self._checked(self._connection.pgconn.exec_prepared(self._name, octets))
        columns = range(result.nfields)
        return [
            [(result.get_value(row, column) or b"").decode("utf-8") for column in columns]
            for row in range(result.ntuples)
        ]

    def _checked(self, result: PGresult) -> PGresult:
        if result.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            return result
        if self._connection.closed:
            raise psycopg.OperationalError(result.error_message.decode("utf-8", "replace"))
        raise psycopg.errors.error_from_result(result)


def _options(url: str, statement_timeout_s: float) -> str:
    """The URL's `options` and ours after them, so that ours count where both set the same."""
    ours = f"-c statement_timeout={int(statement_timeout_s * 1000)} -c timezone=UTC"
    theirs = conninfo_to_dict(url).get("options")
    return f"{theirs} {ours}" if theirs else ours


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


def is_unreplicated(notice: psycopg.errors.Diagnostic) -> bool:
    """Whether a commit's wait for its standby was cancelled.

    PostgreSQL reports such a commit as done, and it is, on this server alone: with the server
    it would be lost, so nobody may be told that it was done.
    """
    text = notice.message_primary or ""
    return notice.sqlstate == "01000" and "synchronous replication" in text


class DatabaseHangs(psycopg.OperationalError):
    """It took the statement and does not answer, not even to say that it took too long."""


class _Connection(psycopg.Connection[Any]):
    """One whose commits are done when the standby has them too, where there is one.

    It gives up a statement after PATIENCE_S, and itself with it. `statement_timeout` is the
    database's to keep: one that is stopped, cut off or waiting for its standby does not, and its
    kernel goes on acknowledging.
    """

    _unreplicated = False

    def wait(self, gen: Any, *how: Any, **named: Any) -> Any:
        """Raises DatabaseHangs: what the statement did is not known then."""
        patience_s = PATIENCE_S.get()
        if patience_s is None:
            return super().wait(gen, *how, **named)
        try:
            return super().wait(_until(time.monotonic() + patience_s, gen), *how, **named)
        except DatabaseHangs:
            self.close()
            raise

    def commit(self) -> None:
        """Raises OperationalError when the standby did not confirm."""
        super().commit()
        if self._unreplicated:
            self._unreplicated = False
            raise psycopg.OperationalError("the standby did not confirm the commit")

    def heed_standby(self) -> None:
        """Hear of commits that did not wait for the standby."""
        self.add_notice_handler(self._on_notice)

    def _on_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        self._unreplicated |= is_unreplicated(notice)


def _until(deadline: float, statement: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The same, unless the deadline comes first: psycopg looks in ten times a second."""
    try:
        wanted = next(statement)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise DatabaseHangs("the database did not answer in time")
            wanted = statement.send(ready)
    except StopIteration as done:
        return done.value


def _connect(
    _dialect: object, _record: object, arguments: list[Any], parameters: dict[str, Any]
) -> _Connection:
    connection = _Connection.connect(*arguments, **parameters)
    connection.heed_standby()
    return connection


def _give_up_read_only(context: ExceptionContext) -> None:
    """A server that takes no writes any more is another's standby now: look for that one.

    All connections are given up, as they are when one of them is found dead.
    """
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


def lock_was_not_free(fault: DatabaseUnavailable) -> bool:
    """Whether a statement gave up because of `lock_timeout`: nothing is wrong with the database."""
    original = getattr(fault.__cause__, "orig", None)
    return isinstance(original, psycopg.errors.LockNotAvailable)


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
        except DatabaseHangs:
            raise  # nor would it take a new connection
        except psycopg.Error as fault:
            raise DisconnectionError("the database has closed this connection") from fault

    event.listen(engine, "checkin", on_checkin)
    event.listen(engine, "checkout", on_checkout)


def _show(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("select current_setting(%s)", (name,)).fetchone()
    assert row is not None  # noqa: S101  (a select without FROM always has one row)
    return str(row[0])
