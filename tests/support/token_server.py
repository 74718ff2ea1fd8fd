"""A token endpoint and an API whose answers are scripted: a real HTTP server on loopback."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

from hourpass.client import TokenSource
from hourpass.oauth import secret_format
from support.local_server import LocalServer

CLIENT_ID = "m2m_0123456789abcdefghjk"
SECRET = secret_format.PREFIX + "0" * 43
SECRET += secret_format.checksum(SECRET)
METADATA = "/.well-known/oauth-authorization-server"

Script = Callable[["Asked"], None]


class Clock:
    """Seconds that only a test moves."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Asked(BaseHTTPRequestHandler):
    """One request; a script answers it."""

    protocol_version = "HTTP/1.1"
    body: bytes

    def answer(self, status: int, body: bytes | dict[str, Any] = b"", **headers: str) -> None:
        """A whole answer; `Retry_After=…` becomes that header."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            headers.setdefault("Content_Type", "application/json")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode()))

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class TokenServer(LocalServer):
    """`/token` grants numbered tokens; `/api` takes the last one; scripts replace either.

    `asked` are the paths in the order they came, `authorization` what came with them.
    """

    def __init__(self, *, expires_in: int = 3600) -> None:
        self.expires_in = expires_in
        self.asked: list[str] = []
        self.authorization: list[str | None] = []
        self.bodies: list[bytes] = []
        self.good: set[str] = set()
        self.scripts: dict[str, Script] = {"/token": self.grant, "/api": self.api}
        self._numbers = itertools.count(1)
        outer = self

        class Handler(Asked):
            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True  # the other side left

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer()

            def do_HEAD(self) -> None:
                self._answer()

            def _answer(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    self.body = b"".join(self._chunks())
                else:
                    self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                outer.asked.append(path)
                outer.authorization.append(self.headers.get("Authorization"))
                outer.bodies.append(self.body)
                outer.scripts.get(path, always(404))(self)

            def _chunks(self) -> Iterator[bytes]:
                while size := int(self.rfile.readline(), 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

        super().__init__(Handler)
        self.scripts[METADATA] = lambda asked: asked.answer(
            200, {"issuer": self.url, "token_endpoint": f"{self.url}/token"}
        )

    @property
    def token_requests(self) -> int:
        return self.asked.count("/token")

    def grant(self, asked: Asked) -> None:
        """The next token; it is good at the API until it is revoked."""
        token = f"token-{next(self._numbers)}"
        self.good.add(token)
        asked.answer(200, grant_of(token, self.expires_in))

    def api(self, asked: Asked) -> None:
        """200 for a good token, else what an API answers (RFC 6750)."""
        token = (asked.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token in self.good:
            asked.answer(200, {"data": ["Ada"], "method": asked.command})
        else:
            challenge = 'Bearer realm="https://api.example.com", error="invalid_token"'
            asked.answer(401, {"error": "invalid_token"}, WWW_Authenticate=challenge)

    def source(self, **settings: Any) -> TokenSource:
        """A token source for it, without the environment of whoever runs the tests."""
        where = {} if "issuer" in settings else {"token_url": f"{self.url}/token"}
        known = {"client_id": CLIENT_ID, "client_secret": SECRET, "environ": {}}
        return TokenSource(**{**where, **known, **settings})


def grant_of(token: str, expires_in: object = 3600) -> dict[str, Any]:
    """The members of a token answer."""
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": expires_in,
        "scope": "customers:read",
    }


def always(status: int, body: bytes | dict[str, Any] = b"", **headers: str) -> Script:
    """Answers so to everybody."""
    return lambda asked: asked.answer(status, body, **headers)


def in_turn(*scripts: Script) -> Script:
    """Each once, the last one for ever."""
    waiting = list(scripts)
    lock = threading.Lock()

    def script(asked: Asked) -> None:
        with lock:
            current = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        current(asked)

    return script


def after(gate: threading.Event, script: Script) -> Script:
    """The same answer, but not before the gate opens."""

    def behind_gate(asked: Asked) -> None:
        gate.wait(10)
        script(asked)

    return behind_gate


def eventually(truth: Callable[[], bool]) -> None:
    """Wait for what a background thread does."""
    deadline = time.monotonic() + 5
    while not truth():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)
