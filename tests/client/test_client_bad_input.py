"""Servers and files that are broken or hostile: a typed error each, in a bounded time."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hourpass.client import (
    BadAnswer,
    BadConfiguration,
    ServerUnavailable,
    TokenError,
    token_source,
)
from hourpass.oauth import basic, secret_format
from support.token_server import CLIENT_ID, METADATA, SECRET, Asked, Script, TokenServer, always


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


def raw(*octets: bytes, drip: bytes = b"") -> Script:
    """Writes these octets, then one more each 20 ms, then hangs up."""

    def script(asked: Asked) -> None:
        asked.close_connection = True
        try:
            for part in octets:
                asked.wfile.write(part)
            for _ in range(500 if drip else 0):
                asked.wfile.write(drip)
                time.sleep(0.02)
        except OSError:
            return

    return script


def echo(asked: Asked) -> None:
    """Sends back, as an error, whatever it was sent."""
    sent = f"{asked.headers['Authorization']} {SECRET}"
    words = {"error": sent, "error_description": sent, "reason": SECRET}
    asked.answer(400, words, X_Echo=sent, WWW_Authenticate=sent)


SERVERS: dict[str, tuple[Script, type[TokenError]]] = {
    "hangs up": (raw(), ServerUnavailable),
    "no HTTP": (raw(b"\x00\x01 nonsense\r\n\r\n"), ServerUnavailable),
    "breaks off": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b'{"access_token"'),
        ServerUnavailable,
    ),
    "drips": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", drip=b" "),
        ServerUnavailable,
    ),
    "drips headers": (raw(b"HTTP/1.1 200 OK\r\nX: ", drip=b"a"), ServerUnavailable),
    "drips without a length": (raw(b"HTTP/1.1 200 OK\r\n\r\n", drip=b" "), ServerUnavailable),
    "says nothing": (lambda asked: time.sleep(2), ServerUnavailable),
    "too much": (always(200, b"{" + b" " * 65_536), BadAnswer),
    "endless": (raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b" " * 60_000] * 50), BadAnswer),
    "redirects": (always(307, Location="http://127.0.0.1:1/token"), BadAnswer),
    "a page": (always(200, b"<h1>It works</h1>"), BadAnswer),
    "compressed": (always(200, b"\x1f\x8b\x08\x00rubbish", Content_Encoding="gzip"), BadAnswer),
    "echoes": (echo, BadAnswer),
    "unavailable": (always(503, SECRET.encode()), ServerUnavailable),
}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt may take a second instead of ten."""
    monkeypatch.setattr(token_source, "ATTEMPT_S", 1.0)


def made(server: TokenServer, **settings: Any) -> Callable[[], object]:
    """Makes a token source, when it is called."""
    return lambda: server.source(**settings)


def fails(ask: Callable[[], object], kind: type[TokenError]) -> str:
    """What is said, in a bounded time; nothing secret in it."""
    began = time.monotonic()
    with pytest.raises(TokenError) as caught:
        ask()
    assert time.monotonic() - began < 4
    assert type(caught.value) is kind
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert SECRET not in shown
    assert basic.encode(CLIENT_ID, SECRET).removeprefix("Basic ") not in shown
    assert caught.value.__cause__ is None
    text = str(caught.value)
    assert text.isprintable()
    return text


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("script", "kind"), SERVERS.values(), ids=SERVERS.keys())
def test_a_broken_token_endpoint_is_a_typed_error(
    server: TokenServer, script: Script, kind: type[TokenError]
) -> None:
    """In the time of one attempt."""
    server.scripts["/token"] = script

    fails(server.source(patience_s=0).token, kind)


@pytest.mark.parametrize("expires_in", [0, -1, 10**30, 3600.0, True, None, "3600", 1e999])
def test_an_expiry_that_makes_no_sense_is_no_token(server: TokenServer, expires_in: Any) -> None:
    answer = {"access_token": "t", "token_type": "Bearer", "expires_in": expires_in}
    server.scripts["/token"] = always(200, answer)

    assert "expires_in" in fails(server.source(patience_s=0).token, BadAnswer)


@pytest.mark.spec("RFC 8414", "3.3", "metadata of another issuer must not be used")
def test_metadata_of_another_issuer_is_refused(server: TokenServer) -> None:
    """However alike; no secret goes to an endpoint that it names."""
    for issuer in ("https://auth.example.com", f"{server.url}/", server.url.upper(), None, 7):
        token_endpoint = f"{server.url}/token"
        server.scripts[METADATA] = always(200, {"issuer": issuer, "token_endpoint": token_endpoint})
        text = fails(server.source(issuer=server.url, patience_s=0).token, BadConfiguration)
        assert server.url in text

    assert server.token_requests == 0


