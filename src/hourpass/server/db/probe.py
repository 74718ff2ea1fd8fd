"""Is the database one that can serve now? Asked over a connection of its own, kept between looks.

A look blocks for as long as the database does; it takes no lock that a commit could wait for.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import psycopg

from hourpass.server.db import postgres
from hourpass.server.db import sqlite as embedded
from hourpass.server.db.engine import first_line
from hourpass.server.db.migrate import NEWER_WARNING, NEWEST
from hourpass.server.db.postgres_lines import shut_down

PARTS = ("database", "writes", "schema", "durability")
"""What is looked at: does it answer, does it take writes, is it migrated, does it keep them?"""
MIN_FREE = 1024 * 1024
_LOOK_S = 1.0
_VERSION = "SELECT version_num FROM alembic_version"
_OLDEST_BESIDE = "SELECT oldest_beside FROM schema_version"
_READ_ONLY = (
    "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool "
    "OR current_setting('transaction_read_only')::bool"
)


_log = logging.getLogger(__name__)


class Unreachable(Exception):
    """The database does not answer; the text says how one noticed."""


class Probe(Protocol):
    """One database's way to look."""

    def look(self) -> dict[str, str]:
        """What is wrong with each of `PARTS`; empty texts where all is well.

        Raises Unreachable.
        """

    def abandon(self) -> None:
        """From another thread: make a look that hangs fail now."""

    def close(self) -> None:
        """Give the connection back."""


class PostgresProbe:
    """Any node's look at its PostgreSQL."""

    def __init__(self, url: str, schema: "Schema") -> None:
        """Nothing is connected yet."""
        self._url = url
        self._schema = schema
        self._connection: psycopg.Connection | None = None

    def look(self) -> dict[str, str]:
        """See `Probe`."""
        try:
            if self._connection is None:
                self._connection = postgres.raw_connection(self._url, statement_timeout_s=_LOOK_S)
            return self._looked_at(self._connection)
        except (psycopg.Error, OSError) as fault:
            self.close()
            raise Unreachable(first_line(fault)) from fault

    def abandon(self) -> None:
        """See `Probe`."""
        shut_down(self._connection)

    def close(self) -> None:
        """See `Probe`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _looked_at(self, connection: psycopg.Connection) -> dict[str, str]:
        row = connection.execute(_READ_ONLY).fetchone()
        assert row is not None  # noqa: S101  (a select without FROM always has one row)
        in_recovery, read_only = row
        writes = "it is a standby" if in_recovery else "it takes no writes" if read_only else ""
        schema = self._schema.fault(lambda query: _column(connection, query))
        weak = "; ".join(postgres.weak_settings(connection))
        return {"database": "", "writes": writes, "schema": schema, "durability": weak}


class SqliteProbe:
    """The embedded database, and the file that it is."""

    def __init__(self, path: Path, schema: "Schema") -> None:
        """Nothing is opened yet."""
        self._path = path
        self._schema = schema
        self._connection: Any = None

    def look(self) -> dict[str, str]:
        """See `Probe`."""
        try:
            if self._connection is None:
                self._connection = embedded.raw_connection(self._path, busy_timeout_s=_LOOK_S)
            schema = self._schema.fault(self._column)
            weak = "; ".join(embedded.weak_settings(self._connection))
        except (embedded.driver.Error, OSError) as fault:
            self.close()
            raise Unreachable(str(fault)) from fault
        return {
            "database": "",
            "writes": self._unwritable(),
            "schema": schema,
            "durability": weak,
        }

    def abandon(self) -> None:
        """See `Probe`; a file does not hang."""

    def close(self) -> None:
        """See `Probe`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _column(self, query: str) -> list[str]:
        return [value for (value,) in self._connection.execute(query)]

    def _unwritable(self) -> str:
        if not (os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK)):
            return "its file cannot be written"
        disk = os.statvfs(self._path)
        free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail  # root may use the reserve
        return "" if free * disk.f_frsize >= MIN_FREE else "the disk is full"


class Schema:
    """Whether this version can go on with the schema; that it is a newer one is told once."""

    def __init__(self, *, saw_newer: bool) -> None:
        """`saw_newer`: it was told when the server started."""
        self._saw_newer = saw_newer

    def fault(self, column: Callable[[str], list[str]]) -> str:
        """`column` gives the one column of a query's rows."""
        versions = column(_VERSION)
        if versions == [NEWEST]:
            return ""
        if len(versions) != 1 or versions[0] < NEWEST:
            return "it is not migrated: run `hourpass migrate`"
        if not any(oldest <= NEWEST for oldest in column(_OLDEST_BESIDE)):
            return "a newer Hourpass has migrated it, and this version cannot go on: upgrade it"
        if not self._saw_newer:
            self._saw_newer = True
            _log.warning("%s", NEWER_WARNING)
        return ""


def _column(connection: psycopg.Connection, query: str) -> list[str]:
    try:
        return [value for (value,) in connection.execute(query.encode())]
    except psycopg.errors.UndefinedTable:
        return []
