"""`requests.Session().auth = TokenAuth(source)`, or `auth=TokenAuth(source)` for one request."""

from collections.abc import Iterable
from typing import Any

import requests
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar

from hourpass.client.addresses import Origins
from hourpass.client.challenge import says_invalid_token
from hourpass.client.token_source import TokenSource


class TokenAuth(AuthBase):
    """Sends an access token, and gets another one, once, when an API does not take it any more.

    Raises TokenError when there is no token. A body that is a file or an iterator is never sent
    again: its 401 comes back to the caller, and the next request has a new token.
    """

    def __init__(self, source: TokenSource, *, origins: Iterable[str] | None = None) -> None:
        """`origins` are where the token may go, as URLs; without them, where the first request
        goes. Requests to other places are sent without it; requests itself takes it out of a
        redirect to another host.
        """
        self._source = source
        self._origins = Origins(origins)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Called by requests, once for each request that a program makes."""
        if self._origins.allow_url(r.url or ""):
            r.headers["Authorization"] = f"Bearer {self._source.token()}"
            r.register_hook("response", self._on_response)  # type: ignore[no-untyped-call]  # its stubs have no types here
        return r

    def _on_response(self, response: requests.Response, **sending: Any) -> requests.Response:
        """Called for each answer, those of a redirect among them."""
        request = response.request
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if response.status_code != 401 or scheme != "Bearer":
            return response
        if not self._origins.allow_url(request.url or ""):
            return response
        if not says_invalid_token(response.headers.get("WWW-Authenticate", "")):
            return response
        if not self._source.reject(token) or not isinstance(request.body, str | bytes | None):
            return response
        response.close()  # unread: its body may be of any length
        again = request.copy()
        jar = again._cookies  # type: ignore[attr-defined]  # as requests' own Digest does
        extract_cookies_to_jar(jar, request, response.raw)  # type: ignore[no-untyped-call]  # its stubs have no types here
        again.prepare_cookies(jar)
        again.headers["Authorization"] = f"Bearer {self._source.token()}"
        second: requests.Response = response.connection.send(again, **sending)
        second.history.append(response)
        second.request = again
        return second
