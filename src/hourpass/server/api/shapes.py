"""What the management API answers with."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hourpass.server.clients.model import Status
from hourpass.server.clients.usage import Per
from hourpass.server.operators.model import Role

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Actor(BaseModel):
    """Who did it, named as at the time."""

    type: Literal["operator", "client", "cli", "system"]
    id: str
    name: str


_CLIENT: dict[str, Any] = {
    "client_id": "m2m_0123456789abcdefghjk",
    "name": "CRM sync",
    "description": "",
    "scopes": ["bookings:read"],
    "status": "active",
    "organization": "acme",
    "created_at": "2026-03-01T09:30:00.000000Z",
    "created_by": {"type": "cli", "id": "ann", "name": "ann"},
    "expires_at": None,
    "suspended_at": None,
    "secret_rotated_at": None,
    "last_token_at": "2026-03-02T10:00:00.000000Z",
    "limit_per_minute": None,
}


class Client(BaseModel):
    """An API client."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CLIENT]})

    client_id: str
    name: str
    description: str
    scopes: list[str]
    status: Status
    organization: str
    created_at: Moment
    created_by: Actor
    expires_at: Moment | None
    suspended_at: Moment | None
    secret_rotated_at: Moment | None
    last_token_at: Moment | None = Field(description="May lag ten seconds.")
    limit_per_minute: int | None = Field(
        description="Requests a minute at each API; null: the API's own limit."
    )


class CreatedClient(Client):
    """A new API client with its secret, which no other answer ever shows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_CLIENT, "client_secret": "hps_…", "last_token_at": None}]
        }
    )

    client_secret: str


class ClientShownBefore(Client):
    """The client as it is now; its secret was shown in the first answer to this request."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_CLIENT, "secret_shown": True}]})

    secret_shown: Literal[True]


class RotatedSecret(BaseModel):
    """The new secret, which no other answer ever shows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"client_id": _CLIENT["client_id"], "client_secret": "hps_…"}]
        }
    )

    client_id: str
    client_secret: str


class ClientPage(BaseModel):
    """API clients, newest first."""

    items: list[Client]
    next_cursor: str | None


class AuditEvent(BaseModel):
    """One event of the audit trail."""

    id: str
    time: Moment
    event: str
    actor: Actor
    client_id: str | None
    client_name: str | None
    organization: str | None
    request_id: str | None
    ip: str | None
    detail: dict[str, Any]


class EventPage(BaseModel):
    """Audit events, newest first."""

    items: list[AuditEvent]
    next_cursor: str | None


class Scope(BaseModel):
    """A scope of one API."""

    name: str
    description: str
    api: str = Field(description="The key of its API.")
    grants: list[str]
    limit_per_minute: int | None = Field(
        description="Requests a minute that it grants to each client; null: no limit."
    )
    organizations: list[str] | None = Field(
        description="Those its API is kept to, as far as the caller sees them; null: open to all."
    )
    retired: bool = Field(description="It cannot be granted any more.")


class ScopeList(BaseModel):
    """Every scope."""

    items: list[Scope]
    next_cursor: None


class ScopeOfApi(BaseModel):
    """A scope, within its API."""

    name: str
    description: str
    grants: list[str]
    limit_per_minute: int | None
    retired: bool


class Api(BaseModel):
    """An API: what a token is for."""

    key: str
    identifier: str = Field(description="The `aud` of tokens for it; the value of `resource`.")
    name: str
    base_url: str
    limit_per_minute: int | None = Field(
        description="Requests a minute of each client without a limit of its own; null: no limit."
    )
    organizations: list[str] | None = Field(
        description="Those it is kept to, as far as the caller sees them; null: open to all."
    )
    retired: bool
    scopes: list[ScopeOfApi]


class ApiList(BaseModel):
    """Every API, the management API among them."""

    items: list[Api]
    next_cursor: None


class SigningKey(BaseModel):
    """A signing key: its public facts."""

    kid: str
    algorithm: str
    state: Literal["next", "active", "retiring", "gone", "revoked"]
    created_at: Moment
    activates_at: Moment
    retires_at: Moment | None
    revoked_at: Moment | None


class KeyList(BaseModel):
    """Every signing key."""

    items: list[SigningKey]
    next_cursor: None


class Organization(BaseModel):
    """An organization."""

    id: str
    name: str
    status: Literal["active", "suspended"]
    created_at: Moment
    suspended_at: Moment | None


class OrganizationPage(BaseModel):
    """Organizations, newest first."""

    items: list[Organization]
    next_cursor: str | None


class Membership(BaseModel):
    """A role in an organization; null is the whole installation."""

    organization: str | None
    role: Role


_OPERATOR: dict[str, Any] = {
    "operator_id": "opr_0123456789abcdefghjk",
    "email": "ana@example.com",
    "status": "invited",
    "memberships": [{"organization": "acme", "role": "admin"}],
    "created_at": "2026-03-01T09:30:00.000000Z",
    "created_by": {"type": "client", "id": "m2m_0123456789abcdefghjk", "name": "Back office"},
    "activated_at": None,
}


class Operator(BaseModel):
    """A person who administers, with those of the roles that the caller may know of."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OPERATOR]})

    operator_id: str
    email: str
    status: Literal["invited", "active"]
    memberships: list[Membership]
    created_at: Moment
    created_by: Actor
    activated_at: Moment | None


class OperatorWithLink(Operator):
    """An operator, and the one-time link to pass on, which no other answer ever shows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_OPERATOR,
                    "link": "https://auth.example.com/admin/invitation#…",
                    "link_expires_at": "2026-03-04T09:30:00.000000Z",
                }
            ]
        }
    )

    link: str | None = Field(description="Null for somebody who has signed up before.")
    link_expires_at: Moment | None


class OperatorPage(BaseModel):
    """Operators, newest first."""

    items: list[Operator]
    next_cursor: str | None


class UsagePeriod(BaseModel):
    """Tokens issued and refused in one hour or day (UTC)."""

    begins_at: Moment
    issued: int
    refused: int


class Usage(BaseModel):
    """Every period asked for, oldest first; may lag ten seconds."""

    client_id: str
    per: Per
    items: list[UsagePeriod]


class Fault(BaseModel):
    """What is wrong with one value."""

    member: str
    problem: str


class ProblemDocument(BaseModel):
    """A refusal (RFC 9457); programs read `type`."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[Fault] | None = None
