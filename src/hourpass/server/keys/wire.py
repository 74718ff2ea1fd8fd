"""A signing key as JSON: one shape for management API and command line."""

from datetime import datetime

from hourpass.server.audit.events import rfc3339
from hourpass.server.keys.model import SigningKey


def key_as_json(key: SigningKey, now: datetime) -> dict[str, object]:
    """A signing key: its public facts and where it stands."""
    return {
        "kid": key.kid,
        "algorithm": key.algorithm.value,
        "state": key.state(now).value,
        "created_at": rfc3339(key.created_at),
        "activates_at": rfc3339(key.activates_at),
        "retires_at": rfc3339(key.retires_at) if key.retires_at else None,
        "revoked_at": rfc3339(key.revoked_at) if key.revoked_at else None,
    }
