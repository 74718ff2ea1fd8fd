"""One HTTP connection: uvicorn bounds neither the size nor the duration of a request head."""

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from hourpass.oauth.errors import HeadersTooLarge, InvalidRequest
from hourpass.server.connections import Connections
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
READ_TIMEOUT_S = 10.0
READ_IN_TIME = 64 * 1024  # of an answer, in each ten seconds: about 6 kB/s


class BoundedProtocol(HttpToolsProtocol):
    """One connection whose request heads are at most 8 KiB and arrive within ten seconds.

    What no endpoint takes is bounded too, or it could go on for ever: chunk extensions,
    trailers, and what is left of a request that already has its answer. A peer that does not
    read its answers is disconnected: `transport.close` alone would wait for it for ever.
    """

    _in_head = True
    _head = 0
    _octets = 0  # of the request that is arriving, taken by nobody
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _running: RequestResponseCycle | None = None
    _ending: asyncio.Event | None = None
    every = Connections()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A connection that never sends a head is closed; one there is no room for, at once."""
        super().connection_made(transport)
        self._arm()
        # Not `close`, which keeps the file open until the last answer is read.
        if not self.every.enter(self, transport.abort):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The deadlines go with the connection."""
        self.every.leave(self)
        self._disarm()
        self._stop_waiting()
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells only the latest request, which may still wait for this one's answer.
            self._running.disconnected = True
            self._running.message_event.set()
        self._running = None
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The peer sends no more: the transport closes itself."""
        super().eof_received()
        self._wait_to_be_read()

    def pause_writing(self) -> None:
        """The peer does not read as fast as it is written to."""
        super().pause_writing()
        self._wait_to_be_read()

    def resume_writing(self) -> None:
        """It has read nearly all."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_waiting()

    def timeout_keep_alive_handler(self) -> None:
        """No next request came."""
        super().timeout_keep_alive_handler()
        self._wait_to_be_read()

    def send_400_response(self, msg: str) -> None:
        """Not HTTP: answered and closed."""
        super().send_400_response(msg)
        self._wait_to_be_read()

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
        """The server's turn, if it has not answered already; what comes next is a head again."""
        self._in_head, self._octets = True, 0
        if not self.cycle.response_complete:
            self.every.is_busy(self)
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
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def shutdown(self) -> None:
        """The server takes no connections any more: idle ones are closed."""
        super().shutdown()
        if self.transport.is_closing():
            self._wait_to_be_read()
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
        latest = self.cycle  # another one, if it came behind this
        if latest.response_complete or latest.more_body:
            self.every.is_idle(self)
        if self.transport.is_closing():
            self._wait_to_be_read()
        elif latest.response_complete and not self._in_head:
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
        self._close()

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self._wait_to_be_read()

    def _wait_to_be_read(self) -> None:
        if self._unread is None and self in self.connections:
            before = self.transport.get_write_buffer_size()
            self._unread = self.loop.call_later(READ_TIMEOUT_S, self._not_read, before)

    def _stop_waiting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _not_read(self, before: int) -> None:
        """Ten seconds on; slow callers of a long answer are given more, silent ones are not."""
        self._unread = None
        if self.transport.get_write_buffer_size() > before - READ_IN_TIME:
            self.transport.abort()
        else:
            self._wait_to_be_read()


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
