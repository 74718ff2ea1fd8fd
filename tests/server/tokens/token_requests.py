"""Token requests in the spellings that clients really use, and the words they are made of."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, urlencode

from hypothesis import strategies as st

from hourpass.oauth import basic, secret_format
from hourpass.server.tokens import authenticate
from hourpass.server.tokens.authenticate import RawRequest, TokenRequest

FORM, JSON = b"application/x-www-form-urlencoded", b"application/json"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CLIENT_IDS = st.from_regex(r"\Am2m_[0-9a-hjkmnp-tv-z]{20}\Z")
SECRETS = st.text(BASE62, min_size=43, max_size=43).map(
    lambda digits: f"hps_{digits}{secret_format.checksum('hps_' + digits)}"
)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@dataclass(frozen=True, slots=True)
class Octets:
    """A request as it arrives."""

    body: bytes = b""
    content_type: bytes = FORM
    authorization: tuple[bytes, ...] = ()
    query: bytes = b""

    def raw(self) -> RawRequest:
        """As the endpoint hands it on."""
        return RawRequest(
            content_type=self.content_type,
            authorization=self.authorization,
            query=self.query,
            body=self.body,
            request_id="r-1",
            ip="192.0.2.1",
        )

    def parse(self) -> TokenRequest:
        """What it says; raises OAuthError."""
        return authenticate.parse(self.raw())


def every_octet_escaped(text: str, *_: object) -> str:
    """As the most careful of clients do it."""
    return "".join(f"%{octet:02x}" for octet in text.encode())


def spaces_as_they_are(text: str, *_: object) -> str:
    """As curl's -d does it, with the rest escaped."""
    return quote(text, safe=" ")


FORM_SPELLINGS = (quote_plus, quote, every_octet_escaped, spaces_as_they_are)


def form(pairs: Iterable[tuple[str, str]], spelling: int = 0) -> bytes:
    """A form body, in one of the spellings."""
    quoting = FORM_SPELLINGS[spelling]
    if quoting in (quote_plus, quote):
        return urlencode(list(pairs), quote_via=quoting).encode()
    return "&".join(f"{quoting(name)}={quoting(value)}" for name, value in pairs).encode()


def basic_header(client_id: str, secret: str, spelling: int = 0) -> bytes:
    """An Authorization header, in one of the spellings."""
    match spelling:
        case 0:
            return basic.encode(client_id, secret).encode()
        case 1:
            pair = f"{client_id}:{secret}"
        case 2:
            pair = f"{every_octet_escaped(client_id)}:{every_octet_escaped(secret)}"
        case _:
            pair = f"{quote(client_id)}:{quote(secret)}".replace("_", "%5F")
    return b"bAsIc  " + base64.b64encode(pair.encode())


def json_body(members: dict[str, object], spelling: int = 0) -> bytes:
    """A JSON body: in ASCII, in UTF-8, or indented."""
    match spelling:
        case 0:
            return json.dumps(members).encode()
        case 1:
            return json.dumps(members, ensure_ascii=False).encode()
        case 2:
            return json.dumps(members, indent=3).encode()
        case _:
            return json.dumps(members, separators=(" , ", " : ")).encode()
