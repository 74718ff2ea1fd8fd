"""HAProxy and Apache check tokens themselves: expiry, keys that change, a server that is down."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from hourpass.oauth.jose import Algorithm, PrivateKey
from support.door_tokens import Tokens
from support.ports import free_port
from support.proxies.doors import Door, Issuer
from support.proxies.neighbours import Upstream, ask
from support.proxies.process import DEPLOY, ProxyProcess
from support.proxies.shipped import start_apache, start_haproxy

CLIENT_ID = "m2m_0123456789abcdefghjk"


class KeyServer:
    """Serves a key set, and nothing else of an issuer."""

    def __init__(self, *keys: PrivateKey) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"keys": [dict(key.public_jwk) for key in server.keys]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.keys = list(keys)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def bearer(self, key: PrivateKey) -> str:
        """An Authorization line with a token that this key signed."""
        tokens = Tokens(issuer=self.issuer, key=key, client_id=CLIENT_ID)
        return f"Authorization: Bearer {tokens.good}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    """With one key, to begin with."""
    made = KeyServer(PrivateKey.generate(Algorithm.ES256))
    yield made
    made.close()


@pytest.fixture
def api() -> Iterator[Upstream]:
    """Behind a proxy that the test starts itself."""
    made = Upstream()
    yield made
    made.close()


def _fetch_keys(issuer: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEPLOY / "haproxy/fetch_keys.py"), issuer, str(folder)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _status(proxy: ProxyProcess, bearer: str) -> int:
    return ask(proxy.port, f"GET /customers HTTP/1.1\r\n{bearer}\r\n".encode()).status


@pytest.mark.spec("threats", "13", "No decision outlives its reason")
def test_a_token_that_was_seen_expires_all_the_same(offline_door: Door, issuer: Issuer) -> None:
    """Within a second of its `exp`, which has no leeway but the clock's own step."""
    expires_at = int(time.time()) + 2
    bearer = f"Authorization: Bearer {issuer.tokens.token(exp=expires_at)}"

    statuses = []
    while time.time() < expires_at + 1.1:
        statuses.append(offline_door.ask("GET /customers", bearer).status)
        time.sleep(0.1)

    assert statuses[0] == 200
    assert offline_door.ask("GET /customers", bearer).status == 401


@pytest.mark.xdist_group("proxies-apache")
def test_apache_fetches_a_key_that_it_does_not_know(
    key_server: KeyServer, api: Upstream, tmp_path: Path
) -> None:
    """A key that was published after Apache had read the set opens; one that was not does not."""
    new, stranger = (PrivateKey.generate(Algorithm.ES256) for _ in range(2))
    proxy = start_apache(tmp_path, key_server.issuer, api.port)
    try:
        first = _status(proxy, key_server.bearer(key_server.keys[0]))
        unpublished = _status(proxy, key_server.bearer(new))
        key_server.keys.append(new)
        published = _status(proxy, key_server.bearer(new))
        unknown = _status(proxy, key_server.bearer(stranger))
    finally:
        proxy.stop()

    assert (first, unpublished, published, unknown) == (200, 401, 200, 401)


@pytest.mark.spec("threats", "13", "fail closed")
@pytest.mark.xdist_group("proxies-apache")
def test_apache_without_keys_lets_nothing_pass(
    key_server: KeyServer, api: Upstream, tmp_path: Path
) -> None:
    """401 within three seconds while the keys cannot be fetched."""
    issuer = f"http://localhost:{free_port()}"
    tokens = Tokens(issuer=issuer, key=key_server.keys[0], client_id=CLIENT_ID)
    proxy = start_apache(tmp_path, issuer, api.port)
    began = time.monotonic()
    try:
        status = _status(proxy, f"Authorization: Bearer {tokens.good}")
        took = time.monotonic() - began
    finally:
        proxy.stop()

    assert status == 401
    assert api.requests == []
    assert took < 3


@pytest.mark.xdist_group("proxies-haproxy")
def test_haproxy_takes_the_keys_that_were_fetched(
    key_server: KeyServer, api: Upstream, tmp_path: Path
) -> None:
    """A new key opens after `fetch_keys.py` and a start; the old one for as long as it is shown."""
    old, new = key_server.keys[0], PrivateKey.generate(Algorithm.ES256)
    statuses = []
    for keys in ([old], [new, old], [new]):
        key_server.keys = keys
        proxy = start_haproxy(tmp_path, key_server.issuer, api.port)
        try:
            statuses.append([_status(proxy, key_server.bearer(key)) for key in (old, new)])
        finally:
            proxy.stop()

    assert statuses == [[200, 401], [200, 200], [401, 200]]


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.RS256])
def test_fetched_keys_are_the_published_ones(
    key_server: KeyServer, tmp_path: Path, algorithm: Algorithm
) -> None:
    """Five files, whatever the number of keys; the status says whether any has changed."""
    keys = [PrivateKey.generate(algorithm) for _ in range(2)]
    key_server.keys = keys

    first = _fetch_keys(key_server.issuer, tmp_path / "keys")
    again = _fetch_keys(key_server.issuer, tmp_path / "keys")

    assert (first.returncode, again.returncode) == (0, 1), first.stderr
    numbers = attrgetter("public_numbers")  # Ed25519 has none; HAProxy knows only the others
    pems = [(tmp_path / f"keys/{n}.pem").read_bytes() for n in range(1, 6)]
    written = [numbers(load_pem_public_key(pem))() for pem in pems]
    published = [numbers(key._key.public_key())() for key in keys]
    assert written == [*published, *[published[0]] * 3]


def test_keys_that_cannot_be_fetched_leave_the_files(key_server: KeyServer, tmp_path: Path) -> None:
    """No server, too many keys, a kind that HAProxy does not know: status 2 and one line."""
    _fetch_keys(key_server.issuer, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    outcomes = [_fetch_keys(f"http://localhost:{free_port()}", tmp_path)]
    for keys in (
        [],
        [PrivateKey.generate(Algorithm.ES256) for _ in range(6)],
        [PrivateKey.generate(Algorithm.EDDSA)],
    ):
        key_server.keys = keys
        outcomes.append(_fetch_keys(key_server.issuer, tmp_path))

    for outcome in outcomes:
        assert outcome.returncode == 2
        assert outcome.stderr.count("\n") == 1
        assert "the files are as they were" in outcome.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
