"""The tables of operators, their memberships and their links."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Row, delete, func, insert, literal, select, update

from hourpass.server.audit.events import Actor
from hourpass.server.db.columns import Moment
from hourpass.server.db.operator_schema import operator as table
from hourpass.server.db.operator_schema import operator_link
from hourpass.server.db.operator_schema import operator_membership as membership
from hourpass.server.db.schema import installation, sealed_key
from hourpass.server.db.schema import organization as organization_table
from hourpass.server.operators.model import Operator, Role
from hourpass.server.words import searched_words

TOTP = "totp"


class LinkPurpose(StrEnum):
    """What a one-time link is for."""

    INVITE = "invite"
    RESET = "reset"
    SET_UP = "setup"


@dataclass(frozen=True, slots=True)
class Link:
    """What is stored of a one-time link; one that sets up the installation is nobody's yet."""

    purpose: LinkPurpose
    operator_id: str | None
    expires_at: datetime


def take_turn(connection: Connection) -> None:
    """Wait for whoever is changing operators now, and keep others out until the commit.

    On SQLite the write lock does that already.
    """
    connection.execute(select(installation.c.id).with_for_update())


def get(connection: Connection, operator_id: str) -> Operator | None:
    """One operator by ID, or None."""
    query = select(table).where(table.c.operator_id == operator_id)
    return _one(connection, connection.execute(query).all())


def hold(connection: Connection, operator_id: str) -> Operator | None:
    """The operator, whom nobody else changes, signs in or removes until the commit.

    Whoever changes anything of one operator's begins with this, so that no two wait for each
    other.
    """
    query = select(table.c.operator_id).where(table.c.operator_id == operator_id)
    connection.execute(query.with_for_update())
    return get(connection, operator_id)


def by_email(connection: Connection, email: str) -> Operator | None:
    """One operator by address in its one spelling, or None."""
    query = select(table).where(table.c.email == email)
    return _one(connection, connection.execute(query).all())


def id_of(connection: Connection, email: str) -> str | None:
    """The ID of the operator with that address in its one spelling, or None."""
    return connection.execute(
        select(table.c.operator_id).where(table.c.email == email)
    ).scalar_one_or_none()


def page(
    connection: Connection,
    *,
    limit: int,
    organization: str | None = None,
    before: tuple[datetime, str] | None = None,
    search: str = "",
    of_installation: bool = False,
) -> list[Operator]:
    """Up to `limit` operators with a role in any organization, or in that one, newest first.

    `search` has parts of the address, all of them, or the beginning of the ID, whatever the case;
    `of_installation`: those with a role in the installation are among those of any organization.
    """
    query = select(table).where(
        *(
            table.c.email.contains(part, autoescape=True)
            | table.c.operator_id.startswith(part, autoescape=True)
            for part in searched_words(search)
        )
    )
    if organization is not None or not of_installation:
        roles = select(membership.c.operator_id).where(
            membership.c.organization.is_not(None)
            if organization is None
            else membership.c.organization == organization
        )
        query = query.where(table.c.operator_id.in_(roles))
    if before is not None:
        moment, operator_id = before
        query = query.where(
            (table.c.created_at < moment)
            | ((table.c.created_at == moment) & (table.c.operator_id < operator_id))
        )
    query = query.order_by(table.c.created_at.desc(), table.c.operator_id.desc()).limit(limit)
    return _with_roles(connection, connection.execute(query).all())


def installation_owners(connection: Connection) -> list[Operator]:
    """Those who own the installation."""
    owners = select(membership.c.operator_id).where(
        membership.c.organization.is_(None), membership.c.role == Role.OWNER.value
    )
    rows = connection.execute(select(table).where(table.c.operator_id.in_(owners))).all()
    return _with_roles(connection, rows)


def any_exists(connection: Connection) -> bool:
    """Whether there is an operator at all, invited ones included."""
    return connection.execute(select(table.c.operator_id).limit(1)).first() is not None


def add(connection: Connection, operator: Operator) -> None:
    """A new operator with the roles."""
    connection.execute(
        insert(table).values(
            operator_id=operator.operator_id,
            email=operator.email,
            created_at=operator.created_at,
            created_by_type=operator.created_by.type,
            created_by_id=operator.created_by.id,
            created_by_name=operator.created_by.name,
            activated_at=operator.activated_at,
            password_hash=operator.password_hash,
        )
    )
    for organization, role in operator.roles.items():
        set_role(connection, operator.operator_id, organization, role)


