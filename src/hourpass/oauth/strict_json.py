"""JSON from outside, read without the liberties that Python's reader takes. Pure.

Others would read what is refused here in another way, or not at all: of two equal names some take
the first (RFC 7519 section 4, RFC 8259 section 4), NaN is a number to few, and half of a surrogate
pair cannot be written.
"""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 16


class RepeatedName(ValueError):
    """A name occurs twice in an object."""


def loads(octets: bytes) -> Any:
    """The value in UTF-8 JSON; ValueError for whatever else, also for nesting over `MAX_DEPTH`."""
    text = octets.decode("utf-8")
    try:
        value = _DECODER.decode(text)
        if text.count("{") + text.count("[") > MAX_DEPTH and _is_deep(value):
            raise ValueError("nested too deeply")
        # Only an escape can spell half of a surrogate pair. After the look at the depth, since
        # writing needs more of the stack than reading did.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RepeatedName("a name occurs twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number out of range")
    return value


def _is_deep(value: Any) -> bool:
    """Whether containers nest deeper than `MAX_DEPTH`; level by level, so without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for container in level:
            members = container.values() if isinstance(container, dict) else container
            below += [member for member in members if isinstance(member, dict | list)]
        if not below:
            return False
        level = below
    return True


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
)
