"""A client as JSON: one shape for management API, command line and audit readers."""

from datetime import datetime

from hourpass.server.audit.events import rfc3339
from hourpass.server.clients.model import Client


def as_json(client: Client, now: datetime, last_token_at: datetime | None) -> dict[str, object]:
    """A client as the management API answers it. Holds no secret: there is none to hold."""
    by = client.created_by
    return {
        "client_id": client.client_id,
        "name": client.name,
        "description": client.description,
        "scopes": sorted(client.scopes),
        "status": client.status(now).value,
        "organization": client.organization,
        "created_at": rfc3339(client.created_at),
        "created_by": {"type": by.type, "id": by.id, "name": by.name},
        "expires_at": _maybe(client.expires_at),
        "suspended_at": _maybe(client.suspended_at),
        "secret_rotated_at": _maybe(client.secret_rotated_at),
        "last_token_at": _maybe(last_token_at),
        "limit_per_minute": client.limit_per_minute,
    }


def _maybe(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)
