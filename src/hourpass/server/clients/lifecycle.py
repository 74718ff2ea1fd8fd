"""The deeds on an API client: one function each, row and audit event in one transaction.

Each reads the client, lets the model decide, and writes where the client still stands as it
was read (compare-and-swap). Whoever loses a race tries again on the new state, except
`rotate_secret`: of two rotations at once one wins and the other is told, so that nobody is
shown a secret that is dead already.

Who may do it is decided here as well, in one place for API, page and command: a client of an
organization that the caller does not see is not there; all deeds need `hourpass.clients:write`;
and but for `suspend` and `revoke_tokens`, by which a leak is stopped, the caller must hold every
management scope that the client holds before and after.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hourpass.server import identifiers
from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Detail, Event, Origin, printable, rfc3339
from hourpass.server.catalogue import store as catalogue
from hourpass.server.clients import idempotency, model, secrets, store
from hourpass.server.clients.idempotency import IdempotencyKey
from hourpass.server.clients.model import KEEP, Client, Keep
from hourpass.server.clients.secrets import ClientCredential, Secret
from hourpass.server.db.engine import Database
from hourpass.server.keys.keyring import Keyring
from hourpass.server.organizations import store as organizations
from hourpass.server.organizations.model import DEFAULT
from hourpass.server.organizations.operations import UnknownOrganization
from hourpass.server.refused import Conflict, Forbidden, Missing, Stale
from hourpass.server.rights import CLIENTS_WRITE

_ATTEMPTS = 10
MAX_URL = 500


class NotFound(Missing):
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
    limit_per_minute: int | None = None
    organization: str = DEFAULT


def create(
    database: Database,
    keyring: Keyring,
    new: NewClient,
    by: Origin,
    *,
    idempotency_key: IdempotencyKey | None = None,
) -> WithSecret:
    """Register a client. The secret is in the answer and nowhere else.

    Raises BadInput, UnknownOrganization, Forbidden; with `idempotency_key` also DoneBefore,
    KeyReused and StillRunning.
    """
    by.rights.need(CLIENTS_WRITE)
    name = model.checked_name(new.name)
    description = model.checked_description(new.description)
    limit = model.checked_limit(new.limit_per_minute)
    secret, credential = _new_secret(keyring)
    with idempotency.running(idempotency_key), database.write() as connection:
        now = database.now(connection)
        idempotency.check(connection, idempotency_key, now)
        organization = printable(new.organization, 40)
        if (
            organization != new.organization
            or not by.rights.sees(organization)
            or not organizations.get(connection, organization)
        ):
            raise UnknownOrganization(new.organization)
        if not by.rights.changes(organization):
            raise Forbidden(f"this caller may not change the organization {organization}")
        problem = catalogue.problem_with(
            connection,
            new.scopes,
            frozenset(),
            organization,
            sees_others=by.rights.sees_every_organization,
        )
        if problem is not None:
            raise problem
        _may_give(by, new.scopes)
        client = Client(
            client_id=identifiers.new_id(model.ID_PREFIX),
            organization=new.organization,
            name=name,
            description=description,
            scopes=new.scopes,
            credentials=(credential,),
            created_at=now,
            created_by=by.actor,
            expires_at=model.expiry(new.expires_in_days, now),
            limit_per_minute=limit,
        )
        store.add(connection, client)
        detail: Detail = {
            "scopes": sorted(client.scopes),
            "expires_at": rfc3339(client.expires_at) if client.expires_at else None,
            **({} if limit is None else {"limit_per_minute": limit}),
        }
        audit.record(connection, [_event(Event.CLIENT_CREATED, client, by, detail)], now)
        idempotency.done(connection, idempotency_key, client.client_id, now)
    return WithSecret(client=client, secret=secret)


def update(
    database: Database,
    client_id: str,
    by: Origin,
    *,
    name: str | None = None,
    description: str | None = None,
    limit_per_minute: int | Keep | None = KEEP,
    scopes: frozenset[str] | None = None,
    expected_versions: frozenset[int] | None = None,
) -> Client:
    """Change what is given, in one step; raises NotFound, Forbidden, BadInput.

    `limit_per_minute` None takes the client's own limit away.
    With `expected_versions` raises Stale when the client is at none of those versions any more.
    """

    def decide(client: Client, _now: datetime) -> tuple[Client, list[AuditEvent]]:
        if expected_versions is not None and client.version not in expected_versions:
            raise Stale("this API client was changed meanwhile; look at it again")
        events = []
        after = client.updated(
            name=name, description=description, limit_per_minute=limit_per_minute
        )
        detail: dict[str, str | int | None] = {}
        if after.name != client.name:
            detail |= {"name_before": client.name, "name": after.name}
        if after.description != client.description:
            detail["description"] = after.description
        if after.limit_per_minute != client.limit_per_minute:
            detail["limit_per_minute"] = after.limit_per_minute
        if detail:
            events.append(_event(Event.CLIENT_UPDATED, after, by, detail))
        if scopes is not None and scopes != client.scopes:
            changed: Detail = {
                "added": sorted(scopes - client.scopes),
                "removed": sorted(client.scopes - scopes),
            }
            after = after.with_scopes(scopes)
            events.append(_event(Event.CLIENT_SCOPES_CHANGED, after, by, changed))
        return after, events

    return _change(database, client_id, by, decide)


def set_scopes(database: Database, client_id: str, scopes: frozenset[str], by: Origin) -> Client:
    """Replace the scopes; the secret stays, the next token has them.

    Raises NotFound, Forbidden, BadInput.
    """
    return update(database, client_id, by, scopes=scopes)


def rotate_secret(
    database: Database,
    keyring: Keyring,
    client_id: str,
    by: Origin,
    *,
    revoke_live_tokens: bool = False,
    idempotency_key: IdempotencyKey | None = None,
) -> WithSecret:
    """A new secret; the old one fails from now on, the client ID stays.

    Raises NotFound, Forbidden; Conflict when the client has expired or another rotation was
    faster; with `idempotency_key` also DoneBefore, KeyReused and StillRunning.
    """
    secret, credential = _new_secret(keyring)
    rotated_at: list[datetime | None] = []

    def decide(client: Client, now: datetime) -> tuple[Client, list[AuditEvent]]:
        # Not by its credentials: they are read after the row, and may be newer than it.
        rotated_at.append(client.secret_rotated_at)
        if client.secret_rotated_at != rotated_at[0]:
            raise Conflict(
                "somebody else rotated this secret at the same moment; the one shown to them "
                "is live, so ask them for it or rotate again"
            )
        after = client.rotated(credential, now, revoke_live_tokens=revoke_live_tokens)
        detail = {"revoke_live_tokens": revoke_live_tokens}
        return after, [_event(Event.CLIENT_SECRET_ROTATED, after, by, detail)]

    with idempotency.running(idempotency_key):
        client = _change(database, client_id, by, decide, idempotency_key=idempotency_key)
    return WithSecret(client=client, secret=secret)


def suspend(
    database: Database, client_id: str, by: Origin, *, revoke_live_tokens: bool = False
) -> Client:
    """No new tokens until activated; live ones stay unless revoked too.

    Raises NotFound, Forbidden; holding the client's management scopes is not needed.
    """

    def decide(client: Client, now: datetime) -> tuple[Client, list[AuditEvent]]:
        after = client.suspended(now, revoke_live_tokens=revoke_live_tokens)
        detail = {"revoke_live_tokens": revoke_live_tokens}
        return after, [_event(Event.CLIENT_SUSPENDED, after, by, detail)]

    return _change(database, client_id, by, decide, needs_its_scopes=False)


def activate(database: Database, client_id: str, by: Origin) -> Client:
    """A suspended client gets tokens again.

    Raises NotFound, Forbidden; Conflict when it has expired, or its secret was reported as leaked.
    """

    def decide(client: Client, now: datetime) -> tuple[Client, list[AuditEvent]]:
        after = client.activated(now)
        return after, [_event(Event.CLIENT_ACTIVATED, after, by, {})]

    return _change(database, client_id, by, decide)


def revoke_tokens(database: Database, client_id: str, by: Origin) -> Client:
    """Online checks refuse every token issued so far.

    Raises NotFound, Forbidden; holding the client's management scopes is not needed.
    """

    def decide(client: Client, _now: datetime) -> tuple[Client, list[AuditEvent]]:
        after = client.with_tokens_revoked()
        detail = {"token_generation": after.token_generation}
        return after, [_event(Event.CLIENT_TOKENS_REVOKED, after, by, detail)]

    return _change(database, client_id, by, decide, needs_its_scopes=False)


def report_leak(
    database: Database,
    keyring: Keyring,
    secret: Secret,
    by: Origin,
    *,
    url: str | None,
    suspend: bool,
) -> None:
    """Suspend the client of a leaked secret and revoke its live tokens, or only record it.

    A secret that is nobody's, or not any more, changes nothing; nor does a second report. Whoever
    holds the secret may: `by` has full rights.
    """
    digests = secrets.digests(secret, keyring.peppers)
    with database.read() as connection:
        client_id = store.holder(connection, digests)
    if client_id is None:
        return

    def decide(client: Client, now: datetime) -> tuple[Client, list[AuditEvent]]:
        if not any(credential.digest in digests for credential in client.credentials):
            return client, []  # rotated in the meantime
        after = client.with_leaked_secret(now, suspend=suspend)
        where = printable(url, MAX_URL) if url else None
        detail: Detail = {"url": where, "suspended": suspend}
        events = [_event(Event.CLIENT_LEAK_REPORTED, after, by, detail)]
        if suspend:
            more: Detail = {"revoke_live_tokens": True, "reason": "leaked"}
            events.append(_event(Event.CLIENT_SUSPENDED, after, by, more))
        return after, events

    try:
        _change(database, client_id, by, decide, needs_its_scopes=False)
    except NotFound:
        return  # deleted in the meantime


def delete(database: Database, client_id: str, by: Origin) -> None:
    """Remove the client for good; the audit trail stays. Raises NotFound, Forbidden."""
    for _ in range(_ATTEMPTS):
        client = read(database, client_id, by)
        _may_change(by, client)
        _may_hold(by, client.scopes)
        with database.write() as connection:
            now = database.now(connection)
            if store.remove(connection, client):
                event = _event(Event.CLIENT_DELETED, client, by, {"scopes": sorted(client.scopes)})
                audit.record(connection, [event], now)
                return
    raise Conflict("this API client is being changed by others; try again")


def read(database: Database, client_id: str, by: Origin) -> Client:
    """The client as it is now; raises NotFound, also for one that the caller may not see."""
    if not model.is_client_id(client_id):
        raise NotFound(client_id)
    with database.read() as connection:
        client = store.get(connection, client_id)
    if client is None or not by.rights.sees(client.organization):
        raise NotFound(client_id)
    return client


def _change(
    database: Database,
    client_id: str,
    by: Origin,
    decide: Callable[[Client, datetime], tuple[Client, list[AuditEvent]]],
    *,
    needs_its_scopes: bool = True,
    idempotency_key: IdempotencyKey | None = None,
) -> Client:
    """Read, decide, compare-and-swap; once more on the new state when somebody was faster.

    `needs_its_scopes`: the caller must hold the client's management scopes.
    """
    for _ in range(_ATTEMPTS):
        before = read(database, client_id, by)
        _may_change(by, before)
        if needs_its_scopes:
            _may_hold(by, before.scopes)
        with database.write() as connection:
            now = database.now(connection)
            idempotency.check(connection, idempotency_key, now)
            after, events = decide(before, now)
            if after is before:
                return before
            if after.scopes != before.scopes:
                problem = catalogue.problem_with(
                    connection,
                    after.scopes,
                    before.scopes,
                    before.organization,
                    sees_others=by.rights.sees_every_organization,
                )
                if problem is not None:
                    raise problem
                _may_give(by, after.scopes - before.scopes)
            if store.save(connection, before, after):
                audit.record(connection, events, now)
                idempotency.done(connection, idempotency_key, client_id, now)
                return after
    raise Conflict("this API client is being changed by others; try again")


def _may_change(by: Origin, client: Client) -> None:
    by.rights.need(CLIENTS_WRITE)
    if not by.rights.changes(client.organization):
        raise Forbidden(f"this caller may not change the organization {client.organization}")


def _may_hold(by: Origin, scopes: frozenset[str]) -> None:
    """Whoever gets the client's secret, or wakes it, could act with its scopes."""
    _refuse("this API client holds {}, which the caller does not hold", by.rights.lacking(scopes))


def _may_give(by: Origin, scopes: frozenset[str]) -> None:
    _refuse("the caller cannot give {}", by.rights.ungrantable(scopes))


def _refuse(words: str, scopes: frozenset[str]) -> None:
    if scopes:
        raise Forbidden(words.format(", ".join(sorted(scopes))))


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
