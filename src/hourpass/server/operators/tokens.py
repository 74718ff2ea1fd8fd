"""Random values that are shown once and kept as digests: links, sessions, recovery codes."""

import hashlib
import secrets

from hourpass.server.hidden import Hidden

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_TOKEN_BYTES = 32


class Token(Hidden):
    """One of these values."""

    __slots__ = ()


def new() -> Token:
    """256 random bits, in base64url."""
    return Token(secrets.token_urlsafe(_TOKEN_BYTES))


def digest(token: Token, purpose: str) -> bytes:
    """32 bytes that tell this value from every other; one for each purpose.

    A fast hash is enough for what is random: nobody can try 2^80 values or more.
    """
    text = token.reveal().encode("utf-8", "surrogatepass")
    return hashlib.sha256(purpose.encode() + b"\0" + text).digest()


def new_id(prefix: str) -> str:
    """A random ID, never reused and no secret: the prefix and 20 letters."""
    return prefix + letters(20)


def letters(count: int) -> str:
    """Random letters and digits that nobody mistakes for each other, 5 bits each."""
    return "".join(secrets.choice(_LETTERS) for _ in range(count))
