"""Token requests written down whole, with places for a client's credentials.

`<id>`, `<secret>` and `<basic>` (a good Basic header's value) are filled in when it is sent;
everything else goes to the server as it stands here, and no client library adds a header.
"""

import base64
from dataclasses import dataclass

import httpx

from support.installation import Credentials, Server

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
GRANT = "grant_type=client_credentials"
POST = f"{GRANT}&client_id=<id>&client_secret=<secret>"
MEMBERS = '"client_id":"<id>","client_secret":"<secret>"'


@dataclass(frozen=True, slots=True)
class Template:
    """A request; `headers` besides Content-Type."""

    body: str | bytes = ""
    content_type: str | None = FORM
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"
    target: str = "/token"

    def send(self, server: Server, credentials: Credentials) -> httpx.Response:
        """Send it with this client's credentials in the places for them."""
        body = self.body.encode() if isinstance(self.body, str) else self.body
        headers = [
            (name.encode("ascii"), _filled(value, credentials).encode("latin-1"))
            for name, value in self.headers
        ]
        if self.content_type is not None:
            headers.append((b"Content-Type", self.content_type.encode("ascii")))
        request = httpx.Request(
            self.method,
            server.url + _filled(self.target, credentials),
            headers=headers,
            content=_filled(body.decode("latin-1"), credentials).encode("latin-1"),
        )
        return server.http.send(request)


def form(body: str | bytes, *headers: tuple[str, str]) -> Template:
    """A form."""
    return Template(body, headers=headers)


def form_with_basic(body: str = GRANT, authorization: str = "<basic>") -> Template:
    """A form, with credentials in the header."""
    return Template(body, headers=(("Authorization", authorization),))


def json_of(members: str, *headers: tuple[str, str]) -> Template:
    """A JSON object with these members."""
    return Template("{" + members + "}", JSON, headers)


def json_document(text: str | bytes) -> Template:
    """A JSON body that is perhaps no object."""
    return Template(text, JSON)


def basic(pair: str | bytes, scheme: str = "Basic") -> str:
    """A header value; `<…>` in the pair is filled in before it is encoded."""
    octets = pair.encode() if isinstance(pair, str) else pair
    return f"{scheme} <b64:{octets.hex()}>"


def _filled(text: str, credentials: Credentials) -> str:
    text = text.replace("<basic>", credentials.basic["Authorization"])
    text = text.replace("<id>", credentials.client_id).replace("<secret>", credentials.secret)
    text = text.replace("<%id>", _escaped(credentials.client_id))
    text = text.replace("<%secret>", _escaped(credentials.secret))
    before, found, rest = text.partition("<b64:")
    if not found:
        return text
    digits, _, after = rest.partition(">")
    pair = _filled(bytes.fromhex(digits).decode("latin-1"), credentials).encode("latin-1")
    return before + base64.b64encode(pair).decode("ascii") + after


def _escaped(text: str) -> str:
    """Every character as a percent escape, as the most zealous clients do."""
    return "".join(f"%{ord(character):02X}" for character in text)
