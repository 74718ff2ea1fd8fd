"""The metrics port: `/metrics` for Prometheus, `/readyz` with a word on each part.

For the operator's network only. It is served by threads of its own, so it answers while the
event loop or the database does not.
"""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from hourpass.server.config import Settings
from hourpass.server.db.engine import Database
from hourpass.server.metrics import collectors
from hourpass.server.metrics.store import Figures
from hourpass.server.readiness import Readiness

_AT_ONCE = 8
_TIMEOUT_S = 10
_TEXT = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


class MetricsPort:
    """Listens from the moment it is made; OSError when the address is taken or not ours."""

    def __init__(
        self,
        address: tuple[str, int],
        registry: CollectorRegistry,
        readiness: Readiness,
        *,
        before: Callable[[], None] | None = None,
    ) -> None:
        """`before` is called for every scrape."""
        self._metrics = make_wsgi_app(registry)
        self._readiness = readiness
        self._before = before
        self._listener = _Listener(address)
        self._listener.set_app(self._answer)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.2}, name="metrics"
        )
        self._thread.daemon = True

    def start(self) -> None:
        """Answer, in threads of its own: after a fork, not before."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._listener.shutdown()
        self._listener.server_close()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text(start, "405 Method Not Allowed", "only GET and HEAD\n")
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


def open_port(
    settings: Settings,
    database: Database,
    readiness: Readiness,
    registry: CollectorRegistry,
    *,
    pids: collectors.Pids = collectors.this_process,
    before: Callable[[], None] | None = None,
) -> MetricsPort | None:
    """The port that the settings ask for, answering; None when they ask for none.

    `registry` holds what the processes counted: `Meters.registry` where there is one process,
    `SharedCounting.registry()` in the parent of several. Raises OSError.
    """
    if settings.metrics_port is None:
        return None
    figures = Figures(database)
    collectors.register(registry, readiness, figures, database.dialect, pids)
    port = MetricsPort(
        (settings.metrics_host, settings.metrics_port), registry, readiness, before=before
    )
    port.start()
    return port


def _text(start: StartResponse, status: str, text: str) -> Iterable[bytes]:
    start(status, [("Content-Type", _TEXT)])
    return [text.encode()]


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (as the library has it)
        """Says nothing: a scrape is no news."""


class _Listener(ThreadingMixIn, WSGIServer):
    """At most eight answers at once; who comes then has to come again."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without looking its own name up in the DNS, which can take long."""
        TCPServer.server_bind(self)
        host, self.server_port = self.socket.getsockname()[:2]
        self.server_name = str(host)
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread, if one is free."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As the library does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody hung up, or it is a bug of ours: the log tells."""
        _log.warning("a request to the metrics port failed", exc_info=True)
