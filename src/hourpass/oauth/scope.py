"""Scopes as they travel: space-delimited, case-sensitive, never normalised (RFC 6749 3.3)."""

import re
from collections.abc import Iterable

from hourpass.oauth.errors import InvalidScope

MAX_LENGTH = 4096
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")


def parse(value: str) -> tuple[str, ...]:
    """The names in a `scope` parameter, each once, in the order given.

    Raises InvalidScope for anything outside the grammar of RFC 6749 section 3.3 (names of
    `%x21 / %x23-5B / %x5D-7E`, one space between them) or longer than 4 KiB.
    """
    if len(value) > MAX_LENGTH:
        raise InvalidScope("the scope parameter is longer than 4 KiB")
    if _SCOPE.fullmatch(value) is None:
        raise InvalidScope("scope is a list of names with one space between them")
    return tuple(dict.fromkeys(value.split(" ")))


def join(names: Iterable[str]) -> str:
    """The wire form of a set of names; sorted, so that equal sets give equal bytes."""
    return " ".join(sorted(names))
