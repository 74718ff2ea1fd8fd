"""What the management API answers, as values. Times are aware UTC datetimes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it, named as at the time; `type` is operator, client, cli or system."""

    type: str
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An API client; `status` is active, suspended or expired."""

    client_id: str
    name: str
    description: str
    scopes: frozenset[str]
    status: str
    organization: str
    created_at: datetime
    created_by: Actor
    expires_at: datetime | None
    suspended_at: datetime | None
    secret_rotated_at: datetime | None
    last_token_at: datetime | None
    limit_per_minute: int | None
    etag: str | None = field(compare=False)
    """What `set_scopes` compares with; None for a client out of a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithSecret:
    """A client ID and its new secret; None when it was shown to an earlier request.

    That happens when a request with an Idempotency-Key is sent again: rotate the secret then.
    """

    client_id: str
    client_secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(WithSecret):
    """A client that was created."""

    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A scope, and the requests that it opens, as `GET /customer/{id}`.

    `organizations`: as of its API.
    """

    name: str
    description: str
    api: str
    grants: tuple[str, ...]
    limit_per_minute: int | None
    retired: bool
    organizations: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """An API of the catalogue; `identifier` is the `aud` of its tokens.

    It is kept to the `organizations`, as far as the caller sees them; None: open to all.
    """

    key: str
    identifier: str
    name: str
    base_url: str
    limit_per_minute: int | None
    retired: bool
    organizations: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One row of the audit trail."""

    id: str
    time: datetime
    event: str
    actor: Actor
    client_id: str | None
    client_name: str | None
    organization: str | None
    request_id: str | None
    ip: str | None
    detail: Mapping[str, Any]


class ApiError(Exception):
    """The management API refused (RFC 9457).

    `type` is for programs (`urn:hourpass:problem:…`), None for an answer that is no problem
    document; `errors` name the members that cannot be accepted. Told apart by type below.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        type: str | None = None,  # noqa: A002  (RFC 9457's word)
        request_id: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.status = status
        self.type = type
        self.request_id = request_id
        self.errors = tuple(errors)
        super().__init__(detail)


class NotAllowed(ApiError):
    """401 or 403: the caller's token, scope or rights do not suffice."""


class NotFound(ApiError):
    """404: there is no such thing, or none that the caller may see."""


class Conflict(ApiError):
    """409: the state of things does not allow it."""


class Changed(ApiError):
    """412: somebody else changed it meanwhile; read it again and decide again."""


class BadInput(ApiError):
    """400 or 422: a value cannot be accepted."""


class Unavailable(ApiError):
    """503, or no answer: whether the operation was done is unknown. Look before you do it again."""
