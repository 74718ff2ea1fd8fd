"""What every adapter has to do alike, said once: each test is run with each HTTP library."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import httpx
import requests

from hourpass.client import TokenSource
from hourpass.client.aiohttp import TokenAuth as AiohttpAuth
from hourpass.client.httpx import TokenAuth as HttpxAuth
from hourpass.client.requests import TokenAuth as RequestsAuth

CHUNKS = (b"one,", b"two")


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """An answer, in every library's words."""

    status: int
    json: Any


class Caller(Protocol):
    """A client of one library with a token source as its authentication."""

    def __call__(self, method: str, url: str, **sending: Any) -> Got:
        """One call, following redirects; `body` is sent whole, `stream=True` sends CHUNKS."""
        ...

    def close(self) -> None:
        """Give the connections back."""


def _content(sending: Mapping[str, Any], streamed: Any) -> Any:
    return streamed if sending.get("stream") else sending.get("body")


class Httpx:
    """The synchronous client."""

    def __init__(self, source: TokenSource, **settings: Any) -> None:
        auth = HttpxAuth(source, **settings)
        self._client = httpx.Client(auth=auth, follow_redirects=True, trust_env=False)

    def __call__(self, method: str, url: str, **sending: Any) -> Got:
        answer = self._client.request(method, url, content=_content(sending, iter(CHUNKS)))
        return Got(status=answer.status_code, json=answer.json() if answer.content else None)

    def close(self) -> None:
        self._client.close()


class AsyncHttpx:
    """The asynchronous client."""

    def __init__(self, source: TokenSource, **settings: Any) -> None:
        self._runner = asyncio.Runner()
        auth = HttpxAuth(source, **settings)
        self._client = httpx.AsyncClient(auth=auth, follow_redirects=True, trust_env=False)

    def __call__(self, method: str, url: str, **sending: Any) -> Got:
        return self._runner.run(self._call(method, url, sending))

    async def _call(self, method: str, url: str, sending: Mapping[str, Any]) -> Got:
        content = _content(sending, _later(CHUNKS))
        answer = await self._client.request(method, url, content=content)
        return Got(status=answer.status_code, json=answer.json() if answer.content else None)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


class Requests:
    """A session."""

    def __init__(self, source: TokenSource, **settings: Any) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = RequestsAuth(source, **settings)

    def __call__(self, method: str, url: str, **sending: Any) -> Got:
        content = _content(sending, iter(CHUNKS))
        answer = self._session.request(method, url, data=content, timeout=10)
        return Got(status=answer.status_code, json=answer.json() if answer.content else None)

    def close(self) -> None:
        self._session.close()


class Aiohttp:
    """A session with the middleware."""

    def __init__(self, source: TokenSource, **settings: Any) -> None:
        self._runner = asyncio.Runner()
        self._session = self._runner.run(self._open(AiohttpAuth(source, **settings)))

    async def _open(self, auth: AiohttpAuth) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(middlewares=(auth,))

    def __call__(self, method: str, url: str, **sending: Any) -> Got:
        return self._runner.run(self._call(method, url, sending))

    async def _call(self, method: str, url: str, sending: Mapping[str, Any]) -> Got:
        content = _content(sending, _later(CHUNKS))
        async with self._session.request(method, url, data=content) as answer:
            return Got(
                status=answer.status, json=await answer.json() if answer.status < 500 else None
            )

    def close(self) -> None:
        self._runner.run(self._session.close())
        self._runner.close()


async def _later(chunks: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


CALLERS: tuple[Any, ...] = (Httpx, AsyncHttpx, Requests, Aiohttp)


def opened(kind: Any, source: TokenSource, **settings: Any) -> Iterator[Caller]:
    """A caller, closed after use."""
    caller = kind(source, **settings)
    try:
        yield caller
    finally:
        caller.close()
