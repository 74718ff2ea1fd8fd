"""Make the catalogue what a file says; scopes that clients still hold are retired, not lost."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Event, Origin
from hourpass.server.catalogue import store
from hourpass.server.catalogue.file import CatalogueFault
from hourpass.server.catalogue.model import INTROSPECT_PREFIX, Api, Catalogue, Scope
from hourpass.server.db.engine import Database
from hourpass.server.organizations import store as organizations


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What applying a file does, by name; all empty when it changes nothing."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    revived: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.added, self.changed, self.retired, self.removed, self.revived))

    def as_json(self) -> dict[str, list[str]]:
        """For scripts and for the audit event."""
        return {name: list(getattr(self, name)) for name in self.__slots__}


def plan(
    current: tuple[Api, ...], wanted: tuple[Api, ...], held: frozenset[str]
) -> tuple[tuple[Api, ...], Changes]:
    """The APIs after applying `wanted` over `current`, and how they differ. Pure.

    `held` are the scopes that clients hold: of these, what `wanted` leaves out is retired.
    An API stays, retired, as long as a scope of it or its introspection scope is held; one
    that only got another key hands its leftovers to the API that now has its identifier.
    """
    listed = {scope.name for api in wanted for scope in api.scopes}
    kept: dict[str, Api] = {api.key: api for api in wanted}
    key_of = {api.identifier: api.key for api in wanted}
    for api in current:
        leftover = tuple(
            replace(scope, retired=True)
            for scope in api.scopes
            if scope.name not in listed and scope.name in held
        )
        heir = api.key if api.key in kept else key_of.get(api.identifier)
        if heir is not None:
            kept[heir] = replace(kept[heir], scopes=(*kept[heir].scopes, *leftover))
        elif leftover or INTROSPECT_PREFIX + api.key in held:
            kept[api.key] = replace(api, scopes=leftover, retired=True)
    after = tuple(kept.values())
    return after, _compare(current, after)


def _compare(current: tuple[Api, ...], after: tuple[Api, ...]) -> Changes:
    old = _entries(current)
    new = _entries(after)
    both = [name for name in new if name in old]
    return Changes(
        added=tuple(name for name in new if name not in old),
        changed=tuple(
            name
            for name in both
            if old[name] != new[name] and _retired(old[name]) == _retired(new[name])
        ),
        retired=tuple(name for name in both if _retired(new[name]) and not _retired(old[name])),
        removed=tuple(name for name in old if name not in new),
        revived=tuple(name for name in both if _retired(old[name]) and not _retired(new[name])),
    )


def _entries(apis: tuple[Api, ...]) -> dict[str, Api | tuple[str, Scope]]:
    entries: dict[str, Api | tuple[str, Scope]] = {}
    for api in apis:
        entries[f"api {api.key}"] = replace(api, scopes=())
        entries.update({scope.name: (api.key, scope) for scope in api.scopes})
    return entries


def _retired(entry: Api | tuple[str, Scope]) -> bool:
    return entry.retired if isinstance(entry, Api) else entry[1].retired


def apply(
    database: Database,
    wanted: tuple[Api, ...],
    by: Origin,
    *,
    management_identifier: str,
    dry_run: bool = False,
) -> Changes:
    """Apply `wanted`; returns what changed, or with `dry_run` what would. No change, no event.

    Raises CatalogueFault when an API takes the management API's own identifier.
    """
    if any(api.identifier == management_identifier for api in wanted):
        raise CatalogueFault([f"{management_identifier} is the management API's own identifier"])
    if dry_run:
        with database.read() as connection:
            return _planned(connection, wanted)[1]
    with database.write() as connection:
        store.take_turn(connection)
        after, changes = _planned(connection, wanted)
        if changes:
            now = database.now(connection)
            store.replace(connection, after, now)
            event = AuditEvent(event=Event.CATALOGUE_APPLIED, origin=by, detail=changes.as_json())
            audit.record(connection, [event], now)
        return changes


def unknown_organizations(database: Database, apis: tuple[Api, ...]) -> list[str]:
    """The IDs that APIs are kept to and that no organization has: not yet, or misspelt."""
    named = sorted({name for api in apis for name in api.organizations or ()})
    with database.read() as connection:
        return [name for name in named if organizations.get(connection, name) is None]


def _planned(connection: Connection, wanted: tuple[Api, ...]) -> tuple[tuple[Api, ...], Changes]:
    current: Catalogue = store.load(connection, "")
    return plan(current.apis, wanted, store.held_scopes(connection))
