"""`/healthz`: the process is alive. `/readyz`: requests may be sent here."""

from collections.abc import Awaitable, Callable

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

_HEADERS = [(b"content-type", b"application/json"), *NO_STORE]
_OK = Answer(200, _HEADERS, json_bytes({"status": "ok"}))
_NOT_READY = Answer(503, _HEADERS, json_bytes({"status": "unavailable"}))


async def healthz(scope: Scope, _receive: Receive, send: Send) -> None:
    """Always 200 while the event loop turns."""
    allowed = scope["method"] in ("GET", "HEAD")
    await respond(send, _OK if allowed else method_not_allowed("GET", "HEAD"))


class ReadyEndpoint:
    """200 or 503; why not is for the operator's eyes (log, metrics port), not for whoever asks."""

    def __init__(self, is_ready: Callable[[], Awaitable[bool]]) -> None:
        """`is_ready` answers within two seconds."""
        self._is_ready = is_ready

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """One look, shared by all who ask meanwhile."""
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, method_not_allowed("GET", "HEAD"))
            return
        await respond(send, _OK if await self._is_ready() else _NOT_READY)
