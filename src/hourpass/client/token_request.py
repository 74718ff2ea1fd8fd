"""One token request, bounded in time and size, with failures told apart by type."""

import json
from typing import Any

import urllib3

from hourpass.oauth import basic

_TIMEOUT = urllib3.Timeout(connect=5.0, read=10.0)
_MAX_ANSWER = 64 * 1024


class TokenRefused(Exception):
    """The server refused; `error` and `reason` are for programs, the text is for people."""

    def __init__(self, error: str, description: str, reason: str | None) -> None:
        self.error = error
        self.reason = reason
        super().__init__(f"{error}: {description}" if description else error)


class TokenUnavailable(Exception):
    """The server could not be reached, or what answered is no token endpoint."""


def request_token(
    issuer: str,
    client_id: str,
    client_secret: str,
    *,
    scope: str | None = None,
    resource: str | None = None,
) -> dict[str, Any]:
    """The token endpoint's answer (RFC 6749 5.1); raises TokenRefused or TokenUnavailable."""
    fields = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
    url = issuer.rstrip("/") + "/token"
    if not url.lower().startswith(("https://", "http://")):
        raise TokenUnavailable(f"the issuer has to be an https or http URL, not {issuer!r}")
    try:
        with urllib3.PoolManager(timeout=_TIMEOUT, retries=False) as pool:
            response = pool.request(
                "POST",
                url,
                fields={name: value for name, value in fields.items() if value is not None},
                encode_multipart=False,
                headers={"Authorization": basic.encode(client_id, client_secret)},
                redirect=False,
                preload_content=False,
            )
            status, body = response.status, response.read(_MAX_ANSWER)
            response.release_conn()
    except (urllib3.exceptions.HTTPError, UnicodeError) as fault:
        raise TokenUnavailable(f"{url} cannot be reached: {type(fault).__name__}") from None
    return _judged(url, status, body)


def _judged(url: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise TokenUnavailable(f"{url} answered {status} without JSON; is it a Hourpass server?")
    if status == 200 and isinstance(answer.get("access_token"), str):
        return answer
    error, description = answer.get("error"), answer.get("error_description")
    if not isinstance(error, str):
        raise TokenUnavailable(f"{url} answered {status}; is it a Hourpass server?")
    reason = answer.get("reason")
    raise TokenRefused(
        error,
        description if isinstance(description, str) else "",
        reason if isinstance(reason, str) else None,
    )
