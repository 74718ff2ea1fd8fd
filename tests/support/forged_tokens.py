"""Tokens that the installation's own key signed and that it would not have issued."""

import json
import secrets
import time
from typing import Any

from support.installation import Installation


def signed(installation: Installation, claims: dict[str, Any], **changes: Any) -> str:
    """`claims` with changes, under the key that signs now; None takes a claim out."""
    context = installation.context
    with context.database.read() as connection:
        signer = context.keyring().signer(context.database.now(connection))
    assert signer is not None
    changed = {name: value for name, value in (claims | changes).items() if value is not None}
    return signer.sign(json.dumps(changed).encode())


def claims_of(installation: Installation, client_id: str, **changes: Any) -> dict[str, Any]:
    """The claims of a good token of this client, but for changes."""
    now = int(time.time())
    good = {
        "iss": installation.context.settings.issuer,
        "sub": client_id,
        "client_id": client_id,
        "aud": "https://api.example.com",
        "scope": "customers:read",
        "iat": now,
        "exp": now + 3600,
        "jti": secrets.token_urlsafe(16),
        "org_id": "default",
        "gen": 1,
    }
    return good | changes


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"exp": 1},
    "exp in the far future": {"exp": 10**300},
    "exp as text": {"exp": "32503680000"},
    "exp missing": {"exp": None},
    "exp true": {"exp": True},
    "iat ahead": {"iat": 32_503_680_000},
    "nbf ahead": {"nbf": 32_503_680_000},
    "nbf list": {"nbf": [0]},
    "another issuer": {"iss": "http://localhost:1"},
    "issuer list": {"iss": ["http://localhost:1"]},
    "no audience": {"aud": None},
    "audience number": {"aud": 7},
    "audience prefix": {"aud": "https://api.example.com.evil.example"},
    "audience list with a number": {"aud": ["https://api.example.com", 1]},
    "generation text": {"gen": "1"},
    "generation true": {"gen": True},
    "generation of later": {"gen": 2},
    "generation that no column holds": {"gen": 2**63},
    "another organization": {"org_id": "other"},
    "organization number": {"org_id": 1},
    "organization twice, as in a list of several": {"org_id": "default\x1fdefault"},
    "organization with NUL": {"org_id": "default\x00"},
    "client missing": {"client_id": None},
    "client of no such form": {"client_id": "m2m_' OR 1=1 --"},
    "client unknown": {"client_id": "m2m_" + "0" * 20, "sub": "m2m_" + "0" * 20},
    "another subject": {"sub": "m2m_" + "0" * 20},
    "no jti": {"jti": None},
    "jti too long": {"jti": "x" * 65},
    "jti with NUL": {"jti": "a\x00b"},
    "jti twice, as in a list of several": {"jti": "a\x1fb"},
    "jti number": {"jti": 5},
    "scope list": {"scope": ["customers:read"]},
    "scope with two spaces": {"scope": "customers:read  bookings:read"},
}
