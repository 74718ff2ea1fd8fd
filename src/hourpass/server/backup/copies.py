"""`hourpass backup`: a copy of the embedded database, made while it is served, and verified."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hourpass.server.backup import store
from hourpass.server.context import COMMAND_BUSY_TIMEOUT_S
from hourpass.server.db import files, migrate, sqlite_copy
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.db.file_lock import FileLock, InUse
from hourpass.server.db.sqlite import open_sqlite
from hourpass.server.db.sqlite_copy import Progress


class NotBackedUp(Exception):
    """There is no backup, or a file cannot be used as one; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A verified copy that is on disk."""

    path: Path
    size: int
    """In bytes."""
    schema: str
    """The revision of its tables."""


def back_up(database: Path, target: Path, progress: Progress, *, overwrite: bool) -> Backup:
    """Copy `database`, as it is at one moment, to `target`; others go on using it.

    `target` is there whole and for good, or not at all. Raises NotBackedUp.
    """
    if not database.is_file():
        raise NotBackedUp(f"there is no database at {database}")
    _refuse_target(database, target, overwrite=overwrite)
    try:
        lock = FileLock.shared(database)
    except InUse:
        raise NotBackedUp(f"{database} is being restored; try again afterwards") from None
    try:
        with draft_beside(target) as draft:
            sqlite_copy.copy(database, draft, progress)
            schema = verified(draft)
            size = draft.stat().st_size
            if overwrite:
                draft.replace(target)
                files.synchronise(target.parent)
            else:
                files.publish(draft, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as fault:
        raise NotBackedUp(f"cannot write {target}: {fault.strerror}") from None
    except DatabaseUnavailable as fault:
        raise NotBackedUp(f"cannot copy {database} to {target}: {fault}") from None
    finally:
        lock.release()
    return Backup(path=target, size=size, schema=schema)


def verified(copy: Path) -> str:
    """The schema of a copy that nobody uses; raises NotBackedUp when it is damaged or not ours."""
    found = sqlite_copy.faults(copy)
    if found:
        raise NotBackedUp(f"it is no sound SQLite database: {found[0]}")
    database = open_sqlite(copy, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
    try:
        schema = migrate.revision(database)
        ours = store.holds_installation(database)
    finally:
        database.close()
    if schema is None or not ours:
        raise NotBackedUp("it is not a database of Hourpass's")
    sqlite_copy.settle(copy)
    return schema


@contextlib.contextmanager
def draft_beside(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, for its owner alone (0600); removed afterwards."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield draft
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def drop_drafts(path: Path) -> None:
    """Remove the drafts that a killed process has left; nobody may be making one now."""
    form = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{12}(-journal|-wal|-shm)?")
    for file in path.parent.iterdir():
        if form.fullmatch(file.name):
            file.unlink(missing_ok=True)


def _refuse_target(database: Path, target: Path, *, overwrite: bool) -> None:
    parts = {database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm", "-lock")}
    if target.absolute() in {part.absolute() for part in parts} or (
        target.exists() and target.samefile(database)
    ):
        raise NotBackedUp(f"{target} is the database itself; name another file")
    if target.is_dir():
        raise NotBackedUp(f"{target} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise NotBackedUp(f"{target} is no plain file")
    if target.exists() and not overwrite:
        raise _exists(target)
    if not target.parent.is_dir():
        raise NotBackedUp(f"there is no folder {target.parent}; make it")


def _exists(target: Path) -> NotBackedUp:
    return NotBackedUp(f"{target} exists; name another file, or say --force")
