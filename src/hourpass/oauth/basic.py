"""Client credentials in an Authorization header (RFC 6749 2.3.1, RFC 7617)."""

import base64
import binascii
import re
from urllib.parse import quote_plus, unquote_to_bytes

_BASIC = re.compile(r"[Bb][Aa][Ss][Ii][Cc] +([A-Za-z0-9+/]+={0,2}) *")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decode(header: str) -> tuple[str, str]:
    """Client ID and secret of a Basic header, form-decoded.

    Some clients escape even `-` and `_`, others escape nothing: both come out right, since
    neither alphabet holds `%` or `+`. The octets may be UTF-8 or Latin-1. Raises ValueError
    for another scheme, for what is not base64, for a missing colon and for a broken escape.
    """
    match = _BASIC.fullmatch(header)
    if match is None:
        raise ValueError("not a Basic header")
    try:
        octets = base64.b64decode(match[1], validate=True)
    except binascii.Error as fault:
        raise ValueError("not base64") from fault
    if base64.b64encode(octets).decode("ascii") != match[1]:
        raise ValueError("base64, but not as anybody would write it")
    user, colon, password = _text(octets).partition(":")
    if not colon:
        raise ValueError("no colon between ID and secret")
    return form_decode(user), form_decode(password)


def encode(client_id: str, client_secret: str) -> str:
    """The header value for these credentials (RFC 6749 2.3.1: each form-encoded first)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def form_decode(value: str) -> str:
    """One `application/x-www-form-urlencoded` value as text; ValueError for a broken escape."""
    if "%" not in value:
        return value.replace("+", " ")
    if _BAD_ESCAPE.search(value):
        raise ValueError("a % that begins no escape")
    return _text(unquote_to_bytes(value.replace("+", " ")))


def _text(octets: bytes) -> str:
    """UTF-8 where it is that, else Latin-1, which every octet string is."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")
