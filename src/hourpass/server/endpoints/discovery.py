"""Discovery: metadata (RFC 8414) and keys (RFC 7517). Public, cacheable, the same for all."""

import asyncio
import hashlib
import time
from collections.abc import Callable

from hourpass.oauth import metadata
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.endpoints.http import (
    JSON,
    Answer,
    Receive,
    Scope,
    Send,
    all_of,
    json_bytes,
    method_not_allowed,
    respond,
)
from hourpass.server.keys.model import JWKS_MAX_AGE

_READ_AGAIN_AFTER_S = 1.0
_WAIT_S = 1.0
_PUBLIC = (
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
)


class MetadataEndpoint:
    """`GET /.well-known/oauth-authorization-server`."""

    def __init__(self, issuer: str) -> None:
        body = json_bytes(metadata.document(issuer))
        self._answer = Answer(200, _cacheable(body), body)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """The document, or 304."""
        await respond(send, _conditional(scope, self._answer))


class JwksEndpoint:
    """`GET /.well-known/jwks.json`."""

    def __init__(self, read_jwks: Callable[[], dict[str, object]]) -> None:
        """`read_jwks` reads the key set from the database; it may block."""
        self._read = read_jwks
        self._answer: Answer | None = None
        self._fresh_until = 0.0
        self._reading: asyncio.Task[None] | None = None
        self._patient_until = 0.0

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """The key set, at most a second old, or 304. With the database away, the last known."""
        if time.monotonic() >= self._fresh_until:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._refresh())
                self._patient_until = time.monotonic() + _WAIT_S
            # It may hang: the first wait for a second; those who come later get what is known.
            left = max(0.0, self._patient_until - time.monotonic())
            done, _ = await asyncio.wait((self._reading,), timeout=left)
            for reading in done:
                reading.result()
        answer = self._answer
        if answer is None:
            body = {"error": "temporarily_unavailable"}
            answer = Answer(503, [JSON, (b"retry-after", b"1")], json_bytes(body))
        await respond(send, _conditional(scope, answer))

    async def _refresh(self) -> None:
        try:
            body = json_bytes(await asyncio.to_thread(self._read))
        except DatabaseUnavailable:
            pass  # verifiers need keys most when things are on fire
        else:
            self._answer = Answer(200, _cacheable(body), body)
        self._fresh_until = time.monotonic() + _READ_AGAIN_AFTER_S


def _cacheable(body: bytes) -> list[tuple[bytes, bytes]]:
    max_age = int(JWKS_MAX_AGE.total_seconds())
    tag = hashlib.sha256(body).hexdigest()[:32]
    return [
        JSON,
        (b"cache-control", f"public, max-age={max_age}".encode("ascii")),
        (b"etag", f'"{tag}"'.encode("ascii")),
        *_PUBLIC,
    ]


def _conditional(scope: Scope, answer: Answer) -> Answer:
    if scope["method"] not in ("GET", "HEAD"):
        return method_not_allowed("GET", "HEAD")
    tags = dict(answer.headers).get(b"etag")
    for wanted in all_of(scope["headers"], b"if-none-match"):
        if tags is not None and (wanted.strip() == b"*" or tags in wanted):
            return Answer(304, [pair for pair in answer.headers if pair != JSON])
    return answer