def set_role(
    connection: Connection, operator_id: str, organization: str | None, role: Role | None
) -> None:
    """That role there instead of any other; None takes it away."""
    connection.execute(
        delete(membership).where(
            membership.c.operator_id == operator_id,
            membership.c.organization.is_(None)
            if organization is None
            else membership.c.organization == organization,
        )
    )
    if role is not None:
        connection.execute(
            insert(membership).values(
                operator_id=operator_id, organization=organization, role=role.value
            )
        )


def set_password(
    connection: Connection, operator_id: str, password_hash: str, activated_at: datetime
) -> None:
    """A new password; the first one makes the operator one who has signed up."""
    connection.execute(
        update(table)
        .where(table.c.operator_id == operator_id)
        .values(
            password_hash=password_hash,
            activated_at=func.coalesce(table.c.activated_at, literal(activated_at, Moment)),
        )
    )


def swap_password_hash(connection: Connection, operator_id: str, old: str, new: str) -> bool:
    """Whether `old` still stood and `new` is there now; `new` may be the same."""
    query = (
        update(table)
        .where(table.c.operator_id == operator_id, table.c.password_hash == old)
        .values(password_hash=new)
        .returning(table.c.operator_id)
    )
    return connection.execute(query).first() is not None


def remove(connection: Connection, operator_id: str) -> None:
    """The person, with everything that is theirs."""
    connection.execute(
        delete(sealed_key).where(sealed_key.c.kind == TOTP, sealed_key.c.name == operator_id)
    )
    connection.execute(delete(table).where(table.c.operator_id == operator_id))


def add_link(connection: Connection, digest: bytes, link: Link, now: datetime) -> None:
    """A one-time link instead of any other for the same person; expired ones are forgotten."""
    same = operator_link.c.operator_id == link.operator_id
    if link.operator_id is None:
        same = operator_link.c.operator_id.is_(None)
    connection.execute(delete(operator_link).where(same | (operator_link.c.expires_at <= now)))
    connection.execute(
        insert(operator_link).values(
            digest=digest,
            purpose=link.purpose.value,
            operator_id=link.operator_id,
            created_at=now,
            expires_at=link.expires_at,
        )
    )


def find_link(connection: Connection, digest: bytes, now: datetime) -> Link | None:
    """The link while it is good."""
    query = select(operator_link).where(
        operator_link.c.digest == digest, operator_link.c.expires_at > now
    )
    return _link(connection.execute(query).one_or_none())


def use_link(connection: Connection, digest: bytes, now: datetime) -> Link | None:
    """The link if it is good; in the same step it is so no more, for anybody."""
    query = (
        delete(operator_link)
        .where(operator_link.c.digest == digest, operator_link.c.expires_at > now)
        .returning(operator_link)
    )
    return _link(connection.execute(query).one_or_none())


def open_link(connection: Connection, operator_id: str, now: datetime) -> Link | None:
    """The link that somebody may still hold for that person."""
    query = select(operator_link).where(
        operator_link.c.operator_id == operator_id, operator_link.c.expires_at > now
    )
    return _link(connection.execute(query).first())


def drop_links(connection: Connection, operator_id: str) -> None:
    """Whoever may still hold a link for that person holds nothing."""
    connection.execute(delete(operator_link).where(operator_link.c.operator_id == operator_id))


def drop_set_up_links(connection: Connection) -> None:
    """Nobody sets the installation up any more."""
    connection.execute(delete(operator_link).where(operator_link.c.operator_id.is_(None)))


def _one(connection: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> Operator | None:
    found = _with_roles(connection, rows)
    return found[0] if found else None


def _with_roles(connection: Connection, rows: Iterable[Row[tuple[object, ...]]]) -> list[Operator]:
    operators = list(rows)
    roles: dict[str, dict[str | None, Role]] = {}
    suspended: dict[str, set[str]] = {}
    query = (
        select(membership, organization_table.c.suspended_at)
        .outerjoin(organization_table, organization_table.c.id == membership.c.organization)
        .where(membership.c.operator_id.in_([row.operator_id for row in operators]))
        .order_by(membership.c.id)
    )
    for part in connection.execute(query):
        roles.setdefault(part.operator_id, {})[part.organization] = Role(part.role)
        if part.suspended_at is not None:
            suspended.setdefault(part.operator_id, set()).add(part.organization)
    return [
        Operator(
            operator_id=row.operator_id,
            email=row.email,
            roles=roles.get(row.operator_id, {}),
            suspended=frozenset(suspended.get(row.operator_id, ())),
            created_at=row.created_at,
            created_by=Actor(row.created_by_type, row.created_by_id, row.created_by_name),
            activated_at=row.activated_at,
            password_hash=row.password_hash,
        )
        for row in operators
    ]


def _link(row: Row[tuple[object, ...]] | None) -> Link | None:
    if row is None:
        return None
    return Link(LinkPurpose(row.purpose), row.operator_id, row.expires_at)
