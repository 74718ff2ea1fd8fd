"""A machine that gives no more threads for a while: afterwards all is as before."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry

from hourpass.server.db.probe import PARTS
from hourpass.server.metrics.port import MetricsPort
from hourpass.server.readiness import Readiness


class Well:
    """A database that is well."""

    def look(self) -> dict[str, str]:
        """No faults."""
        return dict.fromkeys(PARTS, "")

    def abandon(self) -> None:
        """Nothing hangs."""

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def no_threads() -> Iterator[None]:
    """Meanwhile none can be started."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        yield


def test_readiness_says_so_and_looks_again() -> None:
    """503 with the reason meanwhile; no later look waits for the one that never began."""
    readiness = Readiness(Well(), {})
    with no_threads():
        for _ in range(2):
            assert readiness.report().parts["database"] == "can't start new thread"

    assert readiness.report().is_ready


def test_the_metrics_port_loses_no_places() -> None:
    """More requests came to nothing than there are places."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/readyz"
    port = MetricsPort(listener, CollectorRegistry(), Readiness(Well(), {}))
    port.start()
    try:
        with no_threads():
            for _ in range(9):
                with pytest.raises(httpx.TransportError):
                    httpx.get(url, trust_env=False)
        assert httpx.get(url, trust_env=False).status_code == 200
    finally:
        port.close()
