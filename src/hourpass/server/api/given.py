"""What callers of the management API give: bodies and queries, checked strictly."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hourpass.limits.rules import MAX_PER_MINUTE
from hourpass.server.audit.events import Event
from hourpass.server.clients.model import (
    MAX_DESCRIPTION,
    MAX_EXPIRES_IN_DAYS,
    MAX_NAME,
    Status,
)
from hourpass.server.clients.usage import Per
from hourpass.server.operators.model import MAX_EMAIL, Role
from hourpass.server.organizations.model import ID_FORM

_MAX_SCOPES = 500
_MAX_PAGE = 200


def _moment(value: object) -> datetime:
    """RFC 3339, so with a zone: without one it would be another moment for each reader.

    A moment before 1970 or after 2999 becomes the first or last of those: nothing here is older
    or younger, and every sum of times stays one.
    """
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise ValueError("give a time as in RFC 3339, such as 2026-01-31T08:00:00Z")
    moment = datetime.fromisoformat(value.upper())
    try:
        return min(max(moment.astimezone(UTC), _FIRST), _LAST)
    except OverflowError:
        return _FIRST if moment.year < _FIRST.year else _LAST


_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,12})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
When = Annotated[datetime, BeforeValidator(_moment)]
# No controls, no marks that turn the direction of text; a name has more than blanks.
_HIDDEN = r"\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028-\u202e\u2066-\u2069\ufeff"
_NAME = f"^[^{_HIDDEN}]*[^{_HIDDEN}\\s][^{_HIDDEN}]*$"
_EMAIL = f"^[^@\\s{_HIDDEN}]+@[^@\\s{_HIDDEN}]+$"
_DESCRIPTION = f"^(\\r\\n|[\\n\\t]|[^{_HIDDEN}])*$"
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=_NAME)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION, pattern=_DESCRIPTION)]


def _whole(value: object) -> object:
    """`1.0` is an integer in JSON; a text or a truth value is none."""
    if isinstance(value, str | bool):
        raise ValueError("give a whole number")
    return value


Days = Annotated[int, Field(ge=1, le=MAX_EXPIRES_IN_DAYS), BeforeValidator(_whole)]
PerMinute = Annotated[int, Field(ge=1, le=MAX_PER_MINUTE), BeforeValidator(_whole)]
ScopeName = Annotated[str, Field(min_length=1, max_length=200)]
OrganizationId = Annotated[str, Field(pattern=f"^{ID_FORM}$")]


class Given(BaseModel):
    """What a caller gives: unknown members are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewClient(Given):
    """A new API client."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "CRM sync", "scopes": ["bookings:read"], "expires_in_days": 365}]
        }
    )

    name: Name = Field(description="What the integration is called.")
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=_MAX_SCOPES)] = Field(
        description="Scopes of the catalogue, or management scopes that the caller holds itself."
    )
    description: Description = ""
    expires_in_days: Days | None = Field(
        default=None, description="Days until it expires, which is final; null: never."
    )
    organization: OrganizationId | None = Field(
        default=None, description="Its organization; left out: the caller's own."
    )
    limit_per_minute: PerMinute | None = Field(
        default=None, description="Requests a minute at each API; null: the API's own limit."
    )


class ClientChange(Given):
    """What is given is changed; what is left out stays. `scopes` needs If-Match."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"scopes": ["bookings:read", "customers:read"]}]}
    )

    name: Name | None = None
    description: Description | None = None
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=_MAX_SCOPES)] | None = None
    limit_per_minute: PerMinute | None = Field(
        default=None,
        description="Requests a minute at each API; null: the API's own limit from now on.",
    )


class Revoking(Given):
    """Whether live tokens end as well."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"revoke_live_tokens": True}]})

    revoke_live_tokens: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Online checks refuse the tokens issued so far, too."
    )


class NewOrganization(Given):
    """A new organization."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "acme", "name": "Acme"}]})

    id: OrganizationId = Field(description="It is `org_id` in tokens and can never be changed.")
    name: Name


class OrganizationChange(Given):
    """Another name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Acme Ltd"}]})

    name: Name


class Page(Given):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=_MAX_PAGE)] = Field(
        default=50, description="How many, at most."
    )
    cursor: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class ClientsWanted(Page):
    """Which clients."""

    status: Status | None = None
    search: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="The beginnings of words of the name, or of the client ID; case is ignored.",
    )
    scope: ScopeName | None = Field(default=None, description="Only holders of this scope.")
    organization: OrganizationId | None = None


class EventFilters(Given):
    """Which events."""

    client_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    event: Event | None = None
    actor: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        default=None, description="The ID of who did it."
    )
    organization: OrganizationId | None = None
    since: When | None = Field(default=None, description="From this moment on.")
    until: When | None = Field(default=None, description="Before this moment.")


class EventsWanted(EventFilters, Page):
    """Which events, and which part of the list."""


class EventsExported(EventFilters):
    """Which events, and in which form."""

    format: Literal["jsonl", "csv"] = "jsonl"


class UsageWanted(Given):
    """Which periods."""

    per: Per = Per.HOUR
    since: When | None = Field(default=None, description="From the period of this moment on.")
    until: When | None = Field(default=None, description="Before this moment; left out: now.")


class NewOperator(Given):
    """Somebody who is given a role."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "ana@example.com", "role": "admin", "organization": "acme"}]
        }
    )

    email: Annotated[str, Field(min_length=3, max_length=MAX_EMAIL, pattern=_EMAIL)] = Field(
        description="Any spelling of the address is the same person."
    )
    role: Role
    organization: OrganizationId | None = Field(
        default=None, description="Where the role counts; left out: in the caller's own."
    )


class RoleGiven(Given):
    """The role that somebody has from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "auditor"}]})

    role: Role


class OperatorsWanted(Page):
    """Which operators."""

    organization: OrganizationId | None = None
