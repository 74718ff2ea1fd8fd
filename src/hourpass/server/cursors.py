"""Cursors: where the next page of a list begins.

Encrypted and authenticated under a key of the installation's own: they tell nobody how many
rows there are, and one that was changed, made for another list or for other filters is refused.
"""

import base64
import json
import secrets
from binascii import Error
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hourpass.server.refused import BadInput

MAX_LENGTH = 300
_NONCE = 12
Made = tuple[datetime, str]
"""A position in a list of the newest first: when a thing was made, and its ID."""


class BadCursor(BadInput):
    """The text is no cursor of this list."""

    def __init__(self) -> None:
        super().__init__(
            "cursor", "use next_cursor of the page before, with the same filters, or begin anew"
        )


class Cursors:
    """Writes and reads the cursors of one installation."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def write(self, of: Mapping[str, object], position: object) -> str:
        """A cursor for the list with these filters; `position` is JSON."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, _json(position), _json(of))
        return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode("ascii")

    def read(self, of: Mapping[str, object], cursor: str) -> Any:
        """The position; raises BadCursor for what `write` did not make for this list."""
        try:
            sealed = base64.b64decode(
                cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
            )
            plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _json(of))
        except (InvalidTag, ValueError, Error):
            raise BadCursor from None
        return json.loads(plain)


def made_as_json(made: Made | None) -> list[str] | None:
    """What a cursor holds of it; None where no page follows."""
    return None if made is None else [made[0].isoformat(), made[1]]


def made_from_json(position: Any) -> Made | None:
    """What `made_as_json` made."""
    return None if position is None else (datetime.fromisoformat(position[0]), position[1])


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
