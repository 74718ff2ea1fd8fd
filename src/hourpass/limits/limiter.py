"""Counting in the shared store while it answers, and in memory while it does not.

No request waits longer than `WAIT_SECONDS` for the store, and none is refused because it is away:
limits protect an API from its clients, and must not become a reason why it is down.
"""

import asyncio
import concurrent.futures
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from hourpass.limits.memory import MemoryWindows
from hourpass.limits.rules import Rule, Verdict
from hourpass.limits.shared import CONNECTIONS, SharedWindows, StoreAway

WAIT_SECONDS = 0.5
LOOK_AGAIN_SECONDS = 1.0
WARN_EVERY_SECONDS = 60.0
_log = logging.getLogger("hourpass.limits")


class Limiter:
    """Decides requests by their rules; one for a process, safe to use from many threads."""

    def __init__(
        self, url: str | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`url` names a Valkey or Redis; without it this process counts for itself.

        Raises ValueError for an unusable URL. A store that is away is no reason not to start.
        """
        self._clock = clock
        self._memory = MemoryWindows(clock)
        self._store = SharedWindows(url) if url else None
        # The store is asked in threads: a name that resolves slowly keeps no caller waiting.
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="hourpass-limits")
        self._is_away = False
        self._look_at = self._warn_at = clock()

    def take(self, rules: Sequence[Rule]) -> Verdict:
        """Count a request by all of its rules if all allow it, else by none."""
        store = self._to_ask()
        if store is not None:
            try:
                asked = self._threads.submit(store.take, rules)
                return self._answered(self._within(asked))
            except _AWAY as fault:
                self._note(fault)
        return self._memory.take(rules)

    async def take_async(self, rules: Sequence[Rule]) -> Verdict:
        """The same, for coroutines."""
        store = self._to_ask()
        if store is not None:
            try:
                asked = self._threads.submit(store.take, rules)
                async with asyncio.timeout(WAIT_SECONDS):
                    return self._answered(await asyncio.wrap_future(asked))
            except _AWAY as fault:
                self._note(fault)
        return self._memory.take(rules)

    def close(self) -> None:
        """Give threads and connections back."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    @staticmethod
    def _within(asked: "concurrent.futures.Future[Verdict]") -> Verdict:
        try:
            return asked.result(WAIT_SECONDS)
        finally:
            asked.cancel()  # when it still waits for a thread

    def _to_ask(self) -> SharedWindows | None:
        """The store, unless it is away; once a second one request looks whether it is back."""
        if self._store is None or not self._is_away:
            return self._store
        now = self._clock()
        if now < self._look_at:
            return None
        self._look_at = now + LOOK_AGAIN_SECONDS
        return self._store

    def _answered(self, verdict: Verdict) -> Verdict:
        if self._is_away:
            self._is_away = False
            _log.warning("the store of the rate limits is back")
        return verdict

    def _note(self, fault: Exception) -> None:
        now = self._clock()
        self._is_away = True
        self._look_at = now + LOOK_AGAIN_SECONDS
        if now >= self._warn_at:
            self._warn_at = now + WARN_EVERY_SECONDS
            why = fault if isinstance(fault, StoreAway) else f"no answer in {WAIT_SECONDS} s"
            _log.warning(
                "the store of the rate limits is away (%s): this process counts for itself "
                "until it is back",
                why,
            )


# RuntimeError: the threads are gone because the process ends.
_AWAY = (StoreAway, TimeoutError, RuntimeError)
