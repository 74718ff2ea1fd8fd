"""A request with client credentials becomes a value: form or JSON, Basic or in the body. Pure.

Strict and total: whatever the octets, the outcome is a value or an OAuthError. What
needs no secret to be refused (syntax) is refused here; what only the holder of a right secret may
learn about (scope, resource) is kept as text for `exchange`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hourpass.oauth import basic, strict_json
from hourpass.oauth.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidTarget,
    UnsupportedGrantType,
    UnsupportedMediaType,
)
from hourpass.server.clients.model import is_client_id
from hourpass.server.clients.secrets import Secret, is_well_formed

MAX_BODY = 16 * 1024
_MAX_PARAMETERS = 100
_OF_TOKEN = frozenset({"grant_type", "client_id", "client_secret", "scope", "resource"})
_OF_INQUIRY = frozenset({"client_id", "client_secret", "token", "token_type_hint"})

Method = Literal["client_secret_basic", "client_secret_post", "json"]
Parameters = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A well-formed request (RFC 6749 section 4.4.2); `ip` and `request_id` are ours."""

    client_id: str
    secret: Secret = field(repr=False)
    method: Method
    scope: str | None = None
    resource: str | None = None
    request_id: str = ""
    ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A well-formed request about a token (RFC 7662 section 2.1, RFC 7009 section 2.1)."""

    client_id: str
    secret: Secret = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """A request as it arrived; `authorization` has every such header there was."""

    content_type: bytes
    authorization: Sequence[bytes] = field(repr=False)
    query: bytes = field(repr=False)
    body: bytes = field(repr=False)
    request_id: str = ""
    ip: str = ""


def parse(raw: RawRequest) -> TokenRequest:
    """The token request in these octets; raises OAuthError (RFC 6749 5.2, RFC 8707 2)."""
    parameters, is_form = _parameters(raw, _OF_TOKEN)
    if is_form and "grant_type" not in parameters:
        raise InvalidRequest("grant_type is missing; it is client_credentials")
    if parameters.get("grant_type", "client_credentials") != "client_credentials":
        raise UnsupportedGrantType
    client_id, secret = _proof(parameters, raw.authorization)
    method: Method = "json"
    if is_form:
        method = "client_secret_basic" if raw.authorization else "client_secret_post"
    return TokenRequest(
        client_id=client_id,
        secret=secret,
        method=method,
        scope=parameters.get("scope"),
        resource=parameters.get("resource"),
        request_id=raw.request_id,
        ip=raw.ip,
    )


def parse_inquiry(raw: RawRequest) -> Inquiry:
    """The request about a token in these octets; raises OAuthError (RFC 7662 2.1, RFC 7009 2.1).

    `token_type_hint` is taken and not needed: there is one kind of token.
    """
    parameters, _ = _parameters(raw, _OF_INQUIRY)
    client_id, secret = _proof(parameters, raw.authorization)
    token = parameters.get("token")
    if token is None:
        raise InvalidRequest("token is missing; it is the access token that is asked about")
    return Inquiry(client_id=client_id, secret=secret, token=token)


def _parameters(raw: RawRequest, known: frozenset[str]) -> tuple[Parameters, bool]:
    """The known parameters, and whether they came as a form."""
    _refuse_query(raw.query, known)
    media_type = raw.content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/x-www-form-urlencoded":
        return _form(raw.body, known), True
    if media_type == b"application/json":
        parameters = _json(raw.body, known)
        if raw.authorization:
            raise InvalidRequest("credentials are in the body or in the header, not in both")
        return parameters, False
    raise UnsupportedMediaType


def _proof(parameters: Parameters, authorization: Sequence[bytes]) -> tuple[str, Secret]:
    """ID and secret, each of the right form."""
    client_id, secret = _credentials(parameters, authorization)
    if not is_client_id(client_id) or not is_well_formed(secret):
        raise InvalidClient(detail="malformed")
    return client_id, secret


def _credentials(parameters: Parameters, headers: Sequence[bytes]) -> tuple[str, Secret]:
    in_body = parameters.get("client_id"), parameters.get("client_secret")
    if not headers:
        client_id, secret = in_body
        if client_id is None or secret is None:
            raise InvalidClient(detail="no_credentials")
        return client_id, Secret(secret)
    if in_body[1] is not None:
        raise InvalidRequest("credentials are in the body or in the header, not in both")
    if len(headers) > 1:
        raise InvalidRequest("there is more than one Authorization header")
    try:
        client_id, secret = basic.decode(headers[0].decode("latin-1"))
    except ValueError:
        raise InvalidClient(detail="malformed") from None
    if in_body[0] not in (None, client_id):
        raise InvalidRequest("client_id in the body is another than in the header")
    return client_id, Secret(secret)


def _form(body: bytes, known: frozenset[str]) -> Parameters:
    """The known parameters of a form body; an empty one is an absent one (RFC 6749 3.2)."""
    if body == b"grant_type=client_credentials":
        return {"grant_type": "client_credentials"}
    try:
        text = body.decode("utf-8")
        pairs = text.split("&", _MAX_PARAMETERS)
        if len(pairs) > _MAX_PARAMETERS:
            raise InvalidRequest(f"there are more than {_MAX_PARAMETERS} parameters")
        decoded = []
        for pair in pairs:
            name, _, value = pair.partition("=")
            decoded.append((basic.form_decode(name), basic.form_decode(value)))
    except ValueError:
        raise InvalidRequest("the body is not a well-formed form") from None
    return _once_each(decoded, known)


def _json(body: bytes, known: frozenset[str]) -> Parameters:
    """The known members of a JSON body; null and empty are absent."""
    try:
        members = strict_json.loads(body)
    except strict_json.RepeatedName:
        raise InvalidRequest("a member stands in a JSON object twice") from None
    except ValueError:
        raise InvalidRequest("the body is not well-formed JSON") from None
    if not isinstance(members, dict):
        raise InvalidRequest("the body has to be a JSON object")
    pairs = []
    for name, value in members.items():
        if name in known and value is not None:
            if not isinstance(value, str):
                raise InvalidRequest(f"{name} has to be a string")
            pairs.append((name, value))
    return _once_each(pairs, known)


def _once_each(pairs: Iterable[tuple[str, str]], known: frozenset[str]) -> Parameters:
    parameters: Parameters = {}
    for name, value in pairs:
        if name not in known or not value:
            continue
        if name not in parameters:
            parameters[name] = value
        elif name == "resource":
            if parameters[name] != value:
                raise InvalidTarget("a token is for one resource; ask once for each")
        else:
            raise InvalidRequest(f"{name} is there more than once")
    return parameters


def _refuse_query(query: bytes, known: frozenset[str]) -> None:
    """Parameters go in the body: a query string ends up in logs (RFC 6749 2.3.1)."""
    if not query:
        return
    for pair in query.split(b"&"):
        try:
            name = basic.form_decode(pair.partition(b"=")[0].decode("latin-1"))
        except ValueError:
            continue
        if name in known:
            raise InvalidRequest("send the parameters in the body, never in the URL")
