"""A gate before what runs in threads: how many may be inside, and how long anybody waits.

A database that hangs lets no thread go, and a thread cannot be ended from outside. So whoever
asked is answered when their time is over, and the thread keeps its slot until it comes back:
behind it nobody gets in, and there are never more of them than slots.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hourpass.oauth.errors import Overloaded, TemporarilyUnavailable
from hourpass.server.db.engine import BUDGET_S

WAIT_S = 1.0
MAX_WAITING = 200

Result = TypeVar("Result")


class Gate:
    """The gate of one part of the server, in its event loop."""

    def __init__(self, slots: int, *, max_waiting: int = MAX_WAITING) -> None:
        """`slots`: how many may be inside at a time, no more than there are threads."""
        self._slots = asyncio.Semaphore(slots)
        self._max_waiting = max_waiting
        self._waiting = 0

    async def through(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """What `work` gives, or raises.

        Raises Overloaded when there was no slot in time: then it was not begun; and
        TemporarilyUnavailable when it is not done in time: it goes on, its end is unknown.
        """
        deadline = asyncio.get_running_loop().time() + BUDGET_S
        await self._enter()
        inside = asyncio.ensure_future(work())
        inside.add_done_callback(self._leave)
        left = deadline - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait((inside,), timeout=left)
        if not done:
            raise TemporarilyUnavailable
        return inside.result()

    async def _enter(self) -> None:
        if self._waiting >= self._max_waiting:
            raise Overloaded
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self._slots.acquire()
        except TimeoutError:
            raise Overloaded from None
        finally:
            self._waiting -= 1

    def _leave(self, inside: "asyncio.Future[Result]") -> None:
        self._slots.release()
        if not inside.cancelled():
            inside.exception()  # looked at, or asyncio would complain when nobody waits any more
