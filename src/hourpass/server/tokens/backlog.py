"""How long the next one in a queue will wait, by how long its last batches took.

A number of requests says little: 10,000 are a second of work on a quick machine and ten on a
slow one, or on a quick one whose disk is busy. A request that would wait for too long is refused
at once, which costs less than to answer it late.
"""

import time

MAX_WAIT_S = 1.0


class Backlog:
    """The estimate for one queue, which is served in batches of at most `max_batch`."""

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._batch_s = 0.0

    def took(self, seconds: float) -> None:
        """A batch is done. Half of the estimate is the last one: it has to follow quickly."""
        self._batch_s = (self._batch_s + seconds) / 2

    def is_too_long(self, waiting: int, since: float | None) -> bool:
        """Whether one more would wait for too long behind those that are `waiting`.

        `since` is when the batch under way began (`time.monotonic`); it may be slower than those
        before. Nobody is turned away while all that wait are in the next batch.
        """
        ahead = waiting // self._max_batch
        if not ahead:
            return False
        under_way = 0.0 if since is None else time.monotonic() - since
        return ahead * max(self._batch_s, under_way) > MAX_WAIT_S
