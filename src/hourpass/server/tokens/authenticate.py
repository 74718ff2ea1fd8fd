"""A token request on the wire becomes a value: form or JSON, Basic or in the body. Pure.

Strict and total: whatever the octets, the outcome is a TokenRequest or an OAuthError. What
needs no secret to be refused (syntax) is refused here; what a right secret must come before
(scope, resource) is kept as text for `exchange`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from hourpass.oauth import basic
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
_KNOWN = frozenset({"grant_type", "client_id", "client_secret", "scope", "resource"})

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
class RawRequest:
    """A token request as it arrived; `authorization` has every such header there was."""

    content_type: bytes
    authorization: Sequence[bytes] = field(repr=False)
    query: bytes = field(repr=False)
    body: bytes = field(repr=False)
    request_id: str = ""
    ip: str = ""


def parse(raw: RawRequest) -> TokenRequest:
    """The request in these octets; raises OAuthError (RFC 6749 5.2, RFC 8707 2)."""
    _refuse_query(raw.query)
    headers = raw.authorization
    media_type = raw.content_type.partition(b";")[0].strip().lower()
    method: Method
    if media_type == b"application/x-www-form-urlencoded":
        parameters = _form(raw.body)
        if "grant_type" not in parameters:
            raise InvalidRequest("grant_type is missing; it is client_credentials")
        method = "client_secret_basic" if headers else "client_secret_post"
    elif media_type == b"application/json":
        parameters = _json(raw.body)
        if headers:
            raise InvalidRequest("credentials are in the body or in the header, not in both")
        method = "json"
    else:
        raise UnsupportedMediaType
    if parameters.get("grant_type", "client_credentials") != "client_credentials":
        raise UnsupportedGrantType
    client_id, secret = _credentials(parameters, headers)
    if not is_client_id(client_id) or not is_well_formed(secret):
        raise InvalidClient(detail="malformed")
    return TokenRequest(
        client_id=client_id,
        secret=secret,
        method=method,
        scope=parameters.get("scope"),
        resource=parameters.get("resource"),
        request_id=raw.request_id,
        ip=raw.ip,
    )


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


def _form(body: bytes) -> Parameters:
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
    return _once_each(decoded)


def _json(body: bytes) -> Parameters:
    """The known members of a JSON body; null and empty are absent."""
    try:
        text = body.decode("utf-8")
        members = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        if "\\u" in text:  # only an escape can be half of a surrogate pair
            json.dumps(members, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not well-formed JSON") from None
    if not isinstance(members, dict):
        raise InvalidRequest("the body has to be a JSON object")
    known = []
    for name, value in members.items():
        if name in _KNOWN and value is not None:
            if not isinstance(value, str):
                raise InvalidRequest(f"{name} has to be a string")
            known.append((name, value))
    return _once_each(known)


def _once_each(pairs: Iterable[tuple[str, str]]) -> Parameters:
    parameters: Parameters = {}
    for name, value in pairs:
        if name not in _KNOWN or not value:
            continue
        if name not in parameters:
            parameters[name] = value
        elif name == "resource":
            if parameters[name] != value:
                raise InvalidTarget("a token is for one resource; ask once for each")
        else:
            raise InvalidRequest(f"{name} is there more than once")
    return parameters


def _refuse_query(query: bytes) -> None:
    """Parameters go in the body: a query string ends up in logs (RFC 6749 2.3.1)."""
    if not query:
        return
    for pair in query.split(b"&"):
        try:
            name = basic.form_decode(pair.partition(b"=")[0].decode("latin-1"))
        except ValueError:
            continue
        if name in _KNOWN:
            raise InvalidRequest("send the parameters in the body, never in the URL")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidRequest("a member stands in a JSON object twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
