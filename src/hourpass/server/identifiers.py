"""Random IDs and codes, in letters and digits that nobody mistakes for each other."""

import secrets

FORM = "[0-9a-hjkmnp-tv-z]{20}"
"""What follows the prefix of an ID, as a regular expression."""
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """A random ID, never reused and no secret: the prefix and 20 letters."""
    return prefix + letters(20)


def letters(count: int) -> str:
    """Random letters and digits, 5 bits each."""
    return "".join(secrets.choice(_LETTERS) for _ in range(count))
