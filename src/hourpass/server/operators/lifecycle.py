"""The deeds on operators: invite, set a role, reset, remove, and what a one-time link does.

Each is one transaction with its audit event. Those that change who may do what take turns, so
that two of them at once cannot leave the installation without an owner; what an operator who
does them holds is read in that same transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hourpass.server import identifiers
from hourpass.server.audit import store as audit
from hourpass.server.audit.events import SYSTEM, AuditEvent, Detail, Event, Origin
from hourpass.server.db.engine import Database
from hourpass.server.operators import model, store, tokens
from hourpass.server.operators.credentials import passwords
from hourpass.server.operators.credentials import store as credentials
from hourpass.server.operators.credentials.passwords import Password, Passwords
from hourpass.server.operators.lookup import powers_of
from hourpass.server.operators.model import (
    NotFound,
    Operator,
    Powers,
    Role,
)
from hourpass.server.operators.sessions import store as sessions
from hourpass.server.operators.store import Link, LinkPurpose
from hourpass.server.operators.tokens import Token
from hourpass.server.organizations import store as organizations
from hourpass.server.refused import BadInput, Conflict, Missing

LIFETIMES = {
    LinkPurpose.INVITE: timedelta(hours=72),
    LinkPurpose.RESET: timedelta(hours=1),
    LinkPurpose.SET_UP: timedelta(hours=1),
}
_LINK = "operator link"


class DeadLink(Missing):
    """The link was used, replaced or has expired, or there never was one."""

    def __init__(self) -> None:
        super().__init__("this link is not good any more; ask for a new one")


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeLink:
    """A link to be shown this once."""

    token: Token
    expires_at: datetime

    def url(self, issuer: str) -> str:
        """Where it leads. The token is in the fragment, which no browser sends to a server."""
        return f"{issuer}/admin/invitation#{self.token.reveal()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An operator, and the link to pass on; None for somebody who has signed up before."""

    operator: Operator
    link: OneTimeLink | None


def set_role(
    database: Database, email: str, organization: str | None, role: Role, by: Origin
) -> Invited:
    """Give a person a role in an organization, inviting whoever is new.

    Links go to whoever asks, so an account proves to others only what its inviter says of it.
    Who brings an existing one into an organization, or one that a link can still open, must
    therefore be able to do all that the account can then do. An older link is dead then.
    Raises BadInput, Conflict, NotAllowed.
    """
    email = model.normal_email(email)
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        powers = powers_of(connection, by)
        _require_there(connection, organization)
        before = store.by_email(connection, email)
        if before is None:
            model.require_may_set(powers, organization, None, role)
            operator = Operator(
                operator_id=identifiers.new_id("opr_"),
                email=email,
                roles={organization: role},
                created_at=now,
                created_by=by.actor,
            )
            store.add(connection, operator)
            return _invited(connection, operator, organization, role, by, now)
        old = before.roles.get(organization)
        model.require_may_set(powers, organization, old, role)
        operator = before.with_role(organization, role)
        link = store.open_link(connection, operator.operator_id, now)
        if link is not None or operator.activated_at is None or old is None:
            _require_may_vouch(powers, operator)
        if old is not role:
            _require_owner_left(connection, before, operator)
            store.set_role(connection, operator.operator_id, organization, role)
        if operator.activated_at is None:
            return _invited(connection, operator, organization, role, by, now)
        if old is not role:
            detail: Detail = {"role": role.value, "role_before": old.value if old else None}
            _record(connection, Event.OPERATOR_UPDATED, operator, organization, by, now, detail)
        if link is not None and old is not role:
            store.drop_links(connection, operator.operator_id)
        return Invited(operator=operator, link=None)


def take_role(
    database: Database, email: str, organization: str | None, by: Origin
) -> Operator | None:
    """Take the role in an organization away; None when it was the last one and the person is gone.

    Raises NotFound, Conflict, NotAllowed.
    """
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        powers = powers_of(connection, by)
        before = _visible(connection, email, powers)
        old = before.roles.get(organization)
        if old is None:
            raise NotFound
        model.require_may_set(powers, organization, old, None)
        after = before.with_role(organization, None)
        _require_owner_left(connection, before, after)
        if not after.roles:
            _remove(connection, before, by, now)
            return None
        store.set_role(connection, before.operator_id, organization, None)
        detail: Detail = {"role": None, "role_before": old.value}
        _record(connection, Event.OPERATOR_UPDATED, after, organization, by, now, detail)
        return after


