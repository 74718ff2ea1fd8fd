"""An issuer to verify against: a real key, and a real HTTP server whose answers are scripted."""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.resource_server import Verifier
from support.local_server import LocalServer

AUDIENCE = "https://api.example.com"
CLIENT_ID = "m2m_0123456789abcdefghjk"
NOW = 1_780_000_000
JWKS = "/.well-known/jwks.json"
METADATA = "/.well-known/oauth-authorization-server"

Script = Callable[[BaseHTTPRequestHandler], None]


class Clock:
    """Epoch seconds that only a test moves."""

    def __init__(self, now: float = NOW) -> None:
        self.now = float(now)

    def __call__(self) -> float:
        return self.now


class Absent:
    """Stands for a claim or header parameter that is left out."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


class LocalIssuer(LocalServer):
    """`keys` are what the JWKS shows, `requests` the paths that were asked for."""

    def __init__(self) -> None:
        self.key = PrivateKey.generate(Algorithm.ES256)
        self.scripts: dict[str, Script] = {}
        self.requests: list[str] = []
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                issuer.scripts.get(self.path, status(404))(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        super().__init__(Handler)
        self.show(self.key)
        self.scripts[METADATA] = document({"issuer": self.url, "jwks_uri": self.url + JWKS})

    def show(self, *keys: PrivateKey, **headers: str) -> None:
        """Publish these keys, and no others."""
        self.scripts[JWKS] = document({"keys": [dict(key.public_jwk) for key in keys]}, **headers)

    @property
    def jwks_requests(self) -> int:
        return self.requests.count(JWKS)

    def verifier(self, clock: Callable[[], float], **settings: Any) -> Verifier:
        return Verifier(self.url, AUDIENCE, clock=clock, **settings)

    def claims(self, **changes: object) -> dict[str, object]:
        """Good claims but for the changes; ABSENT takes one out."""
        good = {
            "iss": self.url,
            "sub": CLIENT_ID,
            "client_id": CLIENT_ID,
            "aud": AUDIENCE,
            "scope": "customers:read profile:write",
            "iat": NOW,
            "exp": NOW + 3600,
            "jti": "0a1b2c",
            "org_id": "default",
            "gen": 0,
        }
        return {name: value for name, value in (good | changes).items() if value is not ABSENT}

    def token(self, key: PrivateKey | None = None, /, **changes: object) -> str:
        """A token with good claims but for the changes."""
        return (key or self.key).sign(json.dumps(self.claims(**changes)).encode())

    def token_with_header(self, **changes: object) -> str:
        """A token with good claims, signed with the real key, but for its header."""
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid} | changes
        kept = {name: value for name, value in header.items() if value is not ABSENT}
        return sign_under(self.key, json.dumps(kept).encode(), json.dumps(self.claims()).encode())


def sign_under(key: PrivateKey, header: bytes, payload: bytes) -> str:
    """A token whose signature is good and whose header is any octets."""
    return replace(key, _header=segment(header).encode() + b".").sign(payload)


def segment(octets: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def document(body: object, **headers: str) -> Script:
    """Answers 200 with JSON; `Cache_Control=…` becomes that header."""
    return octets(json.dumps(body).encode(), **headers)


def octets(body: bytes, **headers: str) -> Script:
    """Answers 200 with these octets, whatever they are."""
    return status(200, body, **headers)


def status(code: int, body: bytes = b"", **headers: str) -> Script:
    """Answers with this status, and with a body where one is given."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return script


def after(gate: threading.Event, script: Script) -> Script:
    """The same answer, but not before the gate opens."""

    def script_behind_gate(handler: BaseHTTPRequestHandler) -> None:
        gate.wait(10)
        script(handler)

    return script_behind_gate


def settle() -> None:
    """Wait for every fetch that has begun."""
    for thread in threading.enumerate():
        if thread.name == "hourpass-jwks":
            thread.join(5)


def eventually(truth: Callable[[], bool]) -> None:
    """Wait for what a background thread does."""
    deadline = time.monotonic() + 5
    while not truth():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)
