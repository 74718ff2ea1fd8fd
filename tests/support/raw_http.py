"""HTTP over a bare socket: for what no well-behaved client library would send."""

import select
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it stood on the wire; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key == name), None)


class Connection:
    """One TCP connection to a server on this machine."""

    def __init__(self, port: int, timeout_s: float = 15) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, octets: bytes) -> None:
        """Send all of it; ConnectionError when the server has closed."""
        self._socket.sendall(octets)

    def send_until_closed(self, parts: Iterable[bytes]) -> int:
        """Send part after part until the server closes; how many octets it took.

        Stops as well when the parts are at an end: then the server is still listening.
        """
        sent = 0
        try:
            for part in parts:
                self._socket.sendall(part)
                sent += len(part)
        except ConnectionError:
            pass
        return sent

    def answer(self) -> RawAnswer:
        """The next answer; ConnectionError when the connection ends before it."""
        head = self.head()
        length = int(head.header("content-length") or 0)
        body = self._file.read(length)
        if len(body) != length:
            raise ConnectionError("the connection ended within a body")
        return replace(head, body=body)

    def last_answer(self, *, to_head: bool = False) -> RawAnswer:
        """The next answer with whatever comes until the server closes, chunks taken apart.

        `to_head`: it answers a HEAD request, so that it has no body.
        """
        head = self.head()
        while 100 <= head.status < 200:
            head = self.head()
        body = b"" if to_head else self._file.read()
        if head.header("transfer-encoding") == "chunked":
            body = _unchunked(body)
        return replace(head, body=body)

    def head(self) -> RawAnswer:
        """The next answer, of which no body comes."""
        line = self._line()
        headers = []
        while field := self._line():
            name, _, value = field.partition(":")
            headers.append((name.strip().lower(), value.strip()))
        return RawAnswer(int(line.split(" ")[1]), tuple(headers), b"")

    def has_input(self, within_s: float) -> bool:
        """Whether the server has sent something, or closed."""
        return bool(select.select([self._socket], [], [], within_s)[0])

    def is_closed(self) -> bool:
        """Whether nothing more comes; waits for it up to the time-out."""
        try:
            return not self._file.read(1)
        except ConnectionError:
            return True

    def reset(self) -> None:
        """Go away without a word: the server gets an RST."""
        no_linger = b"\x01\x00\x00\x00" + bytes(4)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self.close()

    def close(self) -> None:
        """Go away."""
        self._file.close()
        self._socket.close()

    def _line(self) -> str:
        line = self._file.readline(65_536)
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection ended within a head")
        return line[:-2].decode("latin-1")


def _unchunked(octets: bytes) -> bytes:
    """The body of chunks (RFC 9112 section 7.1)."""
    body = b""
    while octets:
        size, _, octets = octets.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        body, octets = body + octets[:length], octets[length + 2 :]
        if length == 0:
            break
    return body
