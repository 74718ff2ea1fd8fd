"""Bearer credentials and refusals as they travel (RFC 6750), for every framework alike."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hourpass.oauth.errors import InsufficientScope, InvalidToken, OAuthError, RateLimited

RETRY_AFTER_S = 10
"""Of a 503: for that long a verifier does not ask again for keys that it could not read."""
_CREDENTIALS = re.compile(r" +([A-Za-z0-9._~+/-]+=*)")  # without case it would be much slower
_IS_BEARER = re.compile(r"bearer(?![!#$%&'*+.^_`|~0-9A-Za-z-])", re.IGNORECASE)
# Gateways to CGI-like interfaces join repeated headers by a comma (RFC 9110 section 5.3).
_JOINED = re.compile(r"(?:^|,)[ \t]*(?:,|$|(?:bearer|basic)[ \t])", re.IGNORECASE)
_UNQUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class MissingToken(InvalidToken):
    """The request brings no Bearer credentials at all.

    Its challenge names no error: the caller may not know yet that it needs a token (3.1).
    """

    description = "this API needs an access token: send it as Authorization: Bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A refusal in bytes; header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def bearer_token(authorization: Sequence[str]) -> str:
    """The token in the Authorization headers of a request (RFC 6750 section 2.1).

    Raises MissingToken when there is none or it is of another scheme, InvalidToken when it is
    malformed or there is more than one: two programs on the way could each obey another. A
    token in the query or the body is never looked for.
    """
    if not authorization:
        raise MissingToken(detail="no Authorization header")
    value = authorization[0].strip(" \t")
    if len(authorization) == 1 and value[:6].lower() == "bearer":
        match = _CREDENTIALS.fullmatch(value, 6)
        if match is not None:
            return match[1]
    if len(authorization) > 1 or ("," in value and _JOINED.search(value)):
        raise InvalidToken("send one Authorization header", detail="repeated Authorization header")
    if _IS_BEARER.match(value) is None:
        raise MissingToken(detail="another authorization scheme")
    description = "the Bearer credentials are malformed: send Authorization: Bearer <token>"
    raise InvalidToken(description, detail="not a b64token")


def challenge(refusal: OAuthError, realm: str, resource_metadata: str | None = None) -> str:
    """The WWW-Authenticate value of a refusal (RFC 6750 section 3).

    `resource_metadata` is the URL of the API's metadata (RFC 9728 section 5.1).
    """
    parameters = {"realm": realm}
    if not isinstance(refusal, MissingToken):
        parameters |= {"error": refusal.code, "error_description": refusal.description}
    if isinstance(refusal, InsufficientScope) and refusal.scopes:
        parameters["scope"] = " ".join(refusal.scopes)
    if resource_metadata is not None:
        parameters["resource_metadata"] = resource_metadata
    quoted = (f'{name}="{_UNQUOTABLE.sub("?", text)}"' for name, text in parameters.items())
    return "Bearer " + ", ".join(quoted)


def answer(refusal: OAuthError, realm: str, resource_metadata: str | None = None) -> Answer:
    """Status, headers and JSON body of a refusal; its private detail is in none of them."""
    body = json.dumps({"error": refusal.code, "error_description": refusal.description})
    headers = [("content-type", "application/json"), ("cache-control", "no-store")]
    if isinstance(refusal, RateLimited):
        headers += refusal.headers
    elif refusal.status >= 500:
        headers.append(("retry-after", str(RETRY_AFTER_S)))
    else:
        headers.append(("www-authenticate", challenge(refusal, realm, resource_metadata)))
    encoded = body.encode("ascii")
    headers.append(("content-length", str(len(encoded))))
    return Answer(status=refusal.status, headers=tuple(headers), body=encoded)
