"""The example API under test: a key set on a real HTTP server, tokens with any scopes."""

import asyncio
import json
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from hourpass import demo
from hourpass.demo.api import create_api
from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.resource_server import catalogue_grants

ISSUER, AUDIENCE = "http://localhost:8080", "http://localhost:8081"
FILE = Path(demo.__file__).with_name("hourpass.toml")
CATALOGUE: dict[str, Any] = tomllib.loads(FILE.read_text("utf-8"))
SCOPES: list[dict[str, Any]] = CATALOGUE["api"][0]["scope"]


class Installation:
    """One app, with its own data; `request` calls it with a token of the given scopes."""

    def __init__(self, key: PrivateKey, jwks_uri: str, *, by_grants: bool = False) -> None:
        grants = catalogue_grants(FILE) if by_grants else None
        self.app = create_api(ISSUER, AUDIENCE, jwks_uri=jwks_uri, grants=grants)
        self._key = key

    def token(self, scope: str, **changes: object) -> str:
        """An access token with these scopes."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": ISSUER,
            "sub": "m2m_0123456789abcdefghjk",
            "client_id": "m2m_0123456789abcdefghjk",
            "aud": AUDIENCE,
            "scope": scope,
            "iat": now,
            "exp": now + 3600,
            "jti": "0a1b2c",
        }
        return self._key.sign(json.dumps(claims | changes).encode())

    def request(
        self,
        method: str,
        path: str,
        scope: str | None = None,
        body: object = None,
        *,
        token: str | None = None,
    ) -> httpx.Response:
        """With a token of these scopes, with the one given, or without any."""
        if scope is not None:
            token = self.token(scope)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=AUDIENCE) as client:
                return await client.request(method, path, headers=headers, json=body)

        return asyncio.run(call())


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def installation(folder: Path, *, by_grants: bool = False) -> Iterator[Installation]:
    """An installation whose key set is served from `folder`.

    `by_grants`: the catalogue's grants are asked for before the scopes at the routes.
    """
    key = PrivateKey.generate(Algorithm.ES256)
    (folder / "jwks.json").write_text(json.dumps({"keys": [dict(key.public_jwk)]}))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Installation(
            key, f"http://127.0.0.1:{server.server_port}/jwks.json", by_grants=by_grants
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
