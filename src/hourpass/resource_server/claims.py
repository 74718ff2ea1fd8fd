"""What the claims of an access token must be (RFC 9068 sections 2.2 and 4).

Pure: a signed payload and the time in, an `AccessToken` or InvalidToken out. Whatever the
payload is, nothing else is raised.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NoReturn

from hourpass.oauth import scope, strict_json
from hourpass.oauth.errors import InvalidScope, InvalidToken, WrongAudience

SKEW_SECONDS = 60
_LAST_SECOND = 32_503_680_000  # the year 3000: every time up to it is a `datetime`


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A verified access token: what it says, without the token itself (RFC 9068 section 2.2).

    `expires_at` and `issued_at` are aware UTC datetimes. `claims` is the whole payload, read
    only and shared between requests that send the same token.
    """

    client_id: str
    scopes: frozenset[str]
    org_id: str | None
    issued_at: datetime
    expires_at: datetime
    jti: str
    key_id: str
    claims: Mapping[str, Any] = field(repr=False, compare=False)


def judge(payload: bytes, *, issuer: str, audience: str, key_id: str, now: float) -> AccessToken:
    """The access token that a verified payload is; raises InvalidToken.

    `now` is in epoch seconds. `exp` has no leeway; `iat` and `nbf` may lie 60 s ahead.
    """
    claims = _read(payload)
    if claims.get("iss") != issuer:
        description = "the access token is of another issuer; request one from this API's server"
        _refuse(description, "iss", claims, f"; this API takes those of {issuer}")
    if not _is_for(audience, claims.get("aud")):
        raise WrongAudience(detail=f"{_shown('aud', claims)}; this API is {audience}")
    issued, expires = _time("iat", claims), _time("exp", claims)
    if now >= expires:
        raise InvalidToken("the access token has expired; request a new one", detail="exp is past")
    if issued > now + SKEW_SECONDS:
        _refuse(_TOO_EARLY, "iat", claims, f"; the clock here says {now:.0f}")
    if "nbf" in claims and _time("nbf", claims) > now + SKEW_SECONDS:
        _refuse(_TOO_EARLY, "nbf", claims, f"; the clock here says {now:.0f}")
    _text("sub", claims)
    return AccessToken(
        client_id=_text("client_id", claims),
        scopes=_scopes(claims),
        org_id=_text("org_id", claims) if "org_id" in claims else None,
        issued_at=datetime.fromtimestamp(issued, UTC),
        expires_at=datetime.fromtimestamp(expires, UTC),
        jti=_text("jti", claims),
        key_id=key_id,
        claims=MappingProxyType(claims),
    )


def _is_for(audience: str, aud: object) -> bool:
    """Equal to `aud`, or a member of it where `aud` is a list of strings (RFC 7519 4.1.3)."""
    if isinstance(aud, list):
        return all(isinstance(name, str) for name in aud) and audience in aud
    return aud == audience


def _time(name: str, claims: Mapping[str, Any]) -> float:
    """A NumericDate (RFC 7519 section 2). A bool is an int to Python, and NaN compares false."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse_type(name, claims)
    if not 0 <= value <= _LAST_SECOND:
        _refuse_type(name, claims)
    return value


def _text(name: str, claims: Mapping[str, Any]) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        _refuse_type(name, claims)
    return value


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """No `scope` claim means no scope; any other than a well-formed one is refused."""
    if "scope" not in claims:
        return frozenset()
    try:
        return frozenset(scope.parse(_text("scope", claims)))
    except InvalidScope as fault:
        raise InvalidToken(_MALFORMED, detail=f"scope: {fault}") from fault


_MALFORMED = "the access token is malformed"
_TOO_EARLY = "the access token is not valid yet; try again in a moment"


def _refuse(description: str, name: str, claims: Mapping[str, Any], expected: str = "") -> NoReturn:
    raise InvalidToken(description, detail=_shown(name, claims) + expected)


def _shown(name: str, claims: Mapping[str, Any]) -> str:
    """For the operator only, in ASCII and shortened."""
    return f"{name} is {ascii(claims.get(name))[:200]}"


def _refuse_type(name: str, claims: Mapping[str, Any]) -> NoReturn:
    _refuse(_MALFORMED, name, claims)


def _read(payload: bytes) -> dict[str, Any]:
    try:
        claims = strict_json.loads(payload)
    except ValueError as fault:
        raise InvalidToken(_MALFORMED, detail=f"payload: {fault}"[:200]) from fault
    if not isinstance(claims, dict):
        raise InvalidToken(_MALFORMED, detail="the payload is no object")
    return claims
