"""Is the database one that can serve now? Asked over a connection of its own, kept between looks.

A look blocks for as long as the database does; it takes no lock that a commit could wait for.
"""

import contextlib
import os
import socket
from pathlib import Path
from typing import Any, Protocol

import psycopg

from hourpass.server.db import postgres
from hourpass.server.db import sqlite as embedded
from hourpass.server.db.migrate import NEWEST

PARTS = ("database", "writes", "schema", "durability")
"""What is looked at: does it answer, does it take writes, is it migrated, does it keep them?"""
MIN_FREE = 1024 * 1024
_LOOK_S = 1.0
_VERSION = "SELECT version_num FROM alembic_version"
_READ_ONLY = (
    "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool "
    "OR current_setting('transaction_read_only')::bool"
)


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

    def __init__(self, url: str) -> None:
        """Nothing is connected yet."""
        self._url = url
        self._connection: psycopg.Connection | None = None

    def look(self) -> dict[str, str]:
        """See `Probe`."""
        try:
            if self._connection is None:
                self._connection = postgres.raw_connection(self._url, statement_timeout_s=_LOOK_S)
            return self._looked_at(self._connection)
        except (psycopg.Error, OSError) as fault:
            self.close()
            lines = str(fault).strip().splitlines()
            raise Unreachable(lines[0] if lines else type(fault).__name__) from fault

    def abandon(self) -> None:
        """See `Probe`."""
        connection = self._connection
        with contextlib.suppress(psycopg.Error, OSError):
            if connection is not None:
                with socket.socket(fileno=os.dup(connection.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

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
        try:
            versions = [str(version) for (version,) in connection.execute(_VERSION)]
        except psycopg.errors.UndefinedTable:
            versions = []
        weak = "; ".join(postgres.weak_settings(connection))
        return {"database": "", "writes": writes, "schema": _schema(versions), "durability": weak}


class SqliteProbe:
    """The embedded database, and the file that it is."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet."""
        self._path = path
        self._connection: Any = None

    def look(self) -> dict[str, str]:
        """See `Probe`."""
        try:
            if self._connection is None:
                self._connection = embedded.raw_connection(self._path, busy_timeout_s=_LOOK_S)
            rows = self._connection.execute(_VERSION).fetchall()
            weak = "; ".join(embedded.weak_settings(self._connection))
        except (embedded.driver.Error, OSError) as fault:
            self.close()
            raise Unreachable(str(fault)) from fault
        return {
            "database": "",
            "writes": self._unwritable(),
            "schema": _schema([str(version) for (version,) in rows]),
            "durability": weak,
        }

    def abandon(self) -> None:
        """See `Probe`; a file does not hang."""

    def close(self) -> None:
        """See `Probe`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _unwritable(self) -> str:
        if not (os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK)):
            return "its file cannot be written"
        disk = os.statvfs(self._path)
        free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail  # root may use the reserve
        return "" if free * disk.f_frsize >= MIN_FREE else "the disk is full"


def _schema(versions: list[str]) -> str:
    """A newer version may migrate while this one serves: its migrations leave room for that."""
    if versions and max(versions) >= NEWEST:
        return ""
    return "it is not migrated: run `hourpass migrate`"
