"""Copies of an SQLite database while others write to it, and files that stand by themselves."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.db.file_lock import InUse
from hourpass.server.db.files import synchronise
from hourpass.server.db.sqlite import driver

Progress = Callable[[int, int], None]
"""Is told how many pages are done, of how many."""

# 8 MiB of the usual pages: a few milliseconds between two looks at the progress.
_PAGES_A_STEP = 2048


def copy(source: Path, target: Path, progress: Progress) -> None:
    """Everything that is committed in `source` now, as one file at `target`, which is there empty.

    The copy is of one moment: it reads in one transaction, so that SQLite does not begin anew
    each time somebody commits; with a WAL, writers go on meanwhile. `target` keeps no journal
    beside it and is on disk when this returns. Raises DatabaseUnavailable.
    """
    with _in_our_words(), _opened(source, "ro") as reading, _opened(target, "rw") as writing:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        writing.execute("PRAGMA synchronous=OFF")  # SQLite would do so only at the end

        def told(_status: int, remaining: int, total: int) -> None:
            # Little by little: commits of a server on the same disk wait behind each of these.
            synchronise(target)
            progress(total - remaining, total)

        reading.backup(writing, pages=_PAGES_A_STEP, progress=told)
        reading.execute("COMMIT")
        writing.execute("PRAGMA journal_mode=DELETE")
    synchronise(target)


def faults(path: Path) -> list[str]:
    """What SQLite finds wrong in every page of a database that nobody uses; empty: all is well."""
    try:
        with _in_our_words(), _opened(path, "rw") as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except DatabaseUnavailable as fault:
        return [str(fault)]
    return [] if found == ["ok"] else found


def settle(path: Path) -> None:
    """Leave a database without WAL and shared memory beside it: one file that is all of it.

    Only possible while nobody has it open: raises InUse, whoever the other is. Raises
    DatabaseUnavailable when it cannot be read.
    """
    with _in_our_words(), _opened(path, "rw") as connection:
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        except driver.OperationalError as fault:
            if "locked" in str(fault):
                raise InUse(f"another program has {path} open") from fault
            raise
        if mode != "delete":
            raise InUse(f"another program has {path} open")
    synchronise(path)


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[Any]:
    """A bare connection that makes no file; closed afterwards."""
    connection = driver.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=1.0, isolation_level=None
    )
    with contextlib.closing(connection):
        yield connection


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except driver.DatabaseError as fault:
        raise DatabaseUnavailable(str(fault)) from fault
