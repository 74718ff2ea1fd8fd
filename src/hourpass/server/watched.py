"""Every request and its answer as they look from outside: for metrics, log and traces.

Stands around the app only while one of the three is asked for. It sees method, route, status and
time; no header, no query, no body.
"""

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from hourpass.oauth.errors import OAuthError
from hourpass.server import request_ids
from hourpass.server.endpoints.http import REFUSED, STATUS, WRITE_WHOLE, Receive, Scope, Send
from hourpass.server.routes import Routes

if TYPE_CHECKING:
    from hourpass.server.traces.spans import Traces

Responses = dict[tuple[str, int], int]
"""How many requests of an endpoint were answered with a status; 0: the caller went away."""
_METHODS = frozenset(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"]
)
_log = logging.getLogger("hourpass.requests")


class Watched:
    """An ASGI app, and whoever wants to know what it answers."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        routes: Routes,
        *,
        responses: Responses | None,
        traces: "Traces | None",
        is_logged: bool,
    ) -> None:
        """`responses` is added to in the event loop's thread, and by nobody else."""
        self._app = app
        self._routes = routes
        self._traces = traces
        self._is_logged = is_logged
        only_counts = responses is not None and traces is None and not is_logged
        self._counted = routes.hot if only_counts else {}
        self._counts: Responses = {} if responses is None else responses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to its answer."""
        # Of these, a wrapped `send` would cost 3 µs; they note their status themselves.
        endpoint = self._counted.get(scope.get("path", ""))
        if endpoint is not None:
            await self._app(scope, receive, send)
            key = (endpoint, scope.get(STATUS, 0))
            self._counts[key] = self._counts.get(key, 0) + 1
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = _Answering(scope, send)
        try:
            if self._traces is None:
                await self._app(scope, receive, answering)
            else:
                with self._traces.request(scope["headers"]) as span:
                    await self._app(scope, receive, answering)
                    self._traces.answered(
                        span,
                        method=method_of(scope),
                        route=self._routes.template(scope),
                        status=answering.status,
                        refused=scope.get(REFUSED),
                    )
        finally:
            self._note(scope, answering)

    def _note(self, scope: Scope, answering: "_Answering") -> None:
        key = (self._routes.endpoint(scope["path"]), answering.status)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._is_logged:
            milliseconds = (time.perf_counter() - answering.began) * 1000
            refused: OAuthError | None = scope.get(REFUSED)
            fields = {
                "method": method_of(scope),
                "route": self._routes.template(scope),
                "status": answering.status,
                "milliseconds": round(milliseconds, 2),
                "request_id": request_ids.current.get("") or request_ids.new_request_id(),
            }
            if refused is not None:
                fields["error"] = refused.code
            _log.debug("answered", extra=fields)


def method_of(scope: Scope) -> str:
    """The request's method; `_OTHER` for one that no standard knows."""
    method: str = scope["method"]
    return method if method in _METHODS else "_OTHER"


class _Answering:
    """Lets an answer pass and remembers its status; 0: there was none."""

    __slots__ = ("_send", "_whole", "began", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self.began = time.perf_counter()
        self.status = 0
        self._send = send
        extensions = scope.get("extensions") or {}
        self._whole: Callable[..., bool] = extensions.get(WRITE_WHOLE, _not_whole)
        if WRITE_WHOLE in extensions:
            extensions[WRITE_WHOLE] = self.whole

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    def whole(self, status: int, *rest: Any) -> bool:
        """The answer in one piece."""
        self.status = status
        return self._whole(status, *rest)


def _not_whole(*_: object) -> bool:
    return False
