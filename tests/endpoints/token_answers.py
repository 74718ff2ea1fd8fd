"""What answers of the token endpoint have to look like, whatever was asked."""

import base64
import json
import re
from typing import Any

import httpx

# RFC 6749 section 5.2: what `error` and `error_description` may hold.
_GRAMMAR = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that this is a refusal in the form of RFC 6749 5.2; its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.request.method == "HEAD":
        return {}
    members: dict[str, Any] = answer.json()
    assert members["error"] == code, answer.text
    assert members.keys() <= {"error", "error_description", "reason"}
    assert all(_GRAMMAR.fullmatch(value) for value in members.values())
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic ")
    return members


def token_in(answer: httpx.Response) -> str:
    """Assert that this is a token answer; the access token."""
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


def claims_in(answer: httpx.Response) -> dict[str, Any]:
    """Assert that this is a token answer; the claims in it, unverified."""
    payload = token_in(answer).split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims
