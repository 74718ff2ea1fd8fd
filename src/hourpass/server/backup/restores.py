"""`hourpass restore`: a backup in the place of the database, or a restored database made safe.

Nothing is changed before the new database is whole, verified and made safe, and whoever asked has
accepted what differs.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from hourpass.server.audit.events import printable
from hourpass.server.backup import made_safe, old_database, store, swap
from hourpass.server.backup.copies import NotBackedUp, draft_beside, drop_drafts, verified
from hourpass.server.backup.differences import Difference, Survey, differences
from hourpass.server.backup.made_safe import MadeSafe, Restore
from hourpass.server.context import COMMAND_BUSY_TIMEOUT_S
from hourpass.server.db import migrate, sqlite_copy
from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect
from hourpass.server.db.file_lock import FileLock, InUse
from hourpass.server.db.migrate import SchemaState
from hourpass.server.db.session_lock import CHORES_LOCK, SessionLock
from hourpass.server.db.sqlite import open_sqlite
from hourpass.server.db.sqlite_copy import Progress
from hourpass.server.keys import keyring
from hourpass.server.keys.master import WrongMasterKey
from hourpass.server.keys.operations import KeyPolicy


class NotRestored(Exception):
    """Nothing was changed; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came of a restore."""

    differences: tuple[Difference, ...]
    compared: bool
    """Whether the old database could be read; else nobody knows what differs."""
    done: MadeSafe | None
    """None: nothing was changed, because of the differences."""
    backup: Survey
    kept: Path | None = None
    """Where the old database is now, if there was one."""


def restore_file(file: Path, database: Path, how: Restore, progress: Progress) -> Restored:
    """Put the backup `file` in the place of the embedded `database`. Raises NotRestored."""
    database = database.resolve()  # a link to it stays one
    if not file.is_file():
        raise NotRestored(f"there is no file {file}")
    if database.exists() and file.samefile(database):
        raise NotRestored(f"{file} is the database itself; name a backup")
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock.alone(database)
    except InUse:
        raise NotRestored(
            f"a server or a command has {database} open; stop it, then restore"
        ) from None
    except (OSError, DatabaseUnavailable) as fault:
        raise NotRestored(f"cannot restore to {database}: {_said(fault)}") from None
    try:
        drop_drafts(database)
        swap.drop_second_names(database)
        with draft_beside(database) as draft:
            return _restore_file(file, database, draft, how, progress)
    except InUse as fault:
        raise NotRestored(f"{fault}; stop it, then restore") from None
    except (OSError, DatabaseUnavailable) as fault:
        raise NotRestored(f"cannot restore {file}: {_said(fault)}") from None
    finally:
        lock.release()


def after_restore(database: Database, old: Database | None, how: Restore) -> Restored:
    """Make safe what another program has restored (`restore --after`), before it is served.

    `database` is migrated. `old` is the database that was in use before, if it can still be
    reached. Raises NotRestored when it is not what it is said to be, or (PostgreSQL; who opens a
    file looks at its lock) when a server runs on `database`: it has issued tokens by old rows, and
    remembers them.
    """
    lock = SessionLock(database, CHORES_LOCK)
    if not lock.is_ours():
        raise NotRestored(
            f"a server runs on {database.location}; stop every server, then run this again "
            "(of one whose machine is gone PostgreSQL may not know for half a minute)"
        )
    try:
        return _after_restore(database, old, how)
    finally:
        lock.release()


def _after_restore(database: Database, old: Database | None, how: Restore) -> Restored:
    backup = made_safe.look(database)
    before = None if old is None else _named(old, store.identity(database), backup)
    found = () if before is None else tuple(differences(before, backup))
    done = None
    if not found or how.accept:
        detail = {"by": "another program"}
        done = made_safe.make_safe(database, how, backup, before, len(found), detail)
    return Restored(differences=found, compared=before is not None, done=done, backup=backup)


def _restore_file(
    file: Path, database: Path, draft: Path, how: Restore, progress: Progress
) -> Restored:
    if database.exists():
        _refuse_if_open(database)
    sqlite_copy.copy(file, draft, progress)
    try:
        verified(draft)
    except NotBackedUp as fault:
        raise NotRestored(f"{file} cannot be restored: {fault}") from None
    new = open_sqlite(draft, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
    try:
        _bring_up_to_date(new, file, how.policy)
        backup = made_safe.look(new)
        before = _before(database, backup)
        found = () if before is None else tuple(differences(before, backup))
        done = None
        if not found or how.accept:
            detail = {"file": printable(file.name, 200)}
            done = made_safe.make_safe(new, how, backup, before, len(found), detail)
            with new.read() as connection:
                now = new.now(connection)
    finally:
        new.close()
    kept = None
    if done is not None:
        sqlite_copy.settle(draft)
        kept = swap.swap(database, draft, swap.aside(database, now))
    return Restored(
        differences=found, compared=before is not None, done=done, backup=backup, kept=kept
    )


def _refuse_if_open(database: Path) -> None:
    """Programs that are not ours hold no lock of ours; SQLite knows of them. Raises InUse."""
    try:
        sqlite_copy.settle(database)
    except InUse:
        raise
    except DatabaseUnavailable:
        return  # damaged: nothing is known of it, and it is kept aside


def _bring_up_to_date(new: Database, file: Path, policy: KeyPolicy) -> None:
    """Make the copy one of this version, whose keys can be opened. Raises NotRestored."""
    if migrate.upgrade(new) in (SchemaState.AHEAD, SchemaState.NEWER):
        raise NotRestored(f"{file} is of a newer Hourpass; restore it with that version")
    try:
        with new.read() as connection:
            keyring.load(connection, policy.master)
    except WrongMasterKey:
        raise NotRestored(
            f"the master key does not open the keys in {file}; set the one it was made with"
        ) from None


def _before(database: Path, backup: Survey) -> Survey | None:
    if not database.exists():
        return None
    try:
        old = open_sqlite(database, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
    except DatabaseUnavailable:
        return None
    behind = False
    try:
        behind = old_database.is_behind(old)
        return old_database.survey(old, backup)
    except DatabaseUnavailable as fault:
        if behind and not sqlite_copy.faults(database):  # no room, say: nobody is suspended for it
            raise NotRestored(
                f"{database} is of an older version, and a copy of it could not be migrated to "
                f"compare with ({fault}); move it away to restore without comparing"
            ) from None
        return None
    finally:
        old.close()


def _named(old: Database, restored: str, backup: Survey) -> Survey:
    """All that is compared, from the old database that was named.

    `restored` is the identity of the restored one. Raises NotRestored when the old one cannot be
    compared.
    """
    try:
        if store.identity(old) == restored:
            raise NotRestored("the old database is the restored one itself; name the other one")
        if old.dialect is Dialect.POSTGRESQL and old_database.is_behind(old):
            raise NotRestored(
                f"the old database ({old.location}) is of an older version: let "
                "HOURPASS_DATABASE_URL name it for one `hourpass migrate`, then run this again"
            )
        before = old_database.survey(old, backup)
    except (OSError, DatabaseUnavailable) as fault:
        raise NotRestored(old_database.not_available(old, _said(fault))) from None
    if before is None:
        raise NotRestored(
            "the old database is another installation's, or no database of Hourpass's; name "
            "the one that was in use before, or none"
        )
    return before


def _said(fault: Exception) -> str:
    return os.strerror(fault.errno) if isinstance(fault, OSError) and fault.errno else str(fault)
