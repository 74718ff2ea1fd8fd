"""Access tokens in front of any WSGI app: Flask, Django, Bottle or none.

`BearerTokens` lets no request pass without a valid token; `require` in a handler then asks
for scopes. A handler that forgets `require` is open to every client of this API, but to no
one else. With `grants` the door asks for scopes itself, by method and path.
"""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from itertools import chain
from typing import Any

from hourpass.limits import PerMinute
from hourpass.limits.rules import Headers
from hourpass.oauth.bearer import Answer
from hourpass.oauth.errors import InsufficientScope, InvalidToken, RateLimited
from hourpass.oauth.grants import Granted
from hourpass.resource_server import targets
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.protected_resource import ProtectedResource, check_scopes
from hourpass.resource_server.verifier import Verifier

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

# No header can have this name: theirs begin with HTTP_.
_KEY = "hourpass.access_token"


class BearerTokens:
    """WSGI middleware: 401 without a valid access token, 403 for what it or `require` refuses.

    It belongs outside of whatever changes SCRIPT_NAME or PATH_INFO. A CORS middleware belongs
    outside of it: a preflight request carries no token.
    """

    def __init__(
        self,
        app: WSGIApp,
        verifier: Verifier,
        *,
        public: Iterable[str] = (),
        realm: str | None = None,
        grants: Granted | None = None,
        metadata: bool = False,
        limits: PerMinute | None = None,
        limits_url: str | None = None,
    ) -> None:
        """The settings are those of `ProtectedResource`."""
        self.app = app
        self.resource = ProtectedResource(
            verifier,
            public=public,
            realm=realm,
            grants=grants,
            metadata=metadata,
            limits=limits,
            limits_url=limits_url,
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        resource, method = self.resource, environ["REQUEST_METHOD"]
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        document = resource.document(method, path)
        if document is not None:
            return _respond(document, environ, start_response)
        if resource.is_public(path):
            environ.pop(_KEY, None)  # of a door further out, for another API
            return self.app(environ, start_response)
        target = targets.UNKNOWN if resource.grants is None else targets.of_wsgi(environ)
        try:
            token = environ[_KEY] = resource.admit(authorization(environ), method, target)
            if resource.limits is not None:
                limits = resource.limit(token, method, target)
                start_response = _telling(start_response, limits)
        except (InvalidToken, InsufficientScope, KeysUnavailable, RateLimited) as refusal:
            return _respond(resource.refuse(refusal), environ, start_response)
        try:
            return _begin(self.app, environ, start_response)
        except InsufficientScope as refusal:
            return _respond(resource.refuse(refusal), environ, start_response)


def _telling(start_response: StartResponse, limits: Headers) -> StartResponse:
    """Every answer says what is left of the limits, whatever else it says."""

    def telling(status: str, headers: list[tuple[str, str]], *fault: Any) -> Any:
        return start_response(status, [*headers, *limits], *fault)

    return telling if limits else start_response


def _begin(app: WSGIApp, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The app's answer; what `require` refuses is raised here, before anything was sent."""
    started = False

    def noting(*arguments: Any, **more: Any) -> Any:
        nonlocal started
        started = True
        return start_response(*arguments, **more)

    given = app(environ, noting)
    if started:
        return given
    return _Begun(given)  # a generator, of which nothing has run yet


class _Begun:
    """A generator's answer with its first part made."""

    def __init__(self, given: Iterable[bytes]) -> None:
        self._given = given
        parts = iter(given)
        try:
            self._parts = chain((next(parts, b""),), parts)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None:
        """For the app, as PEP 3333 demands."""
        close = getattr(self._given, "close", None)
        if close is not None:
            close()


def authorization(environ: Environ) -> list[str]:
    """The Authorization header; servers join several by a comma, which is refused later."""
    value = environ.get("HTTP_AUTHORIZATION")
    return [] if value is None else [value]


def _respond(answer: Answer, environ: Environ, start_response: StartResponse) -> list[bytes]:
    status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    start_response(status, list(answer.headers))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]


def access_token(environ: Environ) -> AccessToken:
    """The token of this request; LookupError where `BearerTokens` did not check it."""
    token = environ.get(_KEY)
    if not isinstance(token, AccessToken):
        raise LookupError("no access token: BearerTokens is not in front, or the path is public")
    return token


def require(environ: Environ, *names: str) -> AccessToken:
    """The token of this request, if it grants every scope in `names`.

    Raises InsufficientScope, which `BearerTokens` answers with 403 and the names.
    """
    return check_scopes(access_token(environ), names)
