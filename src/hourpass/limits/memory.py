"""Windows in the memory of one process.

Nothing runs beside the requests: no timer and no sweep, whose cost would grow with the number of
clients. A window lives in one of two generations, which make room for each other once a minute.
"""

import time
from collections.abc import Callable, Sequence
from threading import Lock

from hourpass.limits.rules import WINDOW_SECONDS, Rule, Verdict

_WINDOW_MS = WINDOW_SECONDS * 1000
# A window is one integer, its beginning in milliseconds above the count. An object would take
# three times the memory, and a million of them every collection of garbage would have to visit.
_COUNT_BITS = 20
_COUNT = (1 << _COUNT_BITS) - 1


class MemoryWindows:
    """Counts for any number of keys; safe to use from many threads."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, most: int | None = None
    ) -> None:
        """`clock` gives seconds and never goes back.

        `most`: about how many windows there may be, where strangers choose the keys. When there
        are more, the older half is forgotten, though its minute is not over.
        """
        self._clock = clock
        self._half = None if most is None else most // 2
        self._began = clock()
        self._lock = Lock()
        self._turned = 0
        self._current: dict[tuple[str, ...], int] = {}
        self._before: dict[tuple[str, ...], int] = {}

    def __len__(self) -> int:
        """How many windows are held: at most those begun or counted in the last two minutes."""
        return len(self._current) + len(self._before)

    def take(self, rules: Sequence[Rule]) -> Verdict:
        """Count a request by all of its rules if all allow it, else by none."""
        with self._lock:
            now = int((self._clock() - self._began) * 1000)
            self._turn(now)
            used, begins = [], []
            allowed = True
            for rule in rules:
                window = self._current.get(rule.key) or self._before.get(rule.key)
                if window is None or now - (window >> _COUNT_BITS) >= _WINDOW_MS:
                    window = now << _COUNT_BITS
                used.append(window & _COUNT)
                begins.append(window >> _COUNT_BITS)
                allowed = allowed and used[-1] < rule.per_minute
            if allowed:
                used = [count + 1 for count in used]
                for rule, count, begin in zip(rules, used, begins, strict=True):
                    self._current[rule.key] = begin << _COUNT_BITS | count
                if self._half is not None and len(self._current) >= self._half:
                    self._before, self._current = self._current, {}
        left = tuple((begin + _WINDOW_MS - now) / 1000 for begin in begins)
        return Verdict(tuple(rules), allowed, tuple(used), left)

    def _turn(self, now: int) -> None:
        """Forget what nobody counted for a minute.

        A window is written into the generation of its moment, so when that one goes, 60 to 120
        seconds later, the window is over.
        """
        if now - self._turned >= _WINDOW_MS:
            self._before = self._current if now - self._turned < 2 * _WINDOW_MS else {}
            self._current = {}
            self._turned = now
