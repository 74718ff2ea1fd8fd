"""Random values that are shown once and kept as digests: links, sessions, recovery codes."""

import hashlib
import secrets

from hourpass.server.hidden import Hidden

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
