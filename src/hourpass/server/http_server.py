"""uvicorn with bounds: how large a request's head may be and how long it may take.

uvicorn's own protocol lets a head grow without end and waits for it for ever.
"""

import asyncio
import contextlib
import gc
import re
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from hourpass.oauth.errors import HeadersTooLarge, InvalidRequest
from hourpass.server.connections import FEWEST, KEPT_BACK, MOST, Connections, files_allowed
from hourpass.server.endpoints.http import (
    ENDING,
    WRITE_WHOLE,
    Receive,
    Scope,
    Send,
    joined,
    refusal,
    respond,
)

MAX_HEAD = 8 * 1024
MAX_UNREAD = 64 * 1024  # of a request, behind its head: what no endpoint takes
HEAD_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 75  # longer than proxies keep theirs, so that they never meet a closed one
DRAIN_S = 2.0  # a balancer that asks /readyz every second notices in time
GRACE_S = 10
BACKLOG = 4096
_GC_THRESHOLDS = (20_000, 50, 100)  # rarer looks at what is young: requests leave few cycles


class BoundedProtocol(HttpToolsProtocol):
    """One connection whose request heads are at most 8 KiB and arrive within ten seconds.

    What no endpoint takes is bounded too, or it could go on for ever: chunk extensions,
    trailers, and what is left of a request that already has its answer.
    """

    _in_head = True
    _head = 0
    _octets = 0  # of the request that is arriving, taken by nobody
    _deadline: asyncio.TimerHandle | None = None
    _ending: asyncio.Event | None = None
    _every = Connections()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A connection that never sends a head is closed; one there is no room for, at once."""
        super().connection_made(transport)
        self._arm()
        if not self._every.enter(self, transport.close):
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The deadline goes with the connection."""
        self._every.leave(self)
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; stop when a request is over its bounds."""
        self._octets += len(data)
        if self._in_head and (b"pgrade" in data or b"PGRADE" in data):
            data = _without_upgrade(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._octets > (MAX_HEAD if self._in_head else MAX_UNREAD):
            self._cut_off()
        elif self._in_head and self._octets and self._deadline is None:
            self._arm()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._head = True, 0

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        self._head += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header."""
        self._head += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: to the app, or to the refusal when it is too large."""
        self._in_head, self._octets = False, 0
        self._disarm()
        self._every.is_busy(self)
        if self._head > MAX_HEAD:
            self.app = _headers_too_large  # for the rest of this connection, which it closes
        elif b"#" in self.url:
            self.app = _no_fragment
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of a body: the endpoint that takes it bounds it; after its answer nobody does."""
        if not self.cycle.response_complete:
            self._octets = max(0, self._octets - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What comes next on this connection is a head again."""
        self._in_head, self._octets = True, 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Offer the app to write an answer in one piece."""
        whole: dict[str, Any] = {
            WRITE_WHOLE: partial(_write_whole, cycle),
            ENDING: self._when_ending,
        }
        cycle.scope["extensions"] = whole
        if getattr(self.server_state, "draining", False):
            cycle.keep_alive = False
        super()._start_asgi_task(cycle, app)

    def shutdown(self) -> None:
        """The server takes no connections any more: idle ones are closed."""
        super().shutdown()
        self.end_soon()

    def end_soon(self) -> None:
        """An answer that goes on for ever is told to end."""
        if self._ending is not None:
            self._ending.set()

    def _when_ending(self) -> asyncio.Event:
        if self._ending is None:
            self._ending = asyncio.Event()
        return self._ending

    def on_response_complete(self) -> None:
        """Answered before its end: the rest of the request gets ten seconds."""
        super().on_response_complete()
        if self.cycle.response_complete:  # else another request came behind this one
            self._every.is_idle(self)
            if not self._in_head:
                self._arm()

    def _cut_off(self) -> None:
        """End the connection; with 431 where only this head can be meant by it."""
        earlier: RequestResponseCycle | None = self.cycle
        if self._in_head and (earlier is None or earlier.response_complete):
            answer = refusal(HeadersTooLarge())
            lines = [f"HTTP/1.1 {answer.status} Request Header Fields Too Large".encode("ascii")]
            lines += [name + b": " + value for name, value in answer.headers]
            lines += [f"content-length: {len(answer.body)}".encode("ascii"), b"connection: close"]
            self.transport.write(b"\r\n".join([*lines, b"", b""]) + answer.body)
        self.transport.close()

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """The same with the header under another name, so that it is ignored (RFC 9110 7.8).

    The parser takes whatever comes behind an upgrade for another protocol and drops the body;
    Java's client asks for h2c with its first request.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest


_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


def _write_whole(
    cycle: RequestResponseCycle,
    status: int,
    head: bytes,
    more: Iterable[tuple[bytes, bytes]],
    body: bytes,
) -> bool:
    """What `cycle.send` does for a whole answer, in one write: one system call, one packet.

    False, and nothing written, where it would not be that simple: the caller is gone, reads
    too slowly, or wants no body.
    """
    answered = cycle.disconnected, cycle.response_started
    if any(answered) or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
        return False
    close = b"" if cycle.keep_alive else b"connection: close\r\n"
    tail = joined((*cycle.default_headers, *more)) + close + b"\r\n"
    cycle.response_started = cycle.response_complete = True
    cycle.scope.pop("extensions", None)  # which hold the cycle: let go without the collector
    cycle.transport.write(STATUS_LINE[status] + head + tail + body)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


async def _no_fragment(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The parser would drop it, and a path be judged that is not the one that was sent."""
    error = InvalidRequest("a request target has no fragment")
    await respond(send, refusal(error), (b"connection", b"close"))


async def _headers_too_large(_scope: Scope, _receive: Receive, send: Send) -> None:
    await respond(send, refusal(HeadersTooLarge()), (b"connection", b"close"))


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
    """Raises ssl.SSLError when these files cannot be used: told once, before anybody serves."""
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
    BoundedProtocol._every.most = max(FEWEST, min(MOST, files_allowed() - KEPT_BACK))
    _Server(config, ends_on, on_stop).run(sockets=[listener])
