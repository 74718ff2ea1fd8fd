"""APIs, scopes and what a client may be granted. Pure."""

import re
from dataclasses import dataclass, field, replace
from functools import cached_property

from hourpass.oauth.grants import Grant
from hourpass.server import rights
from hourpass.server.audit.events import printable
from hourpass.server.refused import BadInput

MANAGEMENT_KEY = "hourpass"
RESERVED_PREFIX = "hourpass."
INTROSPECT_PREFIX = "hourpass.introspect:"
MANAGEMENT_SCOPES: dict[str, str] = {
    rights.CLIENTS_READ: "List API clients and read them",
    rights.CLIENTS_WRITE: "Create, change, rotate, suspend and delete API clients",
    rights.AUDIT_READ: "Read the audit trail",
    rights.CATALOGUE_READ: "Read the APIs and their scopes",
    rights.KEYS_READ: "List signing keys",
    rights.KEYS_WRITE: "Rotate signing keys",
    rights.OPERATORS_READ: "List operators",
    rights.OPERATORS_WRITE: "Invite, change and remove operators",
    rights.ORGANIZATIONS_READ: "See every organization",
    rights.ORGANIZATIONS_WRITE: "Create, change and suspend organizations",
}

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*:[a-z0-9][a-z0-9._-]*")


class UnknownScope(BadInput):
    """The caller's catalogue has no such scope; whoever passes it on says where to look them up."""

    def __init__(self, name: str, where: str = "") -> None:
        self.name = name
        super().__init__("scopes", f"there is no scope {printable(name, 100)}{where}")

    def listed_by(self, place: str) -> "UnknownScope":
        """The same for a reader who finds the scopes at `place`."""
        return UnknownScope(self.name, f"; {place} shows them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A scope `resource:permission` of one API.

    A retired scope is no longer in the catalogue's file; whoever holds it keeps it, and
    nobody else can get it. `limit_per_minute` is how many requests it grants to each client.
    """

    name: str
    description: str
    grants: tuple[Grant, ...] = ()
    limit_per_minute: int | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """An API (RFC 8707 "resource"): what a token is for; `identifier` is its `aud`.

    `limit_per_minute` is how many requests each client may make that has no limit of its own.
    `organizations` are the IDs of those that the API is kept to; None: it is open to all.
    """

    key: str
    identifier: str
    name: str
    base_url: str
    scopes: tuple[Scope, ...] = ()
    limit_per_minute: int | None = None
    organizations: frozenset[str] | None = None
    retired: bool = False

    def may_be_granted_in(self, organization: str) -> bool:
        """Whether clients of that organization may be given scopes of this API."""
        return self.organizations is None or organization in self.organizations


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Every API and scope at one version, the built-in management API included."""

    version: int
    management_identifier: str
    apis: tuple[Api, ...] = field(default=())

    @cached_property
    def audience_of(self) -> dict[str, str]:
        """The identifier of the API that a scope belongs to, for every scope a token can carry."""
        of = dict.fromkeys(MANAGEMENT_SCOPES, self.management_identifier)
        for api in self.apis:
            of.update(dict.fromkeys((scope.name for scope in api.scopes), api.identifier))
        return of

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Every value that `resource` may have (RFC 8707)."""
        return frozenset(api.identifier for api in self.apis) | {self.management_identifier}

    def within(self, organization: str | None) -> "Catalogue":
        """The catalogue as it is for whoever sees that one organization; None: every one.

        An API that is kept to others is not in it, nor is the name of any other organization.
        """
        if organization is None:
            return self
        seen = (api for api in self.apis if api.may_be_granted_in(organization))
        own = frozenset({organization})
        return replace(
            self,
            apis=tuple(
                api if api.organizations is None else replace(api, organizations=own)
                for api in seen
            ),
        )

    @cached_property
    def grantable(self) -> frozenset[str]:
        """Every scope that a client may be given now, in one organization or another."""
        own = {s.name for api in self.apis for s in api.scopes if not s.retired}
        introspect = {INTROSPECT_PREFIX + api.key for api in self.apis if not api.retired}
        return frozenset(own | introspect | MANAGEMENT_SCOPES.keys())

    def problem_with(
        self,
        wanted: frozenset[str],
        held: frozenset[str],
        organization: str,
        *,
        sees_others: bool,
    ) -> BadInput | None:
        """Why a client of `organization` that holds `held` cannot be given `wanted`, or None.

        To whoever does not see other organizations (`sees_others`), what is kept to them is
        in the very words of what does not exist.
        """
        if not wanted:
            return BadInput("scopes", "an API client needs at least one scope")
        here = self.within(organization)
        refused = sorted(wanted - held - here.grantable)
        if not refused:
            return None
        seen = self if sees_others else here
        retired = {s.name for api in seen.apis for s in api.scopes if s.retired}
        first = refused[0]
        if first in retired:
            problem = f"the scope {first} is retired and cannot be granted any more"
        elif first in seen.grantable:
            problem = (
                f"the catalogue keeps the scope {first} to other organizations than {organization}"
            )
        elif not seen.apis:
            problem = "the catalogue has no scopes yet; list them in hourpass.toml"
        else:
            return UnknownScope(first)
        return BadInput("scopes", problem)


def is_scope_name(name: str) -> bool:
    """Whether a catalogue may name a scope so: `resource:permission`, lower case."""
    return len(name) <= 100 and _NAME.fullmatch(name) is not None
