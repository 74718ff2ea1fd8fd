"""The audit log as it happens: server-sent events.

A stream holds no connection and no lock: it looks every two seconds. Each time it asks anew who
is behind the session and what they may see; whoever signed out gets nothing more. Looking is no
use of the session, which ends when its person has been away for long enough.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
from starlette.responses import PlainTextResponse, Response

from hourpass.server.admin.visit import Visit
from hourpass.server.audit import store
from hourpass.server.audit.events import StoredEvent
from hourpass.server.audit.store import EventFilter
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.endpoints.http import ENDING, Receive, Scope, Send
from hourpass.server.operators.sessions import operations as sessions
from hourpass.server.operators.sessions.operations import NoAccess

MAX_OPEN = 50
"""Streams that a process has open at a time."""
_EVERY_S = 2.0
_SEND_WITHIN_S = 10.0
_AT_ONCE = 50
# Slots of their own: anyio's common ones are the management API's, and a database that hangs
# takes all of those.
_looks = anyio.CapacityLimiter(4)
_HEART_BEAT = b": still here\n\n"
_OVER = b"event: over\ndata: {}\n\n"
_log = logging.getLogger(__name__)
_open = 0  # only the event loop's thread counts


class LiveTail(Response):
    """Rows that come to be while somebody looks."""

    media_type = "text/event-stream"

    def __init__(
        self,
        visit: Visit,
        wanted: EventFilter,
        begin: int,
        needs: str,
        render: Callable[[list[StoredEvent]], str],
    ) -> None:
        """Events after the ID `begin`, for who holds `needs` there; as `render` has them."""
        super().__init__()
        del self.headers["Content-Length"]
        self.headers["X-Accel-Buffering"] = "no"  # or nginx keeps it until there is enough
        self._visit, self._wanted, self._needs, self._render = visit, wanted, needs, render
        self._organization = visit.organization
        # IDs are given before their rows are committed, so a lower one may appear later: what
        # came between the last two looks is looked at again, without what was sent already.
        self._floor, self._top = begin, begin
        self._sent: set[int] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the caller goes away, the session is over or the server ends."""
        global _open
        if _open >= MAX_OPEN:
            await self._full()(scope, receive, send)
            return
        _open += 1
        gone = asyncio.create_task(_gone(receive))
        watched: set[asyncio.Task[Any]] = {gone}
        ending = scope.get("extensions", {}).get(ENDING)
        if ending is not None:
            watched.add(asyncio.create_task(ending().wait()))
        try:
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            if scope["method"] != "HEAD":
                await self._follow(watched, send)
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            _log.info("a live audit log was not read in time; closed")
        finally:
            _open -= 1
            for task in watched:
                task.cancel()

    async def _follow(self, watched: set[asyncio.Task[Any]], send: Send) -> None:
        piece: bytes | None = b"retry: 5000\n\n"
        while piece is not None:
            async with asyncio.timeout(_SEND_WITHIN_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if piece is _OVER:
                return
            done, _ = await asyncio.wait(
                watched, timeout=_EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return
            piece = await anyio.to_thread.run_sync(self._look, limiter=_looks)

    def _look(self) -> bytes | None:
        """What is new, in a thread; None when it cannot be known now: the browser asks again."""
        database = self._visit.database
        try:
            who = sessions.current(database, self._visit.token, is_use=False)
            if who is None or self._needs not in who.powers.within(self._organization):
                return _OVER
            with database.read() as connection:
                self._visit.now = database.now(connection)
                found = store.written_after(connection, self._wanted, self._floor, limit=_AT_ONCE)
            fresh = [event for event in found if event.id not in self._sent]
            skipped = len(found) == _AT_ONCE and found[-1].id > self._top
            self._floor, self._top = self._top, max([self._top, *(e.id for e in found)])
            self._sent = {event.id for event in found}
            if not fresh:
                return _HEART_BEAT
            data = json.dumps({"rows": self._render(fresh), "skipped": skipped})
        except NoAccess:
            return _OVER
        except DatabaseUnavailable as fault:
            _log.warning("the live audit log waits for the database: %s", fault)
            return None
        return f"data: {data}\n\n".encode()

    def _full(self) -> Response:
        headers = {
            name: value
            for name, value in self.headers.items()
            if name not in ("content-type", "content-length")
        }
        words = "too many people follow the audit log at the moment; try again in a minute"
        return PlainTextResponse(words, 503, headers={**headers, "Retry-After": "60"})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
