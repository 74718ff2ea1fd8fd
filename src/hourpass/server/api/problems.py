"""Refusals of the management API: RFC 9457 problem documents, put together in one place.

Programs read `type` (and `status`); the other words are for people. docs/problems.md has a
section for each.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hourpass.oauth.errors import Overloaded, TemporarilyUnavailable
from hourpass.server.catalogue.model import UnknownScope
from hourpass.server.clients.idempotency import KeyReused, StillRunning
from hourpass.server.cursors import BadCursor
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing, Stale

PREFIX = "urn:hourpass:problem:"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of problem: its name, status and title never change."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The `type` member."""
        return PREFIX + self.name


INVALID_REQUEST = Kind("invalid-request", 400, "The request cannot be read")
INVALID_CURSOR = Kind("invalid-cursor", 400, "The cursor was not made for this list")
UNAUTHENTICATED = Kind("unauthenticated", 401, "An access token is needed")
INVALID_TOKEN = Kind("invalid-token", 401, "The access token is not valid")
INSUFFICIENT_SCOPE = Kind("insufficient-scope", 403, "The access token lacks a scope")
FORBIDDEN = Kind("forbidden", 403, "The caller may not do this")
NOT_FOUND = Kind("not-found", 404, "There is no such thing")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This address answers to other methods")
REQUEST_TIMEOUT = Kind("request-timeout", 408, "The body did not arrive in time")
CONFLICT = Kind("conflict", 409, "The state of things does not allow it")
STILL_RUNNING = Kind("still-running", 409, "The first request with this key is under way")
PRECONDITION_FAILED = Kind("precondition-failed", 412, "It was changed meanwhile")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body is not JSON")
INVALID_INPUT = Kind("invalid-input", 422, "A value cannot be accepted")
KEY_REUSED = Kind("idempotency-key-reused", 422, "The key came with another request")
PRECONDITION_REQUIRED = Kind("precondition-required", 428, "If-Match is needed")
INTERNAL = Kind("internal-error", 500, "The server has a fault")
OVERLOADED = Kind("overloaded", 503, "Too many requests are waiting")
UNAVAILABLE = Kind("unavailable", 503, "The database does not answer")
KINDS = tuple(value for value in list(globals().values()) if isinstance(value, Kind))


class Problem(Exception):
    """A refusal on its way to the caller; `detail` is sent."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        super().__init__(detail)

    def body(self, request_id: str) -> bytes:
        """The document."""
        members: dict[str, object] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            members["errors"] = list(self.errors)
        return json.dumps(members, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def problem_of(fault: Exception) -> Problem | None:
    """What the caller is told of a fault we know; None for a bug."""
    match fault:
        case Problem():
            return fault
        case BadCursor():
            return Problem(INVALID_CURSOR, fault.problem)
        case BadInput():
            if isinstance(fault, UnknownScope):
                fault = fault.listed_by("GET /api/v1/scopes")
            errors = [{"member": fault.member, "problem": fault.problem}]
            return Problem(INVALID_INPUT, str(fault), errors=errors)
        case Missing():
            return Problem(NOT_FOUND, str(fault))
        case Forbidden():
            return Problem(FORBIDDEN, str(fault))
        case StillRunning():
            return Problem(STILL_RUNNING, str(fault), headers={"Retry-After": "1"})
        case KeyReused():
            return Problem(KEY_REUSED, str(fault))
        case Stale():
            return Problem(PRECONDITION_FAILED, str(fault))
        case Conflict():
            return Problem(CONFLICT, str(fault))
        case Overloaded():
            return Problem(OVERLOADED, fault.description, headers={"Retry-After": "1"})
        case DatabaseUnavailable() | TemporarilyUnavailable():
            detail = (
                "the database did not answer in time; whether the operation was done is unknown"
            )
            return Problem(UNAVAILABLE, detail, headers={"Retry-After": "1"})
    return None
