"""Counting in the shared store while it answers, and in memory while it does not.

No request waits longer than `WAIT_SECONDS` for the store, and none is refused because it is away:
limits protect an API from its clients, and must not become a reason why it is down.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from hourpass.limits.memory import MemoryWindows
from hourpass.limits.rules import Rule, Verdict
from hourpass.limits.shared import SharedWindows, StoreAway

WAIT_SECONDS = 0.5
LOOK_AGAIN_SECONDS = 1.0
WARN_EVERY_SECONDS = 60.0
MAX_BATCH = 256
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
        self._asking = None if not url else _Asking(SharedWindows(url))
        self._is_away = False
        self._look_at = self._warn_at = clock()

    def take(self, rules: Sequence[Rule]) -> Verdict:
        """Count a request by all of its rules if all allow it, else by none."""
        asking = self._to_ask()
        if asking is not None:
            try:
                asked = asking.ask(rules)
                try:
                    return self._answered(asked.result(WAIT_SECONDS))
                finally:
                    asked.cancel()  # nobody waits for it any more
            except _AWAY as fault:
                self._note(fault)
        return self._memory.take(rules)

    async def take_async(self, rules: Sequence[Rule]) -> Verdict:
        """The same, for coroutines."""
        asking = self._to_ask()
        if asking is not None:
            try:
                asked = asyncio.wrap_future(asking.ask(rules))
                async with asyncio.timeout(WAIT_SECONDS):
                    return self._answered(await asked)
            except _AWAY as fault:
                self._note(fault)
        return self._memory.take(rules)

    def close(self) -> None:
        """Give thread and connection back."""
        if self._asking is not None:
            self._asking.close()

    def _to_ask(self) -> "_Asking | None":
        """The store, unless it is away; once a second one request looks whether it is back."""
        if self._asking is None or not self._is_away:
            return self._asking
        now = self._clock()
        if now < self._look_at:
            return None
        self._look_at = now + LOOK_AGAIN_SECONDS
        return self._asking

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


# RuntimeError: the thread is gone because the process ends.
_AWAY = (StoreAway, TimeoutError, RuntimeError)


class _Asking:
    """One thread that asks the store; all that wait share the next round trip.

    It is a thread, since no time-out of a socket bounds the resolving of a name.
    """

    def __init__(self, store: SharedWindows) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hourpass-limits")
        self._lock = Lock()
        self._waiting: deque[tuple[Sequence[Rule], Future[Verdict]]] = deque()
        self._is_running = False

    def ask(self, rules: Sequence[Rule]) -> "Future[Verdict]":
        """The verdict to come, or StoreAway in it; raises RuntimeError after `close`."""
        future: Future[Verdict] = Future()
        with self._lock:
            if not self._is_running:
                self._thread.submit(self._run)
                self._is_running = True
            self._waiting.append((rules, future))
        return future

    def close(self) -> None:
        """Ask nothing any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._store.close()

    def _run(self) -> None:
        """Until nobody waits."""
        while True:
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
                if not batch:
                    self._is_running = False
                    return
            wanted = [(rules, it) for rules, it in batch if it.set_running_or_notify_cancel()]
            if not wanted:
                continue
            verdicts: Sequence[Verdict | StoreAway]
            try:
                verdicts = self._store.take([rules for rules, _ in wanted])
            except StoreAway as fault:
                verdicts = [fault] * len(wanted)
            for (_, future), verdict in zip(wanted, verdicts, strict=True):
                if isinstance(verdict, StoreAway):
                    future.set_exception(verdict)
                else:
                    future.set_result(verdict)
