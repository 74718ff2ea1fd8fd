"""An installation opened: settings, database and keys, for a server or a command.

Whatever keeps an installation from being used is an InstallationFault with one line that says
what to do; nothing is made or changed then.
"""

import contextlib
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import SYSTEM, AuditEvent, Event, Origin
from hourpass.server.catalogue import store as catalogue
from hourpass.server.catalogue.model import Catalogue
from hourpass.server.config import Settings
from hourpass.server.cursors import Cursors
from hourpass.server.db import files, installation, migrate
from hourpass.server.db import sqlite as embedded
from hourpass.server.db.engine import Database
from hourpass.server.db.file_lock import FileLock, InUse
from hourpass.server.db.migrate import SchemaState
from hourpass.server.keys import keyring, operations, store
from hourpass.server.keys.keyring import Keyring
from hourpass.server.keys.master import MasterKeys, WrongMasterKey, generate
from hourpass.server.keys.operations import KeyPolicy
from hourpass.server.organizations import store as organizations
from hourpass.server.organizations.model import DEFAULT, Organization
from hourpass.server.tokens.exchange import Facts

_log = logging.getLogger(__name__)
SERVER_BUSY_TIMEOUT_S = 1.0
# SQLite lets who waits for its write lock sleep, up to 0.1 s, and look again: beside a server that
# commits without a pause one looked in vain for 4.5 s. A command has nobody who waits behind it.
COMMAND_BUSY_TIMEOUT_S = 30.0


class InstallationFault(Exception):
    """The installation cannot be used as it is; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a request or a command may use. Close the database when done."""

    settings: Settings
    database: Database
    policy: KeyPolicy
    was_newer: bool = False
    """Whether a newer Hourpass had migrated the database when it was opened."""

    @property
    def management_identifier(self) -> str:
        """The `aud` of tokens for the management API."""
        return f"{self.settings.issuer}/api/v1"

    def catalogue(self) -> Catalogue:
        """The catalogue as it is now."""
        with self.database.read() as connection:
            return catalogue.load(connection, self.management_identifier)

    def keyring(self) -> Keyring:
        """The keys as they are now."""
        with self.database.read() as connection:
            return keyring.load(connection, self.policy.master)

    def cursors(self) -> Cursors:
        """What writes and reads the cursors of lists; its key never changes."""
        with self.database.read() as connection:
            return Cursors(keyring.own_key(connection, self.policy.master))

    def facts(self) -> Facts:
        """What token decisions share, as it is now."""
        return Facts(self.catalogue(), self.keyring())


def open_context(
    settings: Settings, *, may_migrate: bool = False, busy_timeout_s: float
) -> Context:
    """Open the installation; make it when its database is new and embedded, or `may_migrate`.

    Raises InstallationFault, DatabaseUnavailable.
    """
    database = open_database(settings, busy_timeout_s=busy_timeout_s)
    try:
        state = _bring_up_to_date(settings, database, may_migrate=may_migrate)
        with database.read() as connection:
            is_new = store.version(connection) is None
        policy = key_policy(settings, may_make=is_new)
        if is_new:
            _initialise(database, policy)
        context = Context(
            settings=settings,
            database=database,
            policy=policy,
            was_newer=state is SchemaState.NEWER,
        )
        try:
            context.keyring()
        except WrongMasterKey as fault:
            raise InstallationFault(str(fault)) from None
    except BaseException:
        database.close()
        raise
    return context


def key_policy(settings: Settings, *, may_make: bool = False) -> KeyPolicy:
    """How keys are made and sealed; without a master key one is made, where that may be done.

    Raises InstallationFault.
    """
    return KeyPolicy(
        master=_master_keys(settings, may_make=may_make),
        algorithm=settings.signing_algorithm,
        period=timedelta(days=settings.key_period_days),
    )


