"""What a restored database needs before anybody is served from it: one transaction, one event."""

from dataclasses import dataclass
from datetime import UTC, datetime

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Event, Origin, rfc3339
from hourpass.server.backup import differences as compared
from hourpass.server.backup import store
from hourpass.server.backup.differences import Survey
from hourpass.server.db.engine import Database
from hourpass.server.keys import operations
from hourpass.server.keys.operations import KeyPolicy

# Generations are compared for equality, and live in 32 bits. Seconds since then are above any
# that deeds have made one by one, differ between two restores, and fit until 2093.
_FLOOR_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """How a restore is to be done, and by whom."""

    by: Origin
    policy: KeyPolicy
    accept: bool
    """Go on although clients, operators, organizations or keys differ."""
    keep_active: bool
    """Suspend no client although there is nothing to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSafe:
    """What was done to a restored database."""

    suspended: int
    """Clients that were suspended because nobody can say what happened since the backup."""
    revoked_keys: tuple[str, ...]
    sessions_ended: int


def look(database: Database) -> Survey:
    """All that a restore compares, as it is in this database.

    Raises LookupError where it is no installation; DatabaseUnavailable.
    """
    with database.read() as connection:
        store.take_time(connection)
        return store.survey(connection, database.now(connection))


def make_safe(
    database: Database,
    how: Restore,
    restored: Survey,
    old: Survey | None,
    differences: int,
    detail: dict[str, str],
) -> MadeSafe:
    """Kill every token and session, revoke again what was revoked, and put it on record.

    With nothing to compare with (`old` is None) every client is suspended, unless `how` says
    `keep_active`, and every signing key is replaced: any of them may have been revoked since.
    `differences` is how many there are; `detail` says in the event which backup it was.
    """
    spares = how.policy.spares()
    with database.write() as connection:
        store.take_time(connection)
        now = database.now(connection)
        kids = restored.keys.keys() if old is None else compared.revoked_since(old, restored)
        revoked = operations.revoke_within(connection, how.policy, spares, kids, how.by, now)
        highest = max(restored.highest_version, 0 if old is None else old.highest_version)
        floor = max(int((now - _FLOOR_EPOCH).total_seconds()), highest + 1)
        store.raise_versions(connection, floor)
        suspended = 0
        if old is None and not how.keep_active:
            suspended = store.suspend_all(connection, now)
        sessions = store.end_sign_ins(connection, now)
        last = restored.last_event_at
        event = AuditEvent(
            event=Event.BACKUP_RESTORED,
            origin=how.by,
            detail={
                **detail,
                "backup_until": None if last is None else rfc3339(last),
                "compared": old is not None,
                "differences": differences,
                "clients_suspended": suspended,
                "keys_revoked": revoked,
            },
        )
        audit.record(connection, [event], now)
    return MadeSafe(suspended=suspended, revoked_keys=tuple(revoked), sessions_ended=sessions)