@pytest.mark.parametrize(
    "endpoint",
    [None, 7, "", "/token", "ftp://127.0.0.1/token", "http://192.0.2.1/token", "https://u@x/y"],
)
def test_metadata_that_names_no_endpoint_is_refused(server: TokenServer, endpoint: Any) -> None:
    server.scripts[METADATA] = always(200, {"issuer": server.url, "token_endpoint": endpoint})

    fails(server.source(issuer=server.url, patience_s=0).token, BadAnswer)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (always(404), BadAnswer),
        (always(301, Location="https://auth.example.com"), BadAnswer),
        (always(200, b"<h1>It works</h1>"), BadAnswer),
        (always(200, b"[]"), BadAnswer),
        (always(200, b"[" * 60_000), BadAnswer),
        (always(503, Retry_After="9"), ServerUnavailable),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n", drip=b" "), ServerUnavailable),
    ],
)
def test_a_broken_metadata_document_is_a_typed_error(
    server: TokenServer, script: Script, kind: type[TokenError]
) -> None:
    server.scripts[METADATA] = script

    fails(server.source(issuer=server.url, patience_s=0).token, kind)
    assert server.token_requests == 0


def test_an_endpoint_that_moved_is_found_again(server: TokenServer) -> None:
    """The metadata is asked anew after an answer that was none."""
    source = server.source(issuer=server.url, patience_s=0)
    server.scripts["/token"] = always(404)
    fails(source.token, BadAnswer)
    server.scripts["/moved"] = server.grant
    server.scripts[METADATA] = always(
        200, {"issuer": server.url, "token_endpoint": f"{server.url}/moved"}
    )
    time.sleep(1)

    assert source.token() == "token-1"


def test_an_issuer_with_a_path_is_found_in_both_forms(server: TokenServer) -> None:
    """RFC 8414 section 3.1, and appended, as many servers do."""
    issuer = f"{server.url}/tenant"
    metadata = always(200, {"issuer": issuer, "token_endpoint": f"{server.url}/token"})
    for location in (f"{METADATA}/tenant", f"/tenant{METADATA}"):
        server.scripts = {"/token": server.grant, location: metadata}
        assert server.source(issuer=issuer).token().startswith("token-")


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620, 0o610])
def test_a_credentials_file_for_others_is_refused(
    server: TokenServer, tmp_path: Path, mode: int
) -> None:
    """With the command that mends it."""
    text = f'{{"client_id": "{CLIENT_ID}", "client_secret": "{SECRET}"}}'
    path = write(tmp_path / "client.json", text, mode)
    asked = {"client_id": None, "client_secret": None, "credentials_file": path}

    assert f"chmod 600 {path}" in fails(made(server, **asked), BadConfiguration)
    path.chmod(0o400)
    assert server.source(**asked).token() == "token-1"


NO_CREDENTIALS = {
    "empty": b"",
    "no JSON": SECRET.encode(),
    "an array": b"[]",
    "deep": b"[" * 50_000,
    "huge": b" " * 70_000 + b"{}",
    "no secret": b'{"client_id": "m2m_x"}',
    "a number": b'{"client_id": "m2m_x", "client_secret": 7}',
    "empty secret": b'{"client_id": "m2m_x", "client_secret": ""}',
    "a line break": b'{"client_id": "m2m_x", "client_secret": "a\\nb"}',
    "not UTF-8": b'{"client_id": "\xff"}',
    "cut": f'{{"client_id": "m2m_x", "client_secret": "{SECRET[:-1]}"}}'.encode(),
}


@pytest.mark.parametrize("content", NO_CREDENTIALS.values(), ids=NO_CREDENTIALS.keys())
def test_a_file_without_credentials_is_refused(
    server: TokenServer, tmp_path: Path, content: bytes
) -> None:
    path = write(tmp_path / "client.json", content)
    asked = {"client_id": None, "client_secret": None, "credentials_file": path}

    text = fails(made(server, **asked), BadConfiguration)
    assert SECRET[:-1] not in text


def test_what_is_no_file_is_refused(server: TokenServer, tmp_path: Path) -> None:
    """A missing one, a folder, a pipe that nobody writes to."""
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (tmp_path / "missing", tmp_path, pipe):
        asked = {"client_id": None, "client_secret": None, "credentials_file": path}
        assert str(path) in fails(made(server, **asked), BadConfiguration)


def test_a_secret_that_is_not_whole_is_never_sent(server: TokenServer) -> None:
    """Its checksum tells."""
    wrong = SECRET[:-1] + ("0" if SECRET[-1] != "0" else "1")
    for secret in (SECRET[:-1], SECRET + "0", wrong, secret_format.PREFIX):
        text = fails(made(server, client_secret=secret), BadConfiguration)
        assert secret == secret_format.PREFIX or secret not in text


def test_an_id_and_a_secret_come_from_one_place(server: TokenServer) -> None:
    """Not the ID from the program and the secret from the environment."""
    environ = {"HOURPASS_CLIENT_ID": CLIENT_ID, "HOURPASS_CLIENT_SECRET": SECRET}

    fails(made(server, client_secret=None, environ=environ), BadConfiguration)
    fails(made(server, client_id=None, environ=environ), BadConfiguration)
    nothing = {"client_id": None, "client_secret": None}
    assert server.source(**nothing, environ=environ).token() == "token-1"
    assert "HOURPASS_CLIENT_ID" in fails(made(server, **nothing), BadConfiguration)
