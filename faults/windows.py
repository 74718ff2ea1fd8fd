"""How long callers got no answer, out of what they wrote down. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

PROMPT_S = 2.5
"""While the database hangs an answer comes within two seconds; so much more is the machine's."""


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
    """Out of a journal of `faults.tokens` or `faults.checks`, in any order."""
    good, bad, slowest = [], [], 0.0
    for entry in entries:
        slowest = max(slowest, entry["took"])
        if "status" in entry:
            bad.append((entry["at"] - entry["took"], entry["at"]))
        else:
            good.append(entry["at"])
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


def worst(windows: Iterable[Window]) -> Window:
    """Of several rounds: what was answered in all of them, and the longest times of any."""
    every = list(windows)
    return Window(
        answered=sum(each.answered for each in every),
        failed=sum(each.failed for each in every),
        errors_s=max(each.errors_s for each in every),
        gap_s=max(each.gap_s for each in every),
        slowest_s=max(each.slowest_s for each in every),
    )


def too_slow(seen: Window) -> str:
    """What is wrong with the slowest answer, when callers should not have had to wait."""
    if seen.slowest_s <= PROMPT_S:
        return ""
    return f"an answer took {seen.slowest_s:.1f} s, the most is {PROMPT_S} s"
