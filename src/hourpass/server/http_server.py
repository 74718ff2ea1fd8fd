"""uvicorn, with connections that have bounds, and an end for which balancers have time."""

import asyncio
import contextlib
import gc
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from uvicorn import Config, Server
from uvicorn.server import ServerState

from hourpass.server.bounded_protocol import BoundedProtocol
from hourpass.server.connections import FEWEST, KEPT_BACK, MOST, files_allowed

KEEP_ALIVE_S = 75  # longer than proxies keep theirs, so that they never meet a closed one
DRAIN_S = 2.0  # a balancer that asks /readyz every second notices in time
GRACE_S = 10
BACKLOG = 4096
# uvloop accepts one connection of each socket in a turn of the loop. While thousands ask, a turn
# takes tens of milliseconds, and of a thousand callers the last would wait for three seconds: so
# it gets the same socket so many times. Each is a file.
_ACCEPTED_AT_ONCE = 16
_GC_THRESHOLDS = (20_000, 50, 100)  # rarer looks at what is young: requests leave few cycles


class _State(ServerState):
    """What the connections know of the server."""

    draining = False


class _Server(Server):
    """Ends with status 0 on the given signals, in-flight requests answered.

    SIGTERM comes from a supervisor, and a balancer in front does not hear it. So for two seconds
    more everybody is served, while `/readyz` answers 503 and each answer closes its connection:
    then nobody is left to be turned away. SIGINT, Ctrl-C, ends at once. A second SIGTERM changes
    nothing: a service manager may send it to a worker, whose supervisor passes its own on.
    """

    def __init__(
        self,
        config: Config,
        ends_on: Sequence[signal.Signals],
        on_stop: Callable[[], None] | None,
    ) -> None:
        super().__init__(config)
        self._ends_on = ends_on
        self.server_state: _State = _State()
        self._on_stop = on_stop
        self._signals: set[int] = set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not ready from this moment on, though everybody is served for a moment more."""
        self._signals.add(sig)
        self.server_state.draining = True
        if self._on_stop is not None:
            self._on_stop()
        super().handle_exit(sig, frame)

    async def main_loop(self) -> None:
        """Until told to end, and the moment that a balancer needs."""
        await super().main_loop()
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.end_soon()
        until = time.monotonic() + DRAIN_S
        while self._signals == {signal.SIGTERM} and time.monotonic() < until:  # noqa: ASYNC110  (ended by a signal)
            await asyncio.sleep(0.1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal; a second SIGINT does not wait for requests in flight."""
        previous = {number: signal.signal(number, self.handle_exit) for number in self._ends_on}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; OSError when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def check_tls(certificate: str, key: str) -> None:
    """Raises OSError (ssl.SSLError is one) when these files cannot be used: told once, before
    anybody serves."""
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)


def run(
    app: Any,
    listener: socket.socket,
    *,
    certificate: str | None,
    key: str | None,
    ends_on: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    on_stop: Callable[[], None] | None = None,
) -> None:
    """Serve until one of the signals `ends_on`; `on_stop` is called by the signal."""
    config = Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    # What is here now stays: without this, each full collection looks at a quarter of a million
    # objects of libraries again, and everybody waits for 50 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    BoundedProtocol.every.most = max(FEWEST, min(MOST, files_allowed() - KEPT_BACK))
    listener.settimeout(0)  # or its copies would make it block, in other workers as well
    more = [listener.dup() for _ in range(_ACCEPTED_AT_ONCE - 1)]
    _Server(config, ends_on, on_stop).run(sockets=[listener, *more])
