"""`aiohttp.ClientSession(middlewares=(TokenAuth(source),))`; needs aiohttp 3.12 or newer."""

from collections.abc import Iterable

from aiohttp import BytesPayload, ClientHandlerType, ClientRequest, ClientResponse

from hourpass.client.addresses import Origins
from hourpass.client.challenge import says_invalid_token
from hourpass.client.token_source import TokenSource


class TokenAuth:
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

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Called by aiohttp for each request, those of a redirect among them."""
        url = request.url
        if not self._origins.allow(url.scheme, url.host or "", url.port):
            return await handler(request)
        token = await self._source.token_async()
        request.headers["Authorization"] = f"Bearer {token}"
        response = await handler(request)
        challenges = ", ".join(response.headers.getall("WWW-Authenticate", ()))
        if response.status != 401 or not says_invalid_token(challenges):
            return response
        if not self._source.reject(token) or not _may_be_sent_again(request):
            return response
        response.release()
        request.headers["Authorization"] = f"Bearer {await self._source.token_async()}"
        return await handler(request)


def _may_be_sent_again(request: ClientRequest) -> bool:
    """Only what is in memory: a file or an iterator may be read up."""
    return isinstance(request.body, bytes | BytesPayload)
