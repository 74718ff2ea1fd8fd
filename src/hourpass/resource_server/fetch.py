"""One bounded GET of a JSON document: the only network access of this package.

Bounded means: no redirects, no proxies, 256 KiB, and a deadline that a peer which sends one
octet at a time cannot stretch.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

MAX_BODY = 256 * 1024


class FetchFailed(Exception):
    """There is no document; the text says why, for the operator."""


def get_json(url: str, *, deadline: float) -> tuple[Any, Mapping[str, str]]:
    """The JSON document at `url` and the headers it came with.

    `deadline` is a reading of `time.monotonic()`. Raises FetchFailed for whatever is not a
    200 with a JSON body of at most 256 KiB that arrives in time.
    """
    if time.monotonic() >= deadline:
        raise FetchFailed(f"no time was left to read {url}")
    try:
        return _get(url, deadline)
    except (HTTPError, HTTPException, OSError, ValueError, RuntimeError) as fault:
        late = " (out of time)" if time.monotonic() >= deadline else ""
        raise FetchFailed(f"{url} cannot be read{late}: {fault}") from fault


def _get(url: str, deadline: float) -> tuple[Any, Mapping[str, str]]:
    connection, target = _connection(url, deadline - time.monotonic())
    with _open(connection, deadline):
        connection.request(
            "GET",
            target,
            headers={"Accept": "application/json"},
            preload_content=False,
            decode_content=False,
        )
        with connection.getresponse() as response:
            if response.status != 200:
                raise FetchFailed(f"{url} answered {response.status}")
            body = response.read(MAX_BODY + 1)
            if len(body) > MAX_BODY:
                raise FetchFailed(f"{url} sent more than {MAX_BODY} octets")
            return json.loads(body), response.headers


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
