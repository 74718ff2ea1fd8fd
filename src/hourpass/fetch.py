"""One bounded HTTP request: the only network access of `client` and `resource_server`.

Bounded means: no redirects, no proxies, a body up to a limit, and a deadline that a peer which
sends one octet at a time cannot stretch. Apart from both, since neither may import the other.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

MAX_BODY = 256 * 1024
_LATE = "no answer in time"


class FetchFailed(Exception):
    """There is no answer that can be used; the text says why, for the operator.

    `why` is shorter, and quotes nothing that was sent or came back: for those who sent a secret.
    """

    def __init__(self, text: str, *, why: str = "no answer") -> None:
        self.why = why
        super().__init__(text)


class AnswerTooLong(FetchFailed):
    """More octets came than the caller wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever its status; header names are in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def get_json(url: str, *, deadline: float) -> tuple[Any, Mapping[str, str]]:
    """The JSON document at `url` and the headers it came with.

    `deadline` is a reading of `time.monotonic()`. Raises FetchFailed for whatever is not a
    200 with a JSON body of at most 256 KiB that arrives in time.
    """
    answer = fetch("GET", url, deadline=deadline, headers={"Accept": "application/json"})
    if answer.status != 200:
        raise FetchFailed(f"{url} answered {answer.status}")
    try:
        return json.loads(answer.body), answer.headers
    except (ValueError, RecursionError) as fault:
        raise FetchFailed(f"{url} cannot be read: {fault}") from fault


def fetch(
    method: str,
    url: str,
    *,
    deadline: float,
    headers: Mapping[str, str],
    body: bytes | None = None,
    max_body: int = MAX_BODY,
) -> Answer:
    """The answer to one request, a redirect and an error status included.

    `deadline` is a reading of `time.monotonic()`, `max_body` counts octets. Raises FetchFailed
    when there is no whole answer within both. Nothing of `headers` or `body` is in its text.
    """
    if time.monotonic() >= deadline:
        raise FetchFailed(f"no time was left to read {url}", why=_LATE)
    try:
        return _fetch(method, url, deadline, headers, body, max_body)
    except (HTTPError, HTTPException, OSError, ValueError, RuntimeError) as fault:
        # urllib3's own text would name the object that could not connect.
        cause = fault.__cause__ if isinstance(fault.__cause__, OSError) else fault
        if time.monotonic() >= deadline:
            raise FetchFailed(f"{url} cannot be read (out of time): {cause}", why=_LATE) from fault
        raise FetchFailed(f"{url} cannot be read: {cause}", why=_why(cause)) from fault


def _fetch(
    method: str,
    url: str,
    deadline: float,
    headers: Mapping[str, str],
    body: bytes | None,
    max_body: int,
) -> Answer:
    connection, target = _connection(url, deadline - time.monotonic())
    with _open(connection, deadline):
        connection.request(
            method,
            target,
            body=body,
            headers=headers,
            preload_content=False,
            decode_content=False,
        )
        with connection.getresponse() as response:
            received = bytearray()
            # Read on after the last octet: only then is a body that broke off told from a whole.
            while more := response.read(max_body + 1 - len(received)):
                received += more
                if len(received) > max_body:
                    raise AnswerTooLong(f"{url} sent more than {max_body} octets")
            if time.monotonic() >= deadline:  # the end was our own cut
                raise FetchFailed(
                    f"{url} cannot be read (out of time): it sent too slowly", why=_LATE
                )
            return Answer(status=response.status, headers=response.headers, body=bytes(received))


def _why(cause: BaseException) -> str:
    """The system's words for it (`Connection refused`), else only the kind of fault."""
    words = cause.strerror if isinstance(cause, OSError) else None
    return words or type(cause).__name__


@contextmanager
def _open(connection: HTTPConnection, deadline: float) -> Iterator[None]:
    """Connect, and cut the connection at the deadline.

    The socket's own timeout bounds one read; a drip of octets would begin it anew each time.
    """
    watchdog: threading.Timer | None = None
    try:
        connection.connect()
        # The socket itself: the connection lets go of it when a body has no length.
        watchdog = threading.Timer(deadline - time.monotonic(), _cut, [connection.sock])
        watchdog.daemon = True
        watchdog.start()
        yield
    finally:
        if watchdog is not None:
            watchdog.cancel()
        connection.close()


def _connection(url: str, seconds: float) -> tuple[HTTPConnection, str]:
    """An unopened connection to the host of `url`, and the request target."""
    parts = parse_url(url)
    if parts.host is None or parts.auth is not None:
        raise FetchFailed(f"{url} is no address to read from")
    match parts.scheme:
        case "http":
            return HTTPConnection(parts.host, parts.port, timeout=seconds), parts.request_uri
        case "https":
            context = ssl.create_default_context()
            secure = HTTPSConnection(parts.host, parts.port, timeout=seconds, ssl_context=context)
            return secure, parts.request_uri
        case _:
            raise FetchFailed(f"{url} is neither http nor https")


def _cut(connected: socket.socket) -> None:
    """End the reads of another thread, which then finds the end of the stream.

    Closing the socket would race with its use, and so would TLS's own `shutdown`.
    """
    try:
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except OSError:
        return  # closed in the meantime
