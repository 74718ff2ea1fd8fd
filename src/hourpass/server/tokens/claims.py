"""What an access token of ours says, once its signature holds (RFC 9068 section 2.2). Pure."""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hourpass.oauth import scope as scope_syntax
from hourpass.oauth import strict_json
from hourpass.oauth.errors import InvalidScope, InvalidToken
from hourpass.oauth.jose import ACCESS_TOKEN_TYPE, BadSignature, PublicKeys
from hourpass.server.clients.model import is_client_id
from hourpass.server.organizations.model import is_organization_id

MAX_TOKEN = 8 * 1024
MALFORMED = "the access token is malformed or was not issued here"
_SKEW = timedelta(seconds=60)
_MAX_SECONDS = 32_503_680_000  # the year 3000
_MAX_JTI = 64
_MAX_GENERATION = 2**31 - 1  # what its column holds
_KEY_MATERIAL = frozenset(("jwk", "jku", "x5c", "x5u"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of a token that we signed; times in epoch seconds."""

    client_id: str
    scope: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    generation: int
    organization: str
    issued_at: float
    not_before: float
    expires_at: float
    jti: str

    def check_time(self, now: datetime) -> None:
        """Raises InvalidToken; `exp` has no leeway, `iat` and `nbf` may lie 60 s ahead."""
        if max(self.issued_at, self.not_before) > (now + _SKEW).timestamp():
            raise InvalidToken(MALFORMED, detail="iat or nbf")
        if now.timestamp() >= self.expires_at:
            raise InvalidToken("the access token has expired; request a new one", detail="expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alleged:
    """What a token says before anything is known of it: which rows to look at."""

    client_id: str
    jti: str


def alleged(token: str) -> Alleged:
    """Whose token it claims to be; raises InvalidToken."""
    if len(token) > MAX_TOKEN:
        raise InvalidToken(MALFORMED, detail="too long")
    try:
        payload = token.split(".")[1]
        claims = _json_object(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError) as fault:
        raise InvalidToken(MALFORMED, detail="no payload") from fault
    return Alleged(client_id=_client_id(claims), jti=_jti(claims))


def verified(token: str, keys: PublicKeys, issuer: str) -> Claims:
    """The claims of a token that one of `keys` signed for `issuer`; raises InvalidToken.

    Says nothing about the clock (`Claims.check_time`), nor about what became of the client.
    """
    if len(token) > MAX_TOKEN:
        raise InvalidToken(MALFORMED, detail="too long")
    try:
        signed = keys.verify(token)
    except BadSignature as fault:
        raise InvalidToken(MALFORMED, detail=str(fault)[:100]) from fault
    if signed.header.get("typ") != ACCESS_TOKEN_TYPE:
        raise InvalidToken(MALFORMED, detail="typ")
    if not _KEY_MATERIAL.isdisjoint(signed.header):
        raise InvalidToken(MALFORMED, detail="the token brings or names a key of its own")
    claims = _json_object(signed.payload)
    if claims.get("iss") != issuer:
        raise InvalidToken(MALFORMED, detail="iss")
    return _read(claims)


def _read(claims: dict[str, Any]) -> Claims:
    """By type and value, as we could have written them.

    What is no such value may reach no query: of a whole batch it would fail or shift the others.
    """
    issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    not_before = _seconds(claims.get("nbf", issued))
    if issued is None or expires is None or not_before is None:
        raise InvalidToken(MALFORMED, detail="iat, nbf or exp")
    client_id, organization = _client_id(claims), claims.get("org_id")
    generation, scope = claims.get("gen"), claims.get("scope")
    if claims.get("sub") != client_id:
        raise InvalidToken(MALFORMED, detail="sub")
    if not isinstance(organization, str) or not is_organization_id(organization):
        raise InvalidToken(MALFORMED, detail="org_id")
    if isinstance(generation, bool) or not isinstance(generation, int):
        raise InvalidToken(MALFORMED, detail="gen")
    if not 0 <= generation <= _MAX_GENERATION:
        raise InvalidToken(MALFORMED, detail="gen")
    if not isinstance(scope, str):
        raise InvalidToken(MALFORMED, detail="scope")
    try:
        scopes = frozenset(scope_syntax.parse(scope))
    except InvalidScope as fault:
        raise InvalidToken(MALFORMED, detail="scope") from fault
    return Claims(
        client_id=client_id,
        scope=scope,
        scopes=scopes,
        audiences=_audiences(claims.get("aud")),
        generation=generation,
        organization=organization,
        issued_at=issued,
        not_before=not_before,
        expires_at=expires,
        jti=_jti(claims),
    )


def _client_id(claims: dict[str, Any]) -> str:
    client_id = claims.get("client_id")
    if not isinstance(client_id, str) or not is_client_id(client_id):
        raise InvalidToken(MALFORMED, detail="client_id")
    return client_id


def _jti(claims: dict[str, Any]) -> str:
    """Printable ASCII only: it goes into a query before its signature was checked."""
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
        raise InvalidToken(MALFORMED, detail="jti")
    if not (jti.isascii() and jti.isprintable()):
        raise InvalidToken(MALFORMED, detail="jti")
    return jti


def _audiences(aud: object) -> tuple[str, ...]:
    """One is a text; a list is of several (as `exchange.grant` writes them)."""
    names: list[Any] = [aud]
    if isinstance(aud, list):
        names = aud if len(aud) > 1 else []
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidToken(MALFORMED, detail="aud")
    return tuple(names)


def _json_object(octets: bytes) -> dict[str, Any]:
    try:
        claims = strict_json.loads(octets)
    except ValueError as fault:
        raise InvalidToken(MALFORMED, detail="payload") from fault
    if not isinstance(claims, dict):
        raise InvalidToken(MALFORMED, detail="payload")
    return claims


def _seconds(value: object) -> float | None:
    """A NumericDate, or None. A bool is an int to Python, and NaN compares false."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _MAX_SECONDS else None
