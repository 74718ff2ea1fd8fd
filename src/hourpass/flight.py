"""One attempt at something slow, in a thread of its own, that any number of callers wait for.

For `client` (a token request) and `resource_server` (a fetch of keys). A thread of its own, so
that threads and tasks of any number of event loops can wait for the same attempt, and a task
that is cancelled takes nothing from the others.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """An attempt under way; `done` never fails, it only says that the attempt is over."""

    done: Future[None]
    thread: threading.Thread

    @classmethod
    def begin(cls, attempt: Callable[[], None], *, name: str, daemon: bool = True) -> "Flight":
        """Run `attempt` in a thread of this name; its outcome is for `attempt` to keep.

        Raises RuntimeError when there can be no thread: too many, or the interpreter ends. Keep
        the flight, and begin the next one, under one lock: else there may be two.
        """
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # no waiter can cancel it for the others

        def run() -> None:
            try:
                attempt()
            finally:
                done.set_result(None)

        thread = threading.Thread(target=run, name=name, daemon=daemon)
        thread.start()
        return cls(done=done, thread=thread)

    def is_running(self) -> bool:
        """Asks the thread too: it does not live on in a forked process, where `done` would wait."""
        return self.thread.is_alive() and not self.done.done()

    def wait(self, seconds: float) -> None:
        """Until the attempt is over, or for so long."""
        concurrent.futures.wait((self.done,), seconds)

    async def wait_async(self, seconds: float) -> None:
        """`wait`, without blocking the event loop."""
        waiting = asyncio.wrap_future(self.done)
        try:
            await asyncio.wait((waiting,), timeout=seconds)
        finally:
            waiting.cancel()  # ends the wait, not the attempt, which others may wait for
