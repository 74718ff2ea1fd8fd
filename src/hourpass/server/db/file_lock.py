"""Who has the embedded database open: every user shares a lock, a restore wants it alone.

SQLite's own locks come and go with its transactions, and closing any handle of the database's
file would drop those of the whole process. This one is on a file of its own, beside the database,
is held as long as the database is open, and goes with the process however that ends.
"""

import os
from pathlib import Path
from typing import Self

from hourpass.server.db.engine import DatabaseUnavailable


class InUse(DatabaseUnavailable):
    """Somebody else holds the lock in a way that does not go with what is wanted."""


class FileLock:
    """A lock that is held. Release it when done."""

    def __init__(self, handle: int | None) -> None:
        """Made by `shared` and `alone`."""
        self._handle = handle

    @classmethod
    def shared(cls, database: Path) -> Self:
        """As all do who use the database; raises InUse while it is being restored.

        Where a system has no such locks, nothing is held.
        """
        if os.name != "posix":
            return cls(None)
        return cls(_take(database, exclusive=False))

    @classmethod
    def alone(cls, database: Path) -> Self:
        """As a restore does; raises InUse while a server or a command has the database open."""
        if os.name != "posix":
            raise DatabaseUnavailable(
                "this system has no file locks, so nobody can tell whether a server runs"
            )
        return cls(_take(database, exclusive=True))

    def release(self) -> None:
        """Let others have it; harmless when that was done before."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _take(database: Path, *, exclusive: bool) -> int:
    import fcntl  # not everywhere

    database = database.resolve()  # by whatever name it was called, as SQLite does with its WAL
    path = database.with_name(database.name + "-lock")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    except OSError as fault:
        raise DatabaseUnavailable(f"cannot open {path}: {fault.strerror}") from fault
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as fault:
        os.close(handle)
        if isinstance(fault, BlockingIOError):
            raise InUse(f"{database} is in use") from fault
        raise DatabaseUnavailable(f"cannot lock {path}: {fault.strerror}") from fault
    return handle
