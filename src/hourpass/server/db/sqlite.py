"""SQLite: which build, which journal, which locks.

Every writing transaction is BEGIN IMMEDIATE, so that two of them can never deadlock in an
upgrade; reading ones are plain BEGIN and wait for nobody under WAL.
"""

import os
import sqlite3
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL, create_engine, event

from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect

try:
    import pysqlite3.dbapi2 as _bundled
except ImportError:
    _bundled = None

# Older versions can corrupt a WAL that two connections write at once.
_SAFE_WAL = (3, 51, 3)
_JOURNAL_TIMEOUT_S = 1.0

driver: ModuleType = sqlite3
if _bundled is not None and _bundled.sqlite_version_info > sqlite3.sqlite_version_info:
    driver = _bundled

wal_is_safe: bool = driver.sqlite_version_info >= _SAFE_WAL
WEAK_VERSION_WARNING = (
    f"SQLite {driver.sqlite_version} is older than 3.51.3: using the rollback journal, "
    "which is slower; install a Python package `pysqlite3` with a newer one"
)


class Turn:
    """One writer of this process at a time, however many threads want to.

    SQLite lets waiting writers sleep and look again, ever longer: under load some found the lock
    taken each time they looked, until their second was over.
    """

    def __init__(self, timeout_s: float) -> None:
        self._lock = threading.Lock()
        self._timeout_s = timeout_s

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._timeout_s):
            raise DatabaseUnavailable("other writers did not let go in time")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def open_sqlite(path: Path, *, busy_timeout_s: float) -> Database:
    """The embedded database; the file is made when absent (mode 0600).

    `busy_timeout_s` is how long a writer waits for another: 1 s in the server, which then
    answers 503; longer in commands.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as fault:
        raise DatabaseUnavailable(f"cannot open {path}: {fault.strerror}") from fault
    engine = create_engine(
        URL.create("sqlite", database=str(path)),  # the path may hold `?` or `%`
        module=driver,
        connect_args={
            "timeout": busy_timeout_s,
            "check_same_thread": False,
            "isolation_level": None,
        },
        hide_parameters=True,  # they would be in the text of errors, which are logged
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return Database(
        dialect=Dialect.SQLITE,
        engine=engine,
        reader=engine.execution_options(hourpass_begin="BEGIN"),
        looker=engine.execution_options(hourpass_begin=None),
        location=f"SQLite {path}",
        turn=Turn(busy_timeout_s),
    )


def raw_connection(path: Path, *, busy_timeout_s: float) -> Any:
    """A bare driver connection, set up like the engine's: for the commit loop."""
    connection = driver.connect(
        str(path), timeout=busy_timeout_s, check_same_thread=False, isolation_level=None
    )
    _on_connect(connection, None)
    return connection


def weak_settings(connection: Any) -> list[str]:
    """What keeps an acknowledged commit from being durable; empty when all is well."""
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    faults = []
    if synchronous < 2:
        faults.append(f"synchronous is {synchronous}, must be FULL (2)")
    if journal not in ("wal", "truncate", "delete", "persist"):
        faults.append(f"journal_mode is {journal}, must be on disk")
    return faults


def _on_connect(connection: Any, _record: object) -> None:
    _set_journal(connection, "WAL" if wal_is_safe else "TRUNCATE")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _set_journal(connection: Any, mode: str) -> None:
    """SQLite itself does not wait here when somebody else is setting up the same new file."""
    deadline = time.monotonic() + _JOURNAL_TIMEOUT_S
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode={mode}").fetchone()
        except driver.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _on_begin(connection: Any) -> None:
    begin = connection.get_execution_options().get("hourpass_begin", "BEGIN IMMEDIATE")
    if begin is not None:
        connection.exec_driver_sql(begin)
