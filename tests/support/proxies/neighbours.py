"""What stands around a proxy under test: the API behind it, and the way to the Hourpass server.

Both note exactly what reaches them. The way can be told to be cut, to hang, or to give an answer
of the test's own.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import BinaryIO

CRLF = b"\r\n"


@dataclass(frozen=True, slots=True)
class Received:
    """The head of a request as it stood on the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """Every value of a header, its name in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def named(self, part: str) -> dict[str, str]:
        """The headers whose lower-case name, with dashes for underscores, has `part` in it."""
        return {key: value for key, value in self.headers if part in key.lower().replace("_", "-")}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it stood on the wire; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Every value of a header, its name in lower case."""
        return [value for key, value in self.headers if key == name]


def ask(port: int, head: bytes, body: bytes = b"", timeout_s: float = 10) -> Answer:
    """Send these octets to a local port, and read one answer.

    `head` has neither `Host` nor `Connection` nor the empty line, which are added.
    """
    method = head.split(b" ")[0].decode("latin-1")
    more = [b"Host: localhost"] if b"\r\nhost:" not in head.lower() else []
    if b"\r\nconnection:" not in head.lower():
        more.append(b"Connection: close")
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(CRLF.join([head.removesuffix(CRLF), *more, b"", body]))
        response = HTTPResponse(connection, method=method)
        response.begin()
        content = response.read()
        headers = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, headers, content)


def _read_head(stream: BinaryIO) -> tuple[bytes, Received] | None:
    """The next request's head and what it says; None when nothing more comes."""
    octets = b""
    while not octets.endswith(CRLF + CRLF):
        line = stream.readline(65_536)
        if not line:
            return None
        octets += line
    lines = octets.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    fields = [line.partition(":") for line in lines[1:] if line]
    headers = tuple((name, value.strip(" \t")) for name, _, value in fields)
    return octets, Received(method, target, headers)


class _Listener:
    """Accepts connections on a port of its own, a thread each, until it is closed."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port = 0
        self._listen()

    def _listen(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            self._converse(connection)
        with self._lock:
            self._open.discard(connection)

    def _converse(self, connection: socket.socket) -> None:
        raise NotImplementedError  # what a connection is for, each subclass says

    def close(self) -> None:
        """Listen no more, and hang up on everybody."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def is_cut(self) -> Iterator[None]:
        """Nobody listens there for a while."""
        self.close()
        try:
            yield
        finally:
            self._listen()


class Upstream(_Listener):
    """The API: answers `status` to everything; `requests` are what it got."""

    status = 200

    def _converse(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while (read := _read_head(stream)) is not None:
                _, received = read
                length = int((received.values("content-length") or ["0"])[0])
                stream.read(length)
                self.requests.append(received)
                body = b"" if received.method == "HEAD" else b'{"api":true}'
                connection.sendall(
                    b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nX-Api: yes\r\n"
                    b"Content-Length: 12\r\n\r\n" % self.status + body
                )


class Way(_Listener):
    """The way from the proxy to the Hourpass server; `requests` are the questions on it."""

    def __init__(self, hourpass_port: int) -> None:
        self._hourpass_port = hourpass_port
        self._scripted: bytes | None = None
        self._free = threading.Event()
        self._free.set()
        super().__init__()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(connection.makefile("rb"))
            server: socket.socket | None = None
            while (read := _read_head(stream)) is not None:
                octets, received = read
                self.requests.append(received)
                self._free.wait(15)
                if self._scripted is not None:
                    connection.sendall(self._scripted)
                    continue
                if server is None:
                    address = ("127.0.0.1", self._hourpass_port)
                    server = stack.enter_context(socket.create_connection(address, 15))
                server.sendall(octets)
                _copy_answer(server, connection, received.method)

    @contextlib.contextmanager
    def says(self, status: int, *headers: str, body: bytes = b"{}") -> Iterator[None]:
        """Every question gets this answer."""
        lines = [f"HTTP/1.1 {status} X", *headers, f"Content-Length: {len(body)}", "", ""]
        self._scripted = "\r\n".join(lines).encode("latin-1") + body
        try:
            yield
        finally:
            self._scripted = None

    @contextlib.contextmanager
    def hangs(self) -> Iterator[None]:
        """Questions are read, and not answered."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()


def _copy_answer(server: socket.socket, proxy: socket.socket, method: str) -> None:
    """One answer of the Hourpass server, octet for octet; all of them have a length."""
    with server.makefile("rb") as stream:
        head, length = b"", 0
        while not head.endswith(CRLF + CRLF):
            line = stream.readline()
            if not line:
                raise ConnectionError("the server hung up")
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
            head += line
        proxy.sendall(head + (b"" if method == "HEAD" else stream.read(length)))
