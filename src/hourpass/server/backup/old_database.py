"""The old database, which was in use before a restore: which one it is, and how it is compared.

`restore --after` is told by a variable of this command, not a setting. It holds a password, so it
comes from the environment or from a file, never from the command line.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from hourpass.server.backup import made_safe, store
from hourpass.server.backup.copies import draft_beside
from hourpass.server.backup.differences import Survey
from hourpass.server.config import PREFIX, SettingsFault
from hourpass.server.context import COMMAND_BUSY_TIMEOUT_S
from hourpass.server.db import migrate, sqlite_copy
from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect
from hourpass.server.db.migrate import SchemaState
from hourpass.server.db.postgres import open_postgresql
from hourpass.server.db.sqlite import open_sqlite

_NAME = f"{PREFIX}OLD_DATABASE_URL"


def open_old(environ: Mapping[str, str] | None = None) -> Database | None:
    """The old database, if `HOURPASS_OLD_DATABASE_URL` or its `_FILE` names one.

    Raises SettingsFault.
    """
    environ = os.environ if environ is None else environ
    url, file = environ.get(_NAME), environ.get(f"{_NAME}_FILE")
    if url and file:
        raise SettingsFault([f"{_NAME}_FILE: set this or {_NAME}, not both"])
    if file:
        try:
            url = Path(file).read_text("utf-8").strip()
        except (OSError, ValueError) as fault:
            reason = getattr(fault, "strerror", None) or "it has to be a file of text"
            raise SettingsFault([f"{_NAME}_FILE: cannot read the file: {reason}"]) from None
    if not url:
        return None
    if url.startswith(("postgresql://", "postgres://")):
        try:
            return open_postgresql(url, statement_timeout_s=COMMAND_BUSY_TIMEOUT_S)
        except ValueError as fault:
            raise SettingsFault([f"{_NAME}: {fault}"]) from None
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not path.is_file():
        raise SettingsFault(
            [f"{_NAME}: give postgresql://<user>@<host>/<database> or sqlite:///<file>"]
        )
    try:
        return open_sqlite(path, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
    except DatabaseUnavailable as fault:
        raise SettingsFault([f"{_NAME}: {fault}"]) from None


def not_available(old: Database, reason: str) -> str:
    """What to tell whoever named this one and wants to go on."""
    return (
        f"the old database ({old.location}) is not available: {reason}; to go on without it, "
        f"which suspends every client, unset {_NAME} and {_NAME}_FILE"
    )


def is_behind(old: Database) -> bool:
    """Whether an earlier version of Hourpass was the last to use it. Raises DatabaseUnavailable."""
    return migrate.state(old) is SchemaState.BEHIND and store.holds_installation(old)


def survey(old: Database, restored: Survey) -> Survey | None:
    """All that a restore compares, as it is in the old database; None when it cannot be compared.

    That of another installation cannot: a server that was started on an empty folder has made a
    new one, which knows of no rotation. One that `is_behind` lacks columns that are asked for: a
    copy of it is migrated, and asked, so that it stays what it is. On PostgreSQL the caller has
    to refuse it. Raises DatabaseUnavailable, OSError.
    """
    if old.dialect is Dialect.SQLITE and is_behind(old):
        return _survey_of_migrated(Path(old.engine.url.database or ""), restored)
    try:
        found = made_safe.look(old)
    except (LookupError, ValueError):
        return None
    return found if found.made_at == restored.made_at else None


def _survey_of_migrated(path: Path, restored: Survey) -> Survey | None:
    with draft_beside(path) as draft:
        sqlite_copy.copy(path, draft, lambda _done, _total: None)
        copy = open_sqlite(draft, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
        try:
            migrate.upgrade(copy)
            return survey(copy, restored)
        finally:
            copy.close()
