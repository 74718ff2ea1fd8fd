"""One database file in another's place: a crash leaves either of them, whole, and nothing mixed.

What SQLite keeps beside a database (`-wal`, `-journal`) is applied to whatever has the database's
name: it has to be gone before the name means another file.
"""

import glob
from datetime import datetime
from pathlib import Path

from hourpass.server.db import files, sqlite_copy
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.db.file_lock import InUse

_BESIDE = ("-wal", "-journal", "-shm")


def aside(database: Path, now: datetime) -> Path:
    """A name that is free, for the database that is replaced."""
    name = f"{database.name}.before-restore-{now:%Y%m%dT%H%M%S}"
    path = database.with_name(name)
    count = 1
    while path.exists():
        count += 1
        path = database.with_name(f"{name}-{count}")
    return path


def swap(database: Path, new: Path, kept: Path) -> Path | None:
    """Put `new` in the place of `database`, which is kept under the name `kept`.

    `new` is one file that is on disk, on the same file system; nobody has either open, and the
    caller holds the lock of `database` alone. Returns `kept`, or None when there was nothing to
    keep. Raises InUse, with nothing done, when another program has the database open; OSError.
    """
    exists = database.exists()
    if exists:
        try:
            sqlite_copy.settle(database)
        except InUse:
            raise
        except DatabaseUnavailable:
            pass  # damaged: then what is beside it may say something, and is kept with it
        files.keep(database, kept)  # so that there always is a database
    # A crash from here on leaves the old database without what was beside it, which is nothing
    # unless it was damaged.
    for suffix in _BESIDE:
        part = database.with_name(database.name + suffix)
        if part.exists():
            part.replace(kept.with_name(kept.name + suffix))
    files.synchronise(database.parent)
    new.replace(database)
    files.synchronise(database.parent)
    return kept if exists else None


def drop_second_names(database: Path) -> None:
    """Remove the second name that a killed restore may have left for this database.

    It looks like an old database that was kept, and is this one. The caller holds the lock of
    `database` alone. Raises OSError.
    """
    if database.exists():
        for file in database.parent.glob(f"{glob.escape(database.name)}.before-restore-*"):
            if file.exists() and file.samefile(database):
                file.unlink()
