"""The decision on one token request. Pure: client + request + now → Issued or Refused.

The steps are in `exchange`, in order. Nothing here reads or writes; a batch is a list
comprehension over it.
"""

import json
import logging
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from hourpass.oauth import scope as scope_syntax
from hourpass.oauth.errors import (
    ClientExpired,
    ClientSuspended,
    InvalidClient,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    OrganizationSuspended,
    ServerError,
)
from hourpass.oauth.jose import PrivateKey
from hourpass.server.catalogue.model import INTROSPECT_PREFIX, Catalogue
from hourpass.server.clients.model import Client, Status
from hourpass.server.clients.secrets import Secret, proves
from hourpass.server.keys.keyring import Keyring
from hourpass.server.tokens import authenticate
from hourpass.server.tokens.authenticate import RawRequest, TokenRequest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registered:
    """A client and the one fact of its organization that decides."""

    client: Client
    organization_suspended: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What all decisions of a moment share: the catalogue and the keys, each at a version."""

    catalogue: Catalogue
    keyring: Keyring = field(repr=False)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token is for; `audience` is the JSON of its `aud` claim."""

    scope: str
    audience: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A token may leave, once this is on record. `moment` is its `iat`."""

    request_id: str
    client: Client
    granted: Granted
    jti: str
    signer: PrivateKey
    moment: datetime
    ip: str
    method: str

    def at(self, moment: datetime) -> "Issued":
        """The same, with the moment at which the database recorded it."""
        return Issued(
            self.request_id,
            self.client,
            self.granted,
            self.jti,
            self.signer,
            moment,
            self.ip,
            self.method,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """No token; `client` is known when the request named one that exists."""

    error: OAuthError
    client: Client | None
    ip: str
    request_id: str
    at: str = ""
    """Where it was, when it was not a token that was asked for: `introspect`, `revoke`."""
    named: str = ""
    """The client ID of the request where it has the form of one, whether there is such a client
    or not: what is counted for one must be counted for the other."""

    @property
    def reason(self) -> str:
        """One word for the audit trail; the caller may be told less."""
        word = self.error.detail or self.error.reason or self.error.code
        return f"{self.at}.{word}" if self.at else word


def read(raw: RawRequest) -> TokenRequest | Refused:
    """Step 0: what the octets say. Whatever they are, there is an outcome."""
    try:
        return authenticate.parse(raw)
    except OAuthError as refusal:
        return Refused(refusal.bare(), None, raw.ip, raw.request_id)
    except Exception as fault:  # noqa: BLE001  (one request's bug must not fail its neighbours)
        of = {"request_id": raw.request_id}
        _log.error("a token request failed", exc_info=fault, extra=of)
        return Refused(ServerError(detail=type(fault).__name__), None, raw.ip, raw.request_id)


def exchange(
    request: TokenRequest, registered: Registered | None, facts: Facts, now: datetime
) -> Issued | Refused:
    """Decide one token request.

    An outcome keeps the request's ID and address, never the request: that holds a secret.
    """
    client = registered.client if registered is not None else None
    try:
        client = authenticated(request.secret, registered, facts.keyring, now)
        granted = grant(client.scopes, request.scope, request.resource, facts.catalogue)
        signer = facts.keyring.signer(now)
        if signer is None:
            raise ServerError(detail="no_signing_key")
        return Issued(
            request.request_id,
            client,
            granted,
            secrets.token_urlsafe(16),
            signer,
            now,
            request.ip,
            request.method,
        )
    except OAuthError as refusal:
        return Refused(
            refusal.bare(), client, request.ip, request.request_id, named=request.client_id
        )
    except Exception as fault:  # noqa: BLE001  (one request's bug must not fail its neighbours)
        of = {"request_id": request.request_id}
        _log.error("a token request failed", exc_info=fault, extra=of)
        error = ServerError(detail=type(fault).__name__)
        return Refused(error, client, request.ip, request.request_id)


def authenticated(
    secret: Secret, registered: Registered | None, keyring: Keyring, now: datetime
) -> Client:
    """The client, if `secret` is its own and it may act; raises InvalidClient.

    Unknown client and wrong secret cost the same and answer the same.
    """
    credentials = registered.client.credentials if registered is not None else ()
    proved = proves(secret, credentials, keyring.peppers)
    if registered is None:
        raise InvalidClient(detail="unknown_client")
    if not proved:
        raise InvalidClient(detail="wrong_secret")
    _check_lifecycle(registered, now)
    return registered.client


def _check_lifecycle(registered: Registered, now: datetime) -> None:
    """Only who proved the secret gets this far, and is told why there is no token."""
    match registered.client.status(now):
        case Status.EXPIRED:
            raise ClientExpired
        case Status.SUSPENDED:
            raise ClientSuspended
        case Status.ACTIVE if registered.organization_suspended:
            raise OrganizationSuspended


def grant(
    held: frozenset[str], scope: str | None, resource: str | None, catalogue: Catalogue
) -> Granted:
    """Scopes and audience of the token; raises InvalidScope or InvalidTarget.

    One token, one purpose: a token is for the management API or for others, never for both,
    and the management API has to be asked for unless the client holds nothing else.
    """
    return _grant(held, scope, resource, _ByCatalogue(catalogue))


@lru_cache(maxsize=4096)
def _grant(
    held: frozenset[str], scope: str | None, resource: str | None, by: "_ByCatalogue"
) -> Granted:
    catalogue = by.catalogue
    management = catalogue.management_identifier
    carried = {
        name: catalogue.audience_of[name]
        for name in held
        if not name.startswith(INTROSPECT_PREFIX) and name in catalogue.audience_of
    }
    if resource is not None and resource not in catalogue.identifiers:
        raise InvalidTarget("there is no such resource here")
    if scope is not None:
        wanted = scope_syntax.parse(scope)
        lacking = [name for name in wanted if name not in carried]
        if lacking:
            raise InvalidScope(f"this API client does not hold the scope {lacking[0]}")
        chosen = {name: carried[name] for name in wanted}
    elif resource is not None or set(carried.values()) == {management}:
        chosen = carried
    else:
        chosen = {name: api for name, api in carried.items() if api != management}
    if resource is not None:
        here = {name: api for name, api in chosen.items() if api == resource}
        if scope is not None and here != chosen:
            raise InvalidTarget("a scope that was asked for belongs to another resource")
        chosen = here
        if not chosen:
            raise InvalidTarget("this API client holds no scope of that resource")
    audiences = sorted(set(chosen.values()))
    if management in audiences and len(audiences) > 1:
        raise InvalidTarget("the management API's scopes need a token of their own")
    if not chosen:
        raise InvalidScope("this API client holds no scope that a token can carry")
    audience = audiences[0] if len(audiences) == 1 else audiences
    return Granted(scope_syntax.join(chosen), json.dumps(audience, separators=(",", ":")))


class _ByCatalogue:
    """A catalogue as part of a cache key: equal when it is the same object."""

    __slots__ = ("catalogue",)

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def __hash__(self) -> int:
        return id(self.catalogue)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByCatalogue) and other.catalogue is self.catalogue
