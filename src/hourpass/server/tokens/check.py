"""The online check of an access token, by itself: as the management API checks its callers'.

Every call reads the database, so whatever was done before it began is seen: a client deleted,
suspended or expired, tokens revoked, an organization suspended, a signing key revoked. No
decision is remembered here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from hourpass.oauth.errors import InvalidToken, WrongAudience
from hourpass.oauth.jose import Algorithm, PublicKeys
from hourpass.server.clients.model import Client, Status
from hourpass.server.db.engine import Database
from hourpass.server.keys import model as key_model
from hourpass.server.keys import store as keys
from hourpass.server.keys.model import SigningKey
from hourpass.server.tokens import claims as token_claims
from hourpass.server.tokens import store
from hourpass.server.tokens.standing import Standing, refuse_fallen


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A token that may be honoured now; `scopes` are those that its client still holds."""

    client: Client
    scopes: frozenset[str]
    expires_at: datetime
    keys_version: int
    """Of the installation's keys, as they were read with the client."""


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
        found = store.look(self._database, token_claims.alleged(token))
        claims = token_claims.verified(token, self._published(found), self._issuer)
        if claims.audiences != (audience,):
            raise WrongAudience(detail="aud")
        claims.check_time(found.now)
        client = found.client.client if found.client is not None else None
        standing = None
        if found.client is not None and client is not None:
            standing = Standing(
                generation=client.token_generation,
                organization=client.organization,
                organization_suspended=found.client.organization_suspended,
                revoked=found.revoked,
            )
        refuse_fallen(claims, standing)
        assert client is not None  # noqa: S101  (a client that is gone was refused)
        status = client.status(found.now)
        if status is not Status.ACTIVE:
            raise InvalidToken(f"the API client of this token is {status}", detail=status)
        return Checked(
            client=client,
            scopes=claims.scopes & client.scopes,
            expires_at=datetime.fromtimestamp(claims.expires_at, found.now.tzinfo),
            keys_version=found.keys_version,
        )

    def _published(self, found: store.Found) -> PublicKeys:
        """The keys of this moment; read again only when they changed."""
        known = self._keys
        if known.version != found.keys_version:
            with self._database.read() as connection:
                version = keys.version(connection)
                known = self._keys = _Keys(version, tuple(keys.signing_keys(connection)))
        return published_keys(known.keys, found.now)


def published_keys(signing_keys: Iterable[SigningKey], now: datetime) -> PublicKeys:
    """The keys that verify tokens now."""
    published = key_model.published(signing_keys, now)
    return _public_keys(tuple(json.dumps(key.public_jwk) for key in published))


@lru_cache(maxsize=8)
def _public_keys(jwks: tuple[str, ...]) -> PublicKeys:
    """The keys in these texts: to take them apart costs more than to look them up."""
    return PublicKeys({"keys": [json.loads(jwk) for jwk in jwks]}, Algorithm)
