"""The deeds on an API client: one function each, row and audit event in one transaction.

Each reads the client, lets the model decide, and writes where the client still stands as it
was read (compare-and-swap). Whoever loses a race tries again on the new state, except
`rotate_secret`: of two rotations at once one wins and the other is told, so that nobody is
shown a secret that is dead already.
"""

import secrets as random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Detail, Event, Origin, printable, rfc3339
from hourpass.server.catalogue import store as catalogue
from hourpass.server.clients import model, secrets, store
from hourpass.server.clients.model import BadInput, Client, Conflict
from hourpass.server.clients.secrets import ClientCredential, Secret
from hourpass.server.db.engine import Database
from hourpass.server.keys.keyring import Keyring
from hourpass.server.organizations import store as organizations
from hourpass.server.organizations.model import DEFAULT

_ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_ATTEMPTS = 10


class NotFound(LookupError):
    """There is no such client, or none that the caller may see."""

    def __init__(self, client_id: str) -> None:
        super().__init__(f"there is no API client {printable(client_id, 40)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WithSecret:
    """A client and the secret that is shown this once."""

    client: Client
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """What an operator gives to create a client."""

    name: str
    scopes: frozenset[str]
    description: str = ""
    expires_in_days: int | None = None
    organization: str = DEFAULT


def create(database: Database, keyring: Keyring, new: NewClient, by: Origin) -> WithSecret:
    """Register a client; raises BadInput. The secret is in the answer and nowhere else."""
    name = model.checked_name(new.name)
    description = model.checked_description(new.description)
    secret, credential = _new_secret(keyring)
    with database.write() as connection:
        now = database.now(connection)
        catalogue.hold_still(connection)
        organization = printable(new.organization, 40)
        if organization != new.organization or not organizations.get(connection, organization):
            raise BadInput("organization", f"there is no organization {organization!r}")
        problem = catalogue.load(connection, "").problem_with(new.scopes, frozenset())
        if problem is not None:
            raise BadInput("scopes", problem)
        client = Client(
            client_id="m2m_" + "".join(random.choice(_ID_LETTERS) for _ in range(20)),
            organization=new.organization,
            name=name,
            description=description,
            scopes=new.scopes,
            credentials=(credential,),
            created_at=now,
            created_by=by.actor,
            expires_at=model.expiry(new.expires_in_days, now),
        )
        store.add(connection, client)
        detail: Detail = {
            "scopes": sorted(client.scopes),
            "expires_at": rfc3339(client.expires_at) if client.expires_at else None,
        }
        audit.record(connection, [_event(Event.CLIENT_CREATED, client, by, detail)], now)
    return WithSecret(client=client, secret=secret)


def update(
    database: Database,
    client_id: str,
    by: Origin,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Client:
    """Change name or description; raises NotFound, BadInput."""

    def decide(client: Client, _now: datetime) -> tuple[Client, list[AuditEvent]]:
        after = client.updated(name=name, description=description)
        detail: dict[str, str] = {}
        if after.name != client.name:
            detail |= {"name_before": client.name, "name": after.name}
        if after.description != client.description:
            detail["description"] = after.description
        return after, [_event(Event.CLIENT_UPDATED, after, by, detail)]

    return _change(database, client_id, decide)


def set_scopes(
    database: Database,
    client_id: str,
    scopes: frozenset[str],
    by: Origin,
    *,
    expected_version: int | None = None,
) -> Client:
    """Replace the scopes; the secret stays, the next token has them. Raises NotFound, BadInput.

    With `expected_version` raises Conflict when the client is not at that version any more.
    """

    def decide(client: Client, _now: datetime) -> tuple[Client, list[AuditEvent]]:
        if expected_version is not None and client.version != expected_version:
            raise Conflict("this API client was changed meanwhile; look at it again")
        after = client.with_scopes(scopes)
        detail: Detail = {
            "added": sorted(scopes - client.scopes),
            "removed": sorted(client.scopes - scopes),
        }
        return after, [_event(Event.CLIENT_SCOPES_CHANGED, after, by, detail)]

    return _change(database, client_id, decide)


def rotate_secret(
    database: Database,
    keyring: Keyring,
    client_id: str,
    by: Origin,
    *,
    revoke_live_tokens: bool = False,
) -> WithSecret:
    """A new secret; the old one fails from now on, the client ID stays.

    Raises NotFound; Conflict when the client has expired or another rotation was faster.
    """
    secret, credential = _new_secret(keyring)
    replaced: list[tuple[ClientCredential, ...]] = []

    def decide(client: Client, now: datetime) -> tuple[Client, list[AuditEvent]]:
        replaced.append(client.credentials)
        if client.credentials != replaced[0]:
            raise Conflict(
                "somebody else rotated this secret at the same moment; the one shown to them "
                "is live, so ask them for it or rotate again"
            )
        after = client.rotated(credential, now, revoke_live_tokens=revoke_live_tokens)
        detail = {"revoke_live_tokens": revoke_live_tokens}
        return after, [_event(Event.CLIENT_SECRET_ROTATED, after, by, detail)]

    return WithSecret(client=_change(database, client_id, decide), secret=secret)


def suspend(
    database: Database, client_id: str, by: Origin, *, revoke_live_tokens: bool = False
) -> Client:
    """No new tokens until activated; live ones stay unless revoked too. Raises NotFound."""

    def decide(client: Client, now: datetime) -> tuple[Client, list[AuditEvent]]:
        after = client.suspended(now, revoke_live_tokens=revoke_live_tokens)
        detail = {"revoke_live_tokens": revoke_live_tokens}
        return after, [_event(Event.CLIENT_SUSPENDED, after, by, detail)]

    return _change(database, client_id, decide)


def activate(database: Database, client_id: str, by: Origin) -> Client:
    """A suspended client gets tokens again. Raises NotFound; Conflict when it has expired."""

    def decide(client: Client, now: datetime) -> tuple[Client, list[AuditEvent]]:
        after = client.activated(now)
        return after, [_event(Event.CLIENT_ACTIVATED, after, by, {})]

    return _change(database, client_id, decide)


def revoke_tokens(database: Database, client_id: str, by: Origin) -> Client:
    """Online checks refuse every token issued so far. Raises NotFound."""

    def decide(client: Client, _now: datetime) -> tuple[Client, list[AuditEvent]]:
        after = client.with_tokens_revoked()
        detail = {"token_generation": after.token_generation}
        return after, [_event(Event.CLIENT_TOKENS_REVOKED, after, by, detail)]

    return _change(database, client_id, decide)


def delete(database: Database, client_id: str, by: Origin) -> None:
    """Remove the client for good; the audit trail stays. Raises NotFound."""
    for _ in range(_ATTEMPTS):
        client = _read(database, client_id)
        with database.write() as connection:
            now = database.now(connection)
            if store.remove(connection, client):
                event = _event(Event.CLIENT_DELETED, client, by, {"scopes": sorted(client.scopes)})
                audit.record(connection, [event], now)
                return
    raise Conflict("this API client is being changed by others; try again")


def _change(
    database: Database,
    client_id: str,
    decide: Callable[[Client, datetime], tuple[Client, list[AuditEvent]]],
) -> Client:
    """Read, decide, compare-and-swap; once more on the new state when somebody was faster."""
    for _ in range(_ATTEMPTS):
        before = _read(database, client_id)
        with database.write() as connection:
            now = database.now(connection)
            after, events = decide(before, now)
            if after is before:
                return before
            if after.scopes != before.scopes:
                catalogue.hold_still(connection)
                held = catalogue.load(connection, "")
                problem = held.problem_with(after.scopes, before.scopes)
                if problem is not None:
                    raise BadInput("scopes", problem)
            if store.save(connection, before, after):
                audit.record(connection, events, now)
                return after
    raise Conflict("this API client is being changed by others; try again")


def _read(database: Database, client_id: str) -> Client:
    if not model.is_client_id(client_id):
        raise NotFound(client_id)
    with database.read() as connection:
        client = store.get(connection, client_id)
    if client is None:
        raise NotFound(client_id)
    return client


def _new_secret(keyring: Keyring) -> tuple[Secret, ClientCredential]:
    secret = secrets.new()
    version = keyring.pepper_version
    return secret, ClientCredential(secrets.digest(secret, keyring.peppers[version]), version)


def _event(event: Event, client: Client, by: Origin, detail: Detail) -> AuditEvent:
    return AuditEvent(
        event=event,
        origin=by,
        client_id=client.client_id,
        client_name=client.name,
        organization=client.organization,
        detail=detail,
    )
