"""One GET with bounds that the other side cannot stretch."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from local_issuer import LocalIssuer, Script, document, octets
from tls_server import TlsServer

from hourpass.fetch import MAX_BODY, FetchFailed, get_json


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """A server whose answers are scripted."""
    with LocalIssuer() as issuer:
        yield issuer


def drip(start: bytes) -> Script:
    """Sends one octet more each 20 ms, for as long as anyone reads."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        try:
            for _ in range(500):
                handler.wfile.write(b"a")
                time.sleep(0.02)
        except OSError:
            return

    return script


def silence(handler: BaseHTTPRequestHandler) -> None:
    """Reads the request and says nothing until the other side leaves."""
    handler.rfile.read(1)


@pytest.mark.parametrize(
    "script",
    [
        silence,
        drip(b"HTTP/1.1 200 OK\r\nX: "),
        drip(b"HTTP/1.1 200 OK\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
    ids=["silence", "headers", "body", "body of a length", "chunk size"],
)
def test_a_drip_does_not_stretch_the_deadline(issuer: LocalIssuer, script: Script) -> None:
    """Each octet is in time, the answer as a whole is not."""
    issuer.scripts["/"] = script
    began = time.monotonic()

    with pytest.raises(FetchFailed, match="out of time"):
        get_json(f"{issuer.url}/", deadline=began + 0.3)

    assert time.monotonic() - began < 2


def test_who_is_not_there_is_told_in_the_systems_words() -> None:
    """Without those of a library, which say nothing to an operator."""
    url = "http://127.0.0.1:1/"
    with pytest.raises(FetchFailed) as failure:
        get_json(url, deadline=time.monotonic() + 5)

    assert str(failure.value) == f"{url} cannot be read: [Errno 111] Connection refused"
    assert failure.value.why == "Connection refused"


def test_a_deadline_in_the_past_asks_nobody(issuer: LocalIssuer) -> None:
    """The second of two fetches may find no time left."""
    with pytest.raises(FetchFailed, match="no time"):
        get_json(issuer.url, deadline=time.monotonic() - 1)

    assert issuer.requests == []


def test_a_body_is_read_up_to_its_bound(issuer: LocalIssuer) -> None:
    """256 KiB are good, one octet more is not."""
    issuer.scripts["/good"] = octets(b"{}" + b" " * (MAX_BODY - 2))
    issuer.scripts["/more"] = octets(b"{}" + b" " * (MAX_BODY - 1))

    assert get_json(f"{issuer.url}/good", deadline=time.monotonic() + 5)[0] == {}
    with pytest.raises(FetchFailed, match="more than"):
        get_json(f"{issuer.url}/more", deadline=time.monotonic() + 5)


def test_no_thread_is_left_behind(issuer: LocalIssuer) -> None:
    """The watchdog ends with the fetch."""
    issuer.scripts["/"] = document([1])

    assert get_json(f"{issuer.url}/", deadline=time.monotonic() + 60)[0] == [1]

    deadline = time.monotonic() + 5
    while any(isinstance(thread, threading.Timer) for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TlsServer]:
    """An https server with a certificate of its own making."""
    with TlsServer(tmp_path) as tls:
        yield tls


def test_a_certificate_that_nobody_vouches_for_is_refused(tls: TlsServer) -> None:
    """There is no setting that would switch this off."""
    with pytest.raises(FetchFailed, match="certificate"):
        get_json(tls.url, deadline=time.monotonic() + 5)


def test_a_certificate_of_a_trusted_authority_is_good(
    tls: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's authorities count, and what `SSL_CERT_FILE` names."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.certificate))

    assert get_json(tls.url, deadline=time.monotonic() + 5)[0] == []


def test_a_body_that_breaks_off_is_no_answer(issuer: LocalIssuer) -> None:
    """Also where what came is whole JSON."""

    def broken(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")

    issuer.scripts["/"] = broken

    with pytest.raises(FetchFailed, match="cannot be read"):
        get_json(f"{issuer.url}/", deadline=time.monotonic() + 5)
