"""Work on many rows, in steps that keep nobody waiting for long: how large each may be. Pure."""

_STEP_S = 0.02  # of the write lock, which on SQLite everybody else waits for; never above 0.1


class Pace:
    """The size of the next step, in rows, such that it takes about 20 ms.

    It begins with the fewest and at most doubles: the last step may have met cheap rows.
    """

    def __init__(self, fewest: int, most: int) -> None:
        self._fewest = self.size = fewest
        self._most = most

    def took(self, seconds: float) -> None:
        """A step of this size is done."""
        wanted = int(self.size * min(2.0, _STEP_S / max(seconds, 1e-6)))
        self.size = max(self._fewest, min(self._most, wanted))
