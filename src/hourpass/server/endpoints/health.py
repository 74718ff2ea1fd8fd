"""`/healthz`: the process is alive. `/readyz`: its database is reachable and migrated."""

import asyncio
from collections.abc import Callable

from hourpass.server.endpoints.http import (
    NO_STORE,
    Answer,
    Receive,
    Scope,
    Send,
    json_bytes,
    method_not_allowed,
    respond,
)

_TIMEOUT_S = 2.0
_HEADERS = [(b"content-type", b"application/json"), *NO_STORE]
_OK = Answer(200, _HEADERS, json_bytes({"status": "ok"}))
_NOT_READY = Answer(503, _HEADERS, json_bytes({"status": "unavailable"}))


async def healthz(scope: Scope, _receive: Receive, send: Send) -> None:
    """Always 200 while the event loop turns."""
    allowed = scope["method"] in ("GET", "HEAD")
    await respond(send, _OK if allowed else method_not_allowed("GET", "HEAD"))


class ReadyEndpoint:
    """200 or 503; why not is for the operator's log, not for whoever asks."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        """`is_ready` may block; one call at a time is under way."""
        self._is_ready = is_ready
        self._check: asyncio.Future[bool] | None = None

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """One look at the database, shared by all who ask meanwhile."""
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, method_not_allowed("GET", "HEAD"))
            return
        if self._check is None or self._check.done():
            self._check = asyncio.ensure_future(asyncio.to_thread(self._is_ready))
        try:
            ready = await asyncio.wait_for(asyncio.shield(self._check), _TIMEOUT_S)
        except TimeoutError:
            ready = False
        await respond(send, _OK if ready else _NOT_READY)