def open_database(settings: Settings, *, busy_timeout_s: float) -> Database:
    """Connect; the embedded database's folder and file are made when absent."""
    if settings.is_postgresql:
        from hourpass.server.db import postgres  # an eighth of what starting a command costs

        url = settings.database_url.get_secret_value()
        return postgres.open_postgresql(url, statement_timeout_s=busy_timeout_s)
    path = settings.sqlite_path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise InstallationFault(f"cannot make the folder {path.parent}: {fault.strerror}") from None
    try:
        lock = FileLock.shared(path)
    except InUse:
        raise InstallationFault(
            f"{path} is being restored; try again when `hourpass restore` has ended"
        ) from None
    try:
        database = embedded.open_sqlite(path, busy_timeout_s=busy_timeout_s)
    except BaseException:
        lock.release()
        raise
    return replace(database, release=lock.release)


def durability_faults(settings: Settings) -> list[str]:
    """What would let an acknowledged commit be lost; empty when all is well."""
    if settings.is_postgresql:
        from hourpass.server.db import postgres

        url = settings.database_url.get_secret_value()
        with contextlib.closing(
            postgres.raw_connection(url, statement_timeout_s=SERVER_BUSY_TIMEOUT_S)
        ) as session:
            return postgres.weak_settings(session)
    with contextlib.closing(
        embedded.raw_connection(settings.sqlite_path, busy_timeout_s=SERVER_BUSY_TIMEOUT_S)
    ) as connection:
        return embedded.weak_settings(connection)


def _bring_up_to_date(settings: Settings, database: Database, *, may_migrate: bool) -> SchemaState:
    """Migrate where that may be done; how the schema stood. Raises InstallationFault."""
    state = migrate.state(database)
    makes_itself = state is SchemaState.EMPTY and not settings.is_postgresql
    if state in (SchemaState.EMPTY, SchemaState.BEHIND) and (may_migrate or makes_itself):
        return migrate.upgrade(database)
    if state is SchemaState.AHEAD:
        raise InstallationFault(
            f"{database.location} was migrated by a newer Hourpass, or holds other tables; "
            "upgrade this Hourpass or name another database"
        )
    if state is SchemaState.NEWER:
        _log.warning("%s: %s", database.location, migrate.NEWER_WARNING)
    elif state is not SchemaState.CURRENT:
        raise InstallationFault(
            f"{database.location} is {state}: run `hourpass migrate`, then start again"
        )
    return state


def _master_keys(settings: Settings, *, may_make: bool) -> MasterKeys:
    if settings.master_key is not None:
        return MasterKeys.parse(settings.master_key.get_secret_value())
    path = settings.data_dir / "master.key"
    if may_make:
        _make_master_key(path)
    try:
        return MasterKeys.parse(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InstallationFault(
            f"{path} is missing and the database has keys sealed under it; put it back "
            "(backups of the database never hold it)"
        ) from None
    except (OSError, ValueError) as fault:
        raise InstallationFault(f"{path} cannot be read: {fault}") from None


def _make_master_key(path: Path) -> None:
    """The embedded default's, where there is none; another process may be faster."""
    try:
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            files.write_new(path, generate() + "\n")
    except OSError as fault:
        raise InstallationFault(
            f"cannot write {path}: {fault.strerror}; let HOURPASS_DATA_DIR name a folder that "
            "this user can write to, or set HOURPASS_MASTER_KEY"
        ) from None


def _initialise(database: Database, policy: KeyPolicy) -> None:
    """The first row of everything; of two processes at once one does it."""
    spares = policy.spares()
    with database.write() as connection:
        now = database.now(connection)
        if not installation.add(connection, now):
            return
        default = Organization(id=DEFAULT, name="Default organization", created_at=now)
        organizations.add(connection, default)
        event = AuditEvent(
            event=Event.ORGANIZATION_CREATED,
            origin=Origin(actor=SYSTEM),
            organization=DEFAULT,
            detail={"name": default.name},
        )
        audit.record(connection, [event], now)
        operations.make_first(connection, policy, spares, now)
