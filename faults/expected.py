"""What has to be there, by the journal of `faults.deeds`. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

EVENTS = {
    "create": "client.created",
    "rotate": "client.secret_rotated",
    "suspend": "client.suspended",
    "activate": "client.activated",
    "delete": "client.deleted",
    "set_scopes": "client.scopes_changed",
    "revoke_tokens": "client.tokens_revoked",
}
_ENDS = {"suspend": "suspended", "activate": "active", "delete": "deleted"}
_ENTRIES = ("begins", "unknown", "refused", "absent", "done")
Before = tuple[set[frozenset[str]], set[str], bool]
"""Scopes and statuses that are right, and whether the secret is sure."""


@dataclass(slots=True)
class Expected:
    """What a client has to be.

    A deed that began and has no end may have been done or not, and there can be several: while
    the database is down each attempt fails with its outcome unknown. So there may be more than
    one status, and more than one set of scopes, that is right, until a deed that was acknowledged
    says which.
    """

    secret: str
    """Empty: nobody was shown one yet, since the answer that had it was lost."""
    scopes: set[frozenset[str]]
    old: list[str] = field(default_factory=list)
    statuses: set[str] = field(default_factory=lambda: {"active"})
    secret_is_sure: bool = True
    history: list[str] = field(default_factory=list)

    def as_it_may_be(self) -> Before:
        """What `restore` takes."""
        return set(self.scopes), set(self.statuses), self.secret_is_sure

    def restore(self, before: Before) -> None:
        """What began since was not done."""
        self.scopes, self.statuses, self.secret_is_sure = before


@dataclass(slots=True, kw_only=True)
class Deed:
    """A request for a deed."""

    origin: str
    """Where it came from, by which it is known in the audit trail."""
    kind: str
    client_id: str
    """Empty while a client is being made: then nobody was told its ID."""
    events_if_done: set[int]
    """What changes nothing, such as suspending twice, has none."""
    events: set[int] = field(default_factory=lambda: {0, 1})
    """How many audit events it may have."""
    before: Before | None = None
    """How its client could be when it began; None: nobody knew of one."""


@dataclass(slots=True)
class Requests:
    """All with one Idempotency-Key: one deed."""

    deeds: list[Deed] = field(default_factory=list)
    events: set[int] = field(default_factory=lambda: {0, 1})
    """How many audit events they may have together."""


@dataclass(slots=True)
class Told:
    """What the callers know: clients by ID, deeds by origin."""

    clients: dict[str, Expected] = field(default_factory=dict)
    deeds: dict[str, Deed] = field(default_factory=dict)
    keys: dict[str, Requests] = field(default_factory=dict)
    acknowledged: int = 0
    losses: list[str] = field(default_factory=list)
    """What cannot be, whatever is in the database."""


def replay(entries: Iterable[dict[str, Any]]) -> Told:
    """Follow a journal to its end, which may be anywhere."""
    told = Told()
    for entry in entries:
        client = told.clients.get(entry["client_id"])
        if client is not None:
            client.history += [f"{what} {entry[what]}" for what in _ENTRIES if what in entry]
        if "begins" in entry:
            _begins(told, entry, client)
            continue
        deed = told.deeds[entry["origin"]]
        if "refused" in entry:
            deed.events = {0}
            if client is not None and deed.before is not None:
                client.restore(deed.before)
        elif "absent" in entry:
            deed.events = {0}
            if client is not None:
                if "deleted" not in client.statuses:
                    told.losses.append(f"{entry['client_id']} is gone: {', '.join(client.history)}")
                client.statuses = {"deleted"}
        elif "done" in entry:
            told.acknowledged += 1
            if client is not None:
                deed.events = deed.events_if_done
                _is_done(entry, client)
            else:
                _is_made(told, entry, deed)
    return told


def _begins(told: Told, entry: dict[str, Any], client: Expected | None) -> None:
    deed = Deed(
        origin=entry["origin"],
        kind=entry["begins"],
        client_id=entry["client_id"],
        events_if_done=_events_if_done(entry, client),
    )
    told.deeds[deed.origin] = deed
    if "key" in entry:
        told.keys.setdefault(entry["key"], Requests()).deeds.append(deed)
    if client is not None:
        deed.before = client.as_it_may_be()
        _may_be_done(entry, client)


def _is_made(told: Told, entry: dict[str, Any], deed: Deed) -> None:
    """A client, by this request or, when it shows no secret, by one before with the same key."""
    deed.events = {1} if entry["secret"] else {0}
    same = told.keys[entry["key"]]
    same.events = {1}
    for each in same.deeds:
        each.client_id = entry["client_id"]
    made = Expected(entry["secret"], {frozenset(entry["scopes"])})
    made.secret_is_sure = bool(entry["secret"])
    told.clients[entry["client_id"]] = made


def _events_if_done(entry: dict[str, Any], client: Expected | None) -> set[int]:
    """One, or none where the client was so before, or either where nobody knows how it was."""
    if client is None:
        return {1}
    deed = entry["begins"]
    if deed in ("suspend", "activate"):
        return {int(status != _ENDS[deed]) for status in client.statuses - {"deleted"}}
    if deed == "set_scopes":
        return {int(scopes != frozenset(entry["scopes"])) for scopes in client.scopes}
    return {1}


def _may_be_done(entry: dict[str, Any], client: Expected) -> None:
    deed = entry["begins"]
    if deed in _ENDS:
        client.statuses.add(_ENDS[deed])
    elif deed == "set_scopes":
        client.scopes.add(frozenset(entry["scopes"]))
    elif deed == "rotate":
        client.secret_is_sure = False


def _is_done(entry: dict[str, Any], client: Expected) -> None:
    deed = entry["done"]
    client.statuses.discard("deleted")
    if deed in _ENDS:
        client.statuses = {_ENDS[deed]}
    elif deed == "set_scopes":
        client.scopes = {frozenset(entry["scopes"])}
    elif deed == "rotate":
        client.old += [client.secret] if client.secret else []
        client.secret, client.secret_is_sure = entry["secret"], True
