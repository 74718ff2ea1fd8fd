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
_ENTRIES = ("begins", "unknown", "absent", "done")


@dataclass(slots=True)
class Expected:
    """What a client has to be.

    A deed that began and has no end may have been done or not, and there can be several: while
    the database is down each attempt fails with its outcome unknown. So there may be more than
    one status, and more than one set of scopes, that is right, until a deed that was acknowledged
    says which.
    """

    secret: str
    scopes: set[frozenset[str]]
    old: list[str] = field(default_factory=list)
    statuses: set[str] = field(default_factory=lambda: {"active"})
    generation: int = 1
    """Of its tokens; at least this: who was told that they are revoked may rely on it."""
    secret_is_sure: bool = True
    history: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Deed:
    """A deed that began, known in the audit trail by its request ID."""

    kind: str
    client_id: str
    """Empty while a client is being made: then nobody was told its ID."""
    events_if_done: set[int]
    """What changes nothing, such as suspending twice, has none."""
    events: set[int] = field(default_factory=lambda: {0, 1})
    """How many audit events it may have."""


@dataclass(slots=True)
class Told:
    """What the callers know: clients by ID, deeds by request ID."""

    clients: dict[str, Expected] = field(default_factory=dict)
    deeds: dict[str, Deed] = field(default_factory=dict)
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
            told.deeds[entry["request_id"]] = Deed(
                kind=entry["begins"],
                client_id=entry["client_id"],
                events_if_done=_events_if_done(entry, client),
            )
            if client is not None:
                _may_be_done(entry, client)
        elif "absent" in entry:
            told.deeds[entry["request_id"]].events = {0}
            if client is not None:
                if "deleted" not in client.statuses:
                    told.losses.append(f"{entry['client_id']} is gone: {', '.join(client.history)}")
                client.statuses = {"deleted"}
        elif "done" in entry:
            told.acknowledged += 1
            deed = told.deeds[entry["request_id"]]
            deed.client_id, deed.events = entry["client_id"], deed.events_if_done
            if client is None:
                made = Expected(entry["secret"], {frozenset(entry["scopes"])})
                told.clients[entry["client_id"]] = made
            else:
                _is_done(entry, client)
    return told


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
    elif deed == "revoke_tokens":
        client.generation = entry["generation"]
    elif deed == "rotate":
        client.old.append(client.secret)
        client.secret, client.secret_is_sure = entry["secret"], True
