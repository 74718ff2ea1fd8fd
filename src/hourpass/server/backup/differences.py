"""What an old database and a restored one say about who may do what, and where they differ. Pure.

A restore brings back to life what was rotated, suspended, removed or revoked since the backup was
made. Nothing here is a secret in clear, and digests are never shown.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from hourpass.server.clients.model import Status

Facts = TypeVar("Facts")


class Kind(StrEnum):
    """What can differ."""

    CLIENT = "client"
    OPERATOR = "operator"
    ORGANIZATION = "organization"
    SIGNING_KEY = "signing key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFacts:
    """What a database says of an API client."""

    name: str
    organization: str
    status: Status
    scopes: frozenset[str]
    secrets: frozenset[bytes] = field(repr=False)
    expires_at: datetime | None = None
    leaked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFacts:
    """What a database says of an operator; `credentials` are digests and hashes."""

    email: str
    roles: frozenset[str]
    credentials: frozenset[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One database at one moment."""

    made_at: datetime
    """When the installation was made: what tells it from another one."""
    last_event_at: datetime | None
    clients: Mapping[str, ClientFacts]
    operators: Mapping[str, OperatorFacts]
    organizations: Mapping[str, bool]
    """Whether each is suspended."""
    keys: Mapping[str, bool]
    """Whether each signing key is revoked."""
    highest_version: int
    """No generation or version of anything is above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs: what it is in the old database and in the restored one."""

    what: str
    old: str | None
    restored: str | None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.old is None or self.restored is None:
            return self.what
        return f"{self.what}: {self.old or 'none'} → {self.restored or 'none'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One client, operator, organization or key that differs."""

    kind: Kind
    id: str
    name: str
    changes: tuple[Change, ...]

    def as_json(self) -> dict[str, object]:
        """`{kind, id, name, changes: [{what, old, restored}]}`."""
        return {
            "kind": self.kind.value,
            "id": self.id,
            "name": self.name,
            "changes": [
                {"what": change.what, "old": change.old, "restored": change.restored}
                for change in self.changes
            ],
        }


DELETED = Change(what="deleted since: alive again", old=None, restored=None)
CREATED = Change(what="created since: gone", old=None, restored=None)
REVOKED = Change(what="revoked since: revoked again by the restore", old=None, restored=None)


def differences(old: Survey, restored: Survey) -> list[Difference]:
    """Clients first, each kind in the order of its IDs."""
    return [
        *_of_kind(
            Kind.CLIENT,
            old.clients,
            restored.clients,
            name=lambda client: client.name,
            changes=_client_changes,
        ),
        *_of_kind(
            Kind.OPERATOR,
            old.operators,
            restored.operators,
            name=lambda operator: operator.email,
            changes=_operator_changes,
        ),
        *_organizations(old, restored),
        *_keys(old, restored),
    ]


def revoked_since(old: Survey, restored: Survey) -> frozenset[str]:
    """The signing keys that the old database has revoked and the restored one has not."""
    return frozenset(
        kid
        for kid, revoked in old.keys.items()
        if revoked and restored.keys.get(kid, True) is False
    )


def _of_kind(
    kind: Kind,
    old: Mapping[str, Facts],
    restored: Mapping[str, Facts],
    *,
    name: Callable[[Facts], str],
    changes: Callable[[Facts, Facts], Iterable[Change]],
) -> Iterator[Difference]:
    for its_id in sorted(old.keys() | restored.keys()):
        before, after = old.get(its_id), restored.get(its_id)
        if before is not None and after is not None:
            found = tuple(changes(before, after))
        else:
            found = (DELETED if before is None else CREATED,)
        named = after or before
        if found and named is not None:
            yield Difference(kind=kind, id=its_id, name=name(named), changes=found)


def _client_changes(old: ClientFacts, restored: ClientFacts) -> Iterator[Change]:
    if old.secrets != restored.secrets:
        yield Change(what="another secret", old=None, restored=None)
    if old.leaked and not restored.leaked:
        yield Change(what="its secret was reported as leaked since", old=None, restored=None)
    if old.status != restored.status:
        yield Change(what="status", old=old.status.value, restored=restored.status.value)
    elif old.expires_at != restored.expires_at:
        yield Change(what="another time of expiry", old=None, restored=None)
    if old.scopes != restored.scopes:
        yield Change(
            what="scopes",
            old=" ".join(sorted(old.scopes)),
            restored=" ".join(sorted(restored.scopes)),
        )
    if old.organization != restored.organization:
        yield Change(what="organization", old=old.organization, restored=restored.organization)


def _operator_changes(old: OperatorFacts, restored: OperatorFacts) -> Iterator[Change]:
    if old.roles != restored.roles:
        yield Change(
            what="roles",
            old=", ".join(sorted(old.roles)),
            restored=", ".join(sorted(restored.roles)),
        )
    if old.credentials != restored.credentials:
        yield Change(
            what="other credentials: password, authenticator app, recovery codes or passkeys",
            old=None,
            restored=None,
        )


def _organizations(old: Survey, restored: Survey) -> Iterator[Difference]:
    for name in sorted(old.organizations.keys() | restored.organizations.keys()):
        before, after = old.organizations.get(name), restored.organizations.get(name)
        if before == after:
            continue
        if before is None or after is None:
            change = DELETED if before is None else CREATED
        else:
            change = Change(
                what="status", old=_status(suspended=before), restored=_status(suspended=after)
            )
        yield Difference(kind=Kind.ORGANIZATION, id=name, name=name, changes=(change,))


def _keys(old: Survey, restored: Survey) -> Iterator[Difference]:
    for kid in sorted(revoked_since(old, restored)):
        yield Difference(kind=Kind.SIGNING_KEY, id=kid, name=kid, changes=(REVOKED,))


def _status(*, suspended: bool) -> str:
    return (Status.SUSPENDED if suspended else Status.ACTIVE).value
