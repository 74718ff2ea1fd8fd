"""`httpx.Client(auth=TokenAuth(source))`, and the same for `httpx.AsyncClient`."""

from collections.abc import AsyncGenerator, Generator, Iterable

import httpx

from hourpass.client.addresses import Origins
from hourpass.client.challenge import says_invalid_token
from hourpass.client.token_source import TokenSource

_Steps = Generator[httpx.Request | None, httpx.Response | str, None]
"""Yields None for a token, or a request for its response."""


class TokenAuth(httpx.Auth):
    """Sends an access token, and gets another one, once, when an API does not take it any more.

    Raises TokenError when there is no token. A body that was streamed is never sent again: its
    401 comes back to the caller, and the next request has a new token.
    """

    def __init__(self, source: TokenSource, *, origins: Iterable[str] | None = None) -> None:
        """`origins` are where the token may go, as URLs; without them, where the first request
        goes. Requests to other places, also by a redirect, are sent without it.
        """
        self._source = source
        self._origins = Origins(origins)

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Called by httpx."""
        steps = self._steps(request)
        wanted = next(steps, request)
        while True:
            answer = self._source.token() if wanted is None else (yield wanted)
            try:
                wanted = steps.send(answer)
            except StopIteration:
                return

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Called by httpx."""
        steps = self._steps(request)
        wanted = next(steps, request)
        while True:
            answer = await self._source.token_async() if wanted is None else (yield wanted)
            try:
                wanted = steps.send(answer)
            except StopIteration:
                return

    def _steps(self, request: httpx.Request) -> _Steps:
        """The flow, once for both."""
        url = request.url
        if not self._origins.allow(url.scheme, url.host, url.port):
            yield request
            return
        token = yield None
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        assert isinstance(token, str)  # noqa: S101  (what None brings)
        assert isinstance(response, httpx.Response)  # noqa: S101  (what a request brings)
        if response.status_code != 401 or not _is_about(response, token):
            return
        if self._source.reject(token) and _may_be_sent_again(request, response):
            request.headers["Authorization"] = f"Bearer {yield None}"
            yield request


def _is_about(response: httpx.Response, token: str) -> bool:
    """Whether it was our token that was refused: a redirect may have led to somebody else."""
    return response.request.headers.get("Authorization") == f"Bearer {token}" and (
        says_invalid_token(", ".join(response.headers.get_list("WWW-Authenticate")))
    )


def _may_be_sent_again(request: httpx.Request, response: httpx.Response) -> bool:
    if response.history and request.method not in ("GET", "HEAD"):
        return False  # the request was taken before it was redirected
    try:
        request.content  # noqa: B018  (raises for a stream, which may be read up)
    except httpx.RequestNotRead:
        return False
    return True
