"""The online check of an access token: signature and claims, then the rows as they are now.

Every call reads the database, so whatever was done before it began is seen: a client deleted,
suspended or expired, tokens revoked, an organization suspended, a signing key revoked. No
decision is remembered here.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from hourpass.oauth import scope as scope_syntax
from hourpass.oauth.errors import InvalidScope, InvalidToken
from hourpass.oauth.jose import ACCESS_TOKEN_TYPE, Algorithm, BadSignature, PublicKeys
from hourpass.server.clients.model import Client, Status, is_client_id
from hourpass.server.db.engine import Database
from hourpass.server.keys import model as key_model
from hourpass.server.keys import store as keys
from hourpass.server.keys.model import SigningKey
from hourpass.server.tokens import store

MAX_TOKEN = 8 * 1024
_SKEW = timedelta(seconds=60)
_MAX_SECONDS = 32_503_680_000  # the year 3000
_MALFORMED = "the access token is malformed or was not issued here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A token that may be honoured now; `scopes` are those that its client still holds."""

    client: Client
    scopes: frozenset[str]
    expires_at: datetime
    keys_version: int
    """Of the installation's keys, as they were read with the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claims:
    client_id: str
    scopes: frozenset[str]
    generation: int
    organization: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Keys:
    version: int | None
    keys: tuple[SigningKey, ...]


class OnlineCheck:
    """Checks the tokens of one issuer; safe to use from many threads."""

    def __init__(self, database: Database, issuer: str) -> None:
        self._database = database
        self._issuer = issuer
        self._keys = _Keys(None, ())

    def strictly(self, token: str, *, audience: str) -> Checked:
        """As the management API checks its tokens; raises InvalidToken.

        Beside what every online check refuses, the client must be active; a scope that it does
        not hold any more is not honoured.
        """
        if len(token) > MAX_TOKEN:
            raise InvalidToken(_MALFORMED, detail="too long")
        seen = store.look(self._database, _client_id(token))
        claims = self._verified(token, audience, seen)
        if seen.client is None:
            raise InvalidToken("the API client of this token is gone", detail="client_gone")
        client = seen.client.client
        if client.token_generation != claims.generation:
            raise InvalidToken("the access token was revoked", detail="revoked")
        if client.organization != claims.organization:
            raise InvalidToken(_MALFORMED, detail="another organization")
        if seen.client.organization_suspended:
            raise InvalidToken("the organization is suspended", detail="organization_suspended")
        status = client.status(seen.now)
        if status is not Status.ACTIVE:
            raise InvalidToken(f"the API client of this token is {status}", detail=status)
        return Checked(
            client=client,
            scopes=claims.scopes & client.scopes,
            expires_at=datetime.fromtimestamp(claims.expires_at, seen.now.tzinfo),
            keys_version=seen.keys_version,
        )

    def _verified(self, token: str, audience: str, seen: store.Seen) -> _Claims:
        """Signature by a key that is published now, and claims that we could have written."""
        try:
            signed = self._published(seen).verify(token)
        except BadSignature as fault:
            raise InvalidToken(_MALFORMED, detail=str(fault)[:100]) from fault
        if signed.header.get("typ") != ACCESS_TOKEN_TYPE:
            raise InvalidToken(_MALFORMED, detail="typ")
        claims = _json_object(signed.payload)
        if claims.get("iss") != self._issuer:
            raise InvalidToken(_MALFORMED, detail="iss")
        if claims.get("aud") != audience or not isinstance(claims["aud"], str):
            raise InvalidToken("the access token is for another API", detail="aud")
        return _read(claims, seen.now)

    def _published(self, seen: store.Seen) -> PublicKeys:
        """The keys of this moment; read again only when they changed."""
        known = self._keys
        if known.version != seen.keys_version:
            with self._database.read() as connection:
                version = keys.version(connection)
                known = self._keys = _Keys(version, tuple(keys.signing_keys(connection)))
        published = key_model.published(known.keys, seen.now)
        return _public_keys(tuple(json.dumps(key.public_jwk) for key in published))


def _client_id(token: str) -> str:
    """Whose row to read, by a token that nothing is known of yet; raises InvalidToken."""
    try:
        payload = token.split(".")[1]
        claims = _json_object(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError) as fault:
        raise InvalidToken(_MALFORMED, detail="no payload") from fault
    client_id = claims.get("client_id")
    if not isinstance(client_id, str) or not is_client_id(client_id):
        raise InvalidToken(_MALFORMED, detail="client_id")
    return client_id


def _json_object(octets: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(octets)
    except (ValueError, RecursionError) as fault:
        raise InvalidToken(_MALFORMED, detail="payload") from fault
    if not isinstance(claims, dict):
        raise InvalidToken(_MALFORMED, detail="payload")
    return claims


@lru_cache(maxsize=8)
def _public_keys(jwks: tuple[str, ...]) -> PublicKeys:
    """The keys in these texts: to take them apart costs more than to look them up."""
    return PublicKeys({"keys": [json.loads(jwk) for jwk in jwks]}, Algorithm)


def _read(claims: Mapping[str, Any], now: datetime) -> _Claims:
    """The claims by type and value; `exp` has no leeway (RFC 9068 section 4)."""
    issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    if issued is None or expires is None or issued > (now + _SKEW).timestamp():
        raise InvalidToken(_MALFORMED, detail="iat or exp")
    if now.timestamp() >= expires:
        raise InvalidToken("the access token has expired; request a new one", detail="exp is past")
    client_id, generation = claims.get("client_id"), claims.get("gen")
    organization, scope = claims.get("org_id"), claims.get("scope")
    if not isinstance(client_id, str) or not is_client_id(client_id):
        raise InvalidToken(_MALFORMED, detail="client_id")
    if claims.get("sub") != client_id or not isinstance(organization, str):
        raise InvalidToken(_MALFORMED, detail="sub or org_id")
    if isinstance(generation, bool) or not isinstance(generation, int):
        raise InvalidToken(_MALFORMED, detail="gen")
    if not isinstance(scope, str):
        raise InvalidToken(_MALFORMED, detail="scope")
    try:
        scopes = frozenset(scope_syntax.parse(scope))
    except InvalidScope as fault:
        raise InvalidToken(_MALFORMED, detail="scope") from fault
    return _Claims(
        client_id=client_id,
        scopes=scopes,
        generation=generation,
        organization=organization,
        expires_at=expires,
    )


def _seconds(value: object) -> float | None:
    """A NumericDate, or None. A bool is an int to Python, and NaN compares false."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _MAX_SECONDS else None
