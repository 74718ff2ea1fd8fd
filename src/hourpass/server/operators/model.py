"""What an operator is, and who may give whom which role. Pure.

Wherever this room says `organization`, None is the installation: a role there counts in every
organization.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from hourpass.server import identifiers
from hourpass.server.audit.events import Actor, printable
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing
from hourpass.server.rights import (
    AUDIT_READ,
    CATALOGUE_READ,
    CLIENTS_READ,
    CLIENTS_WRITE,
    KEYS_READ,
    KEYS_WRITE,
    OPERATORS_READ,
    OPERATORS_WRITE,
    ORGANIZATIONS_READ,
    ORGANIZATIONS_WRITE,
    Rights,
)

MAX_EMAIL = 254
_OPERATOR_ID = re.compile("opr_" + identifiers.FORM)


class NotAllowed(Forbidden):
    """Whoever asked lacks management scopes that the deed takes."""

    def __init__(self, missing: Iterable[str]) -> None:
        self.missing = frozenset(missing)
        words = ", ".join(sorted(self.missing))
        super().__init__(f"this takes management scopes that you do not hold there: {words}")


class NotFound(Missing):
    """There is no such operator, or none that the caller may see."""

    def __init__(self) -> None:
        super().__init__("there is no such operator")


class Role(StrEnum):
    """A set of management scopes; see `scopes`."""

    AUDITOR = "auditor"
    ADMIN = "admin"
    OWNER = "owner"

    def scopes(self, organization: str | None) -> frozenset[str]:
        """The management scopes that the role holds in an organization."""
        held = {CLIENTS_READ, AUDIT_READ, CATALOGUE_READ, KEYS_READ, OPERATORS_READ}
        if organization is None:
            held.add(ORGANIZATIONS_READ)
        if self in (Role.ADMIN, Role.OWNER):
            held.add(CLIENTS_WRITE)
        if self is Role.OWNER:
            held.add(OPERATORS_WRITE)
            if organization is None:
                held |= {KEYS_WRITE, ORGANIZATIONS_WRITE}
        return frozenset(held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A person, with the role in each organization.

    `suspended` names those of the organizations that are suspended: a role there gives nothing.
    """

    operator_id: str
    email: str
    roles: Mapping[str | None, Role]
    created_at: datetime
    created_by: Actor
    activated_at: datetime | None = None
    password_hash: str | None = field(default=None, repr=False)
    suspended: frozenset[str] = frozenset()

    @property
    def actor(self) -> Actor:
        """How the audit trail names this person."""
        return Actor("operator", self.operator_id, self.email)

    @property
    def owns_installation(self) -> bool:
        """Whether this is an owner of the installation."""
        return self.roles.get(None) is Role.OWNER

    @property
    def home(self) -> str | None:
        """The organization whose audit trail tells of this person: the one with all the roles.

        None for a person of several, or of the installation: that is the installation's matter.
        """
        organizations = set(self.roles)
        return organizations.pop() if len(organizations) == 1 else None

    def with_role(self, organization: str | None, role: Role | None) -> "Operator":
        """With that role there; None takes it away."""
        roles = {where: held for where, held in self.roles.items() if where != organization}
        if role is not None:
            roles[organization] = role
        return replace(self, roles=roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """The management scopes that somebody holds now, organization by organization."""

    installation: frozenset[str] = frozenset()
    everywhere: frozenset[str] = frozenset()
    """What is held in every organization, though not for the installation itself."""
    organizations: Mapping[str, frozenset[str]] = field(default_factory=dict)
    everything: bool = False

    @classmethod
    def of(cls, operator: Operator) -> "Powers":
        """What an operator's roles come to; those in suspended organizations are nothing."""
        widest = operator.roles.get(None)
        return cls(
            installation=frozenset() if widest is None else widest.scopes(None),
            everywhere=frozenset() if widest is None else widest.scopes(None),
            organizations={
                organization: role.scopes(organization)
                for organization, role in operator.roles.items()
                if organization is not None and organization not in operator.suspended
            },
        )

    @classmethod
    def of_rights(cls, rights: Rights) -> "Powers":
        """What the caller of the management API, or a command, holds.

        An API client holds nothing for the installation itself: no client makes an owner of it.
        """
        held = rights.scopes if rights.held is None else rights.held
        if rights.organization is None:
            return cls(installation=held, everywhere=held, everything=rights.everything)
        everywhere = frozenset[str]()
        if ORGANIZATIONS_WRITE in held:
            everywhere = held
        elif rights.sees_every_organization:
            everywhere = frozenset(scope for scope in held if scope.endswith(":read"))
        return cls(
            everywhere=everywhere,
            organizations={rights.organization: held},
            everything=rights.everything,
        )

    def within(self, organization: str | None) -> frozenset[str]:
        """What is held in an organization."""
        if organization is None:
            return self.installation
        return self.everywhere | self.organizations.get(organization, frozenset())

    def lacking(self, wanted: Iterable[str], organization: str | None) -> frozenset[str]:
        """Which of `wanted` are not held there."""
        return frozenset() if self.everything else frozenset(wanted) - self.within(organization)

    def require(self, wanted: Iterable[str], organization: str | None) -> None:
        """Raises NotAllowed unless all are held there."""
        missing = self.lacking(wanted, organization)
        if missing:
            raise NotAllowed(missing)

    @property
    def empty(self) -> bool:
        """Whether nothing at all is held: such a person cannot sign in."""
        return not (self.everything or self.installation or any(self.organizations.values()))


def require_may_set(
    powers: Powers, organization: str | None, before: Role | None, after: Role | None
) -> None:
    """Who changes a role holds everything that it holds before and after; raises NotAllowed."""
    wanted = {OPERATORS_WRITE}
    for role in (before, after):
        if role is not None:
            wanted |= role.scopes(organization)
    powers.require(wanted, organization)


def require_covers(powers: Powers, operator: Operator) -> None:
    """Who resets or removes a person, or holds a link that lets one in, could do all that the
    person can: in every organization, suspended or not; raises NotAllowed."""
    for organization, role in operator.roles.items():
        require_may_set(powers, organization, role, None)


def seen_by(powers: Powers, operator: Operator) -> Operator | None:
    """The operator with those roles that `powers` may know of; None when there are none."""
    if powers.everything or OPERATORS_READ in powers.installation:
        return operator
    roles = {
        organization: role
        for organization, role in operator.roles.items()
        if OPERATORS_READ in powers.within(organization)
    }
    return replace(operator, roles=roles) if roles else None


def require_owner_left(before: Iterable[Operator], after: Iterable[Operator]) -> None:
    """The last owner of the installation stays one; raises Conflict.

    One who has yet to accept the invitation does not count while there is one who has.
    """
    had = [operator for operator in before if operator.owns_installation]
    left = [operator for operator in after if operator.owns_installation]
    could = any(operator.activated_at for operator in had)
    if had and not (any(operator.activated_at for operator in left) if could else left):
        raise Conflict(
            "this is the last owner of the installation who has signed up; "
            "make somebody else an owner first"
        )


def normal_email(text: str) -> str:
    """The one spelling of an address: after NFC and casefold, of its parts nothing else.

    Raises BadInput unless it is printable, has one @ with something on either side, and is at
    most 254 characters long as it was given.
    """
    email, before = text.strip(), ""
    if len(email) > MAX_EMAIL:
        raise BadInput("email", f"give at most {MAX_EMAIL} characters")
    while email != before:  # casefolding can undo NFC, for a few letters
        before = email
        email = unicodedata.normalize("NFC", email).casefold()
    local, at, domain = email.partition("@")
    if not (local and at and domain) or "@" in domain:
        raise BadInput("email", "give one address with an @ in it")
    if printable(email, len(email)) != email or any(map(str.isspace, email)):
        raise BadInput("email", "blanks, controls and direction marks are not allowed")
    return email


def is_operator_id(text: str) -> bool:
    """Whether `text` has the exact form of an operator ID."""
    return _OPERATOR_ID.fullmatch(text) is not None
