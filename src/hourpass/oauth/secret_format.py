"""The written form of a client secret: `hps_` + 43 base62 digits + a 6-digit checksum.

The checksum lets a scanner tell a real secret from a look-alike, and the server refuse a typo
before it reads anything. It is no protection: whoever holds the text can compute it.
"""

import re
import secrets
import zlib

PREFIX = "hps_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)
_FORM = re.compile(r"hps_[0-9A-Za-z]{49}")


def generate() -> str:
    """A new secret with 256 bits from the operating system's generator."""
    body = PREFIX + _base62(int.from_bytes(secrets.token_bytes(32), "big"), 43)
    return body + checksum(body)


def checksum(body: str) -> str:
    """CRC-32 of `hps_` and the 43 digits, as 6 base62 digits, most significant first."""
    number = zlib.crc32(body.encode("ascii"))
    rest, low = divmod(number, 3844)
    high, middle = divmod(rest, 3844)
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def is_well_formed(value: str) -> bool:
    """Whether `value` has the exact form and its checksum fits."""
    return _FORM.fullmatch(value) is not None and checksum(value[:-6]) == value[-6:]


def _base62(number: int, width: int) -> str:
    digits = []
    while number:
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)).rjust(width, "0")
