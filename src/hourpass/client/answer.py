"""What an answer of the token endpoint means (RFC 6749 sections 5.1 and 5.2). Pure.

Nothing in it is trusted: the texts of errors hold no word that the server chose freely, since a
server may send back whatever it was sent.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from hourpass.client.errors import (
    BadAnswer,
    ClientExpired,
    ClientSuspended,
    OrganizationSuspended,
    ScopeNotGranted,
    ServerUnavailable,
    TokenError,
    TokenRefused,
    WrongCredentials,
)
from hourpass.fetch import Answer

MAX_LIFE_S = 30 * 86_400
"""An `expires_in` above this is taken for a fault: no token should live for longer."""
MAX_RETRY_AFTER_S = 300.0
MAX_TOKEN_LENGTH = 16_384

_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 2.1
_WORD = re.compile(r"[a-z_]{1,40}")
_SHOWN = 200
_DIGITS = re.compile(r"[0-9]{1,10}")
_BY_REASON = {
    "suspended": ClientSuspended,
    "expired": ClientExpired,
    "organization_suspended": OrganizationSuspended,
}
_OTHER_REFUSALS = {
    "invalid_target": "the resource is unknown, or does not go with the scopes: check both",
    "unauthorized_client": "the client may not use the client credentials grant",
    "unsupported_grant_type": "the server does not know the client credentials grant",
    "invalid_request": "the server finds the request malformed; is it a Hourpass server?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A token as it was granted (RFC 6749 section 5.1)."""

    access_token: str = field(repr=False)
    expires_in: int
    """Seconds from the moment of the answer."""
    scope: str | None
    """The granted scopes, None when the server did not say."""


def read_answer(answer: Answer, *, where: str, scope: str | None, now: datetime) -> Granted:
    """The token in the endpoint's answer.

    `where` is the endpoint's URL and `scope` what was asked for, for texts; `now` is read only
    for a `Retry-After` that is a date in an answer without one of its own. Raises TokenError:
    ServerUnavailable when it may be asked again, TokenRefused when the server has decided,
    BadAnswer for everything else.
    """
    status = answer.status
    if status in (408, 429) or status >= 500:
        wait = retry_after(answer.headers, now)
        word = "asks for fewer requests" if status == 429 else "is not available now"
        raise ServerUnavailable(
            f"the token endpoint {where} {word} (status {status}): try again later",
            error=_word(_object(answer.body).get("error")),
            status=status,
            retry_after_s=wait,
        )
    if 300 <= status < 400:
        raise BadAnswer(
            f"{where} redirects, and credentials follow no redirect: give the address it leads to",
            status=status,
        )
    members = _object(answer.body)
    if status == 200:
        try:
            return granted(members)
        except ValueError as fault:
            raise BadAnswer(
                f"{where} answered 200 {fault}: check that it is a token endpoint", status=status
            ) from None
    error = _word(members.get("error"))
    if error is None or status == 404:
        what = "" if status == 404 else " without an OAuth error"
        raise BadAnswer(
            f"{where} answered {status}{what}: check that it is a token endpoint",
            status=status,
        )
    raise _refusal(error, _word(members.get("reason")), status, scope)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for (RFC 9110 10.2.3), 0 to 300; None without it.

    A date is counted from the answer's own `Date`, so that a clock which is wrong here costs
    nothing.
    """
    value = headers.get("Retry-After", "").strip()
    if _DIGITS.fullmatch(value):
        return min(float(value), MAX_RETRY_AFTER_S)
    until = _http_date(value)
    if until is None:
        return None
    seconds = (until - (_http_date(headers.get("Date", "")) or now)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def granted(members: Mapping[str, object]) -> Granted:
    """The token in these members; ValueError says which of them cannot be used."""
    token, life = members.get("access_token"), members.get("expires_in")
    kind, scope = members.get("token_type"), members.get("scope")
    if not isinstance(token, str):
        raise ValueError("without an access_token")
    if len(token) > MAX_TOKEN_LENGTH or _B64TOKEN.fullmatch(token) is None:
        raise ValueError("with an access_token that no header can carry")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise ValueError("with another token_type than Bearer")
    if type(life) is not int or not 0 < life <= MAX_LIFE_S:  # True is an int, too
        raise ValueError("without an expires_in that makes sense")
    if scope is not None and not isinstance(scope, str):
        raise ValueError("with a scope that is no text")
    return Granted(access_token=token, expires_in=life, scope=scope)


def _refusal(error: str, reason: str | None, status: int, scope: str | None) -> TokenError:
    if error == "invalid_scope":
        asked = "" if scope is None else f" (asked: {scope[:_SHOWN]})"
        if scope is not None and "," in scope:
            asked += "; between two scopes there is a space, and no comma"
        return ScopeNotGranted(
            f"{ScopeNotGranted.advice}{asked}", error=error, reason=reason, status=status
        )
    if error == "invalid_client" and reason is None:
        return WrongCredentials(error=error, status=status)
    if error == "invalid_client" and reason in _BY_REASON:
        return _BY_REASON[reason](error=error, reason=reason, status=status)
    advice = _OTHER_REFUSALS.get(error, "ask the API's operator")
    words = error if reason is None else f"{error}, {reason}"
    return TokenRefused(
        f"the server refused to issue a token ({words}): {advice}",
        error=error,
        reason=reason,
        status=status,
    )


def _object(body: bytes) -> dict[str, object]:
    """The JSON object in `body`, an empty one when there is none."""
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _word(value: object) -> str | None:
    """A code of the standards; whatever is none could be anything, a secret sent back too."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
