"""The metrics port: `/metrics` for Prometheus, `/readyz` with a word on each part.

For the operator's network only. It is served by threads of its own, so it answers while the
event loop or the database does not.
"""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from hourpass.server.readiness import Readiness

_AT_ONCE = 8
_TIMEOUT_S = 10
_TEXT = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


class MetricsPort:
    """Answers at a listening socket, once it is started."""

    def __init__(
        self,
        listener: socket.socket,
        registry: CollectorRegistry,
        readiness: Readiness,
        *,
        before: Callable[[], None] | None = None,
    ) -> None:
        """`before` is called before each scrape."""
        self._metrics = make_wsgi_app(registry)
        self._readiness = readiness
        self._before = before
        self._listener = _Listener(listener)
        self._listener.set_app(self._answer)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.2}, name="metrics"
        )
        self._thread.daemon = True

    def start(self) -> None:
        """Begin to answer, in threads: call it after a fork, not before."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._listener.shutdown()
        self._listener.server_close()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            allowed = ("Allow", "GET, HEAD")
            return _text(start, "405 Method Not Allowed", "only GET and HEAD\n", allowed)
        path = environ["PATH_INFO"]
        if path == "/metrics":
            if self._before is not None:
                self._before()
            metrics: Iterable[bytes] = self._metrics(environ, start)
            return metrics
        if path == "/readyz":
            report = self._readiness.report()
            status = "200 OK" if report.is_ready else "503 Service Unavailable"
            headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
            start(status, headers)
            return [json.dumps(report.as_json(), indent=2).encode() + b"\n"]
        return _text(start, "404 Not Found", "here are /metrics and /readyz\n")


def _text(start: StartResponse, status: str, text: str, *more: tuple[str, str]) -> Iterable[bytes]:
    start(status, [("Content-Type", _TEXT), *more])
    return [text.encode()]


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (as the library has it)
        """Says nothing: a scrape is no news."""


class _Listener(ThreadingMixIn, WSGIServer):
    """At most eight answers at once; further connections are closed."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        host, port = listener.getsockname()[:2]
        super().__init__((host, port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = str(host), port
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread, if one is free."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads: none that would give its place back
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As the library does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody hung up, or it is a bug of ours: the log tells."""
        _log.warning("a request to the metrics port failed", exc_info=True)