def remove(database: Database, email: str, by: Origin) -> None:
    """Remove the person, with every role, session and credential.

    Raises NotFound, Conflict, NotAllowed.
    """
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        powers = powers_of(connection, by)
        operator = _visible(connection, email, powers)
        model.require_covers(powers, operator)
        _require_owner_left(connection, operator, None)
        _remove(connection, operator, by, now)


def reset(database: Database, email: str, by: Origin) -> Invited:
    """A new link for somebody who cannot sign in any more, or lost the invitation.

    Nothing of the account changes until the link is used. Raises NotFound, NotAllowed.
    """
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        powers = powers_of(connection, by)
        operator = _visible(connection, email, powers)
        model.require_covers(powers, operator)
        purpose = LinkPurpose.RESET if operator.activated_at else LinkPurpose.INVITE
        link = _new_link(connection, purpose, operator.operator_id, now)
        event = Event.OPERATOR_RESET if operator.activated_at else Event.OPERATOR_INVITED
        _record(connection, event, operator, operator.home, by, now, {"step": "link made"})
        return Invited(operator=operator, link=link)


def make_set_up_link(database: Database, by: Origin) -> OneTimeLink:
    """The link that lets the first owner of the installation sign up; instead of older ones.

    Raises Conflict once there is any operator.
    """
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        if store.any_exists(connection):
            raise Conflict(
                "there are operators already; invite others with `hourpass operators create`, "
                "or let one back in with `hourpass operators reset`"
            )
        link = _new_link(connection, LinkPurpose.SET_UP, None, now)
        event = AuditEvent(
            event=Event.OPERATOR_INVITED, origin=by, detail={"step": "set-up link made"}
        )
        audit.record(connection, [event], now)
        return link


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkShown:
    """What a page may say of a link that is good; the address is None for one that sets up."""

    purpose: LinkPurpose
    email: str | None
    expires_at: datetime


def look_at_link(database: Database, token: Token) -> LinkShown:
    """What a link is for, without using it up; raises DeadLink."""
    with database.read() as connection:
        link, operator = _good_link(connection, token, database.now(connection))
    return LinkShown(
        purpose=link.purpose,
        email=operator.email if operator else None,
        expires_at=link.expires_at,
    )


def use_link(
    database: Database,
    hashing: Passwords,
    token: Token,
    password: Password,
    by: Origin,
    *,
    email: str | None = None,
) -> Operator:
    """Set the password, which makes the account or lets its person back in.

    What proved the person before is gone: password, authenticator app, recovery codes,
    passkeys, sessions. `email` is for the set-up link, which makes an account. `by` gives the
    address and request; the actor is the person. Raises DeadLink, BadInput, TooBusy.
    """
    with database.read() as connection:
        _, operator = _good_link(connection, token, database.now(connection))
    address = operator.email if operator else model.normal_email(email or "")
    passwords.check_new(password, address)
    password_hash = hashing.hash(password)  # outside any transaction: it takes long
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        used = store.use_link(connection, _digest(token), now)
        if used is None:
            raise DeadLink
        if used.purpose is LinkPurpose.SET_UP:
            return _set_up(connection, address, password_hash, by, now)
        known = store.hold(connection, used.operator_id or "")
        if known is None:
            raise DeadLink
        store.set_password(connection, known.operator_id, password_hash, now)
        credentials.forget(connection, known.operator_id)
        sessions.end_all(connection, known.operator_id)
        sessions.forgive(connection, sessions.account_of(known.operator_id))
        origin = Origin(actor=known.actor, request_id=by.request_id, ip=by.ip)
        event = Event.OPERATOR_RESET if known.activated_at else Event.OPERATOR_CREATED
        _record(connection, event, known, known.home, origin, now, {"step": "link used"})
        after = store.get(connection, known.operator_id)
        if after is None:  # it was read in this transaction
            raise DeadLink
        return after


