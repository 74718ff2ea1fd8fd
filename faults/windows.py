"""How long callers got no answer, out of what they wrote down. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What the callers of one load saw; times in seconds."""

    answered: int
    failed: int
    errors_s: float
    """From the first request that failed to the first good answer after the last that did."""
    gap_s: float
    """The longest time in which nobody got a good answer."""
    slowest_s: float
    """The answer that took longest, good or not."""


def window(entries: Iterable[dict[str, Any]]) -> Window:
    """Out of a journal of `faults.tokens`, in any order."""
    good, bad, slowest = [], [], 0.0
    for entry in entries:
        slowest = max(slowest, entry["took"])
        if "jti" in entry:
            good.append(entry["at"])
        else:
            bad.append((entry["at"] - entry["took"], entry["at"]))
    good.sort()
    errors = 0.0
    if bad:
        first = min(begun for begun, _ in bad)
        last = max(ended for _, ended in bad)
        again = next((at for at in good if at > last), last)
        errors = again - first
    gap = max((later - earlier for earlier, later in pairwise(good)), default=0)
    return Window(
        answered=len(good), failed=len(bad), errors_s=errors, gap_s=gap, slowest_s=slowest
    )
