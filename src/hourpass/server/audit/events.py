"""What an audit event is: a closed list of names, an actor, and text that is only text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from hourpass.server.rights import NONE, Rights

Detail = Mapping[str, str | int | bool | list[str] | None]

ActorType = Literal["operator", "client", "cli", "system"]


class Event(StrEnum):
    """Every event there is; the list grows by ADR."""

    CLIENT_CREATED = "client.created"
    CLIENT_UPDATED = "client.updated"
    CLIENT_SCOPES_CHANGED = "client.scopes_changed"
    CLIENT_SECRET_ROTATED = "client.secret_rotated"  # noqa: S105  (an event's name)
    CLIENT_SUSPENDED = "client.suspended"
    CLIENT_ACTIVATED = "client.activated"
    CLIENT_DELETED = "client.deleted"
    CLIENT_TOKENS_REVOKED = "client.tokens_revoked"
    CLIENT_LEAK_REPORTED = "client.leak_reported"
    TOKEN_ISSUED = "token.issued"  # noqa: S105  (an event's name)
    TOKEN_REFUSED = "token.refused"  # noqa: S105  (an event's name)
    TOKEN_REVOKED = "token.revoked"  # noqa: S105  (an event's name)
    KEY_CREATED = "key.created"
    KEY_ACTIVATED = "key.activated"
    KEY_RETIRED = "key.retired"
    KEY_REVOKED = "key.revoked"
    CATALOGUE_APPLIED = "catalogue.applied"
    ORGANIZATION_CREATED = "organization.created"
    ORGANIZATION_UPDATED = "organization.updated"
    ORGANIZATION_SUSPENDED = "organization.suspended"
    ORGANIZATION_ACTIVATED = "organization.activated"
    OPERATOR_INVITED = "operator.invited"
    OPERATOR_CREATED = "operator.created"
    OPERATOR_UPDATED = "operator.updated"
    OPERATOR_REMOVED = "operator.removed"
    OPERATOR_RESET = "operator.reset"
    OPERATOR_SIGNED_IN = "operator.signed_in"
    OPERATOR_SIGN_IN_FAILED = "operator.sign_in_failed"
    OPERATOR_SIGNED_OUT = "operator.signed_out"
    OPERATOR_CREDENTIAL_ADDED = "operator.credential_added"
    OPERATOR_CREDENTIAL_REMOVED = "operator.credential_removed"
    AUDIT_EXPORTED = "audit.exported"
    AUDIT_PRUNED = "audit.pruned"
    BACKUP_RESTORED = "backup.restored"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, named as at the time."""

    type: ActorType
    id: str
    name: str


SYSTEM = Actor("system", "hourpass", "Hourpass")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asks, in which request, from which address and browser, and what they may do.

    Whoever forgets to say what the caller may do has a caller that may do nothing.
    """

    actor: Actor
    rights: Rights = NONE
    request_id: str | None = None
    ip: str | None = None
    browser: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One event to be written. Never holds a secret, a token or a private key."""

    event: Event
    origin: Origin
    client_id: str | None = None
    client_name: str | None = None
    organization: str | None = None
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event as it was read back."""

    id: int
    time: datetime
    event: str
    actor: Actor
    client_id: str | None
    client_name: str | None
    organization: str | None
    request_id: str | None
    ip: str | None
    detail: dict[str, object]

    def as_json(self) -> dict[str, object]:
        """The management API's shape of an event."""
        return {
            "id": str(self.id),
            "time": rfc3339(self.time),
            "event": self.event,
            "actor": {"type": self.actor.type, "id": self.actor.id, "name": self.actor.name},
            "client_id": self.client_id,
            "client_name": self.client_name,
            "organization": self.organization,
            "request_id": self.request_id,
            "ip": self.ip,
            "detail": self.detail,
        }


def rfc3339(value: datetime) -> str:
    """An aware UTC moment as RFC 3339 with microseconds and `Z`."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# Controls (C0, C1, line and paragraph separators), lone surrogates, and the marks that turn
# the direction of text: none of them may reach a row, a log line or a terminal.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]"
)


def printable(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, each unprintable one as U+FFFD.

    Every text from outside passes here before it can reach a row: a NUL or a lone surrogate
    makes a whole statement fail, and with it the neighbours in the same commit.
    """
    return _UNPRINTABLE.sub("\ufffd", text[:limit])