def _set_up(
    connection: Connection, email: str, password_hash: str, by: Origin, now: datetime
) -> Operator:
    if store.any_exists(connection):
        raise DeadLink
    operator = Operator(
        operator_id=identifiers.new_id("opr_"),
        email=email,
        roles={None: Role.OWNER},
        created_at=now,
        created_by=SYSTEM,
        activated_at=now,
        password_hash=password_hash,
    )
    store.add(connection, operator)
    store.drop_set_up_links(connection)
    origin = Origin(actor=operator.actor, request_id=by.request_id, ip=by.ip)
    detail = {"step": "set-up link used", "role": Role.OWNER.value}
    _record(connection, Event.OPERATOR_CREATED, operator, None, origin, now, detail)
    return operator


def _good_link(connection: Connection, token: Token, now: datetime) -> tuple[Link, Operator | None]:
    link = store.find_link(connection, _digest(token), now)
    if link is None:
        raise DeadLink
    operator = store.get(connection, link.operator_id) if link.operator_id else None
    return link, operator


def _invited(
    connection: Connection,
    operator: Operator,
    organization: str | None,
    role: Role,
    by: Origin,
    now: datetime,
) -> Invited:
    store.drop_set_up_links(connection)
    link = _new_link(connection, LinkPurpose.INVITE, operator.operator_id, now)
    _record(
        connection, Event.OPERATOR_INVITED, operator, organization, by, now, {"role": role.value}
    )
    return Invited(operator=operator, link=link)


def _new_link(
    connection: Connection, purpose: LinkPurpose, operator_id: str | None, now: datetime
) -> OneTimeLink:
    token = tokens.new()
    link = Link(purpose, operator_id, now + LIFETIMES[purpose])
    store.add_link(connection, _digest(token), link, now)
    return OneTimeLink(token=token, expires_at=link.expires_at)


def _digest(token: Token) -> bytes:
    return tokens.digest(token, _LINK)


def _visible(connection: Connection, email: str, powers: Powers) -> Operator:
    """The operator whole, if `powers` may know of any role; raises NotFound."""
    try:
        operator = store.by_email(connection, model.normal_email(email))
    except BadInput:
        operator = None
    if operator is None or model.seen_by(powers, operator) is None:
        raise NotFound
    return operator


def _require_there(connection: Connection, organization: str | None) -> None:
    if organization is not None and (
        not organization.isascii()
        or not organization.isprintable()
        or organizations.get(connection, organization) is None
    ):
        raise BadInput("organization", "there is no such organization")


def _require_may_vouch(powers: Powers, operator: Operator) -> None:
    try:
        model.require_covers(powers, operator)
    except model.NotAllowed:
        raise Conflict(
            "somebody with this address has roles elsewhere; "
            "only an operator who could give those as well can add one here"
        ) from None


def _require_owner_left(connection: Connection, before: Operator, after: Operator | None) -> None:
    owners = store.installation_owners(connection)
    rest = [owner for owner in owners if owner.operator_id != before.operator_id]
    model.require_owner_left(owners, rest if after is None else [*rest, after])


def _remove(connection: Connection, operator: Operator, by: Origin, now: datetime) -> None:
    store.hold(connection, operator.operator_id)
    store.remove(connection, operator.operator_id)
    sessions.forgive(connection, sessions.account_of(operator.operator_id))
    roles = [
        f"{organization or 'installation'}: {role}" for organization, role in operator.roles.items()
    ]
    _record(
        connection,
        Event.OPERATOR_REMOVED,
        operator,
        operator.home,
        by,
        now,
        {"roles": sorted(roles)},
    )


def _record(
    connection: Connection,
    event: Event,
    operator: Operator,
    organization: str | None,
    by: Origin,
    now: datetime,
    detail: Detail,
) -> None:
    whom = {"operator_id": operator.operator_id, "email": operator.email}
    audit.record(
        connection,
        [AuditEvent(event=event, origin=by, organization=organization, detail={**whom, **detail})],
        now,
    )
