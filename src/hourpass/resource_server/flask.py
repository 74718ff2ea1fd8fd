"""Access tokens and scopes for Flask.

app = Flask(__name__)
protect(app, Verifier(ISSUER, AUDIENCE), public=("/health",))

@app.get("/customers")
@needs("customers:read")
def customers() -> Response: ...
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import flask

from hourpass.limits import PerMinute
from hourpass.oauth.errors import InsufficientScope
from hourpass.oauth.grants import Granted
from hourpass.resource_server import wsgi
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.verifier import Verifier

_P = ParamSpec("_P")
_R = TypeVar("_R")


def protect(
    app: flask.Flask,
    verifier: Verifier,
    *,
    public: Iterable[str] = (),
    realm: str | None = None,
    grants: Granted | None = None,
    metadata: bool = False,
    limits: PerMinute | None = None,
    limits_url: str | None = None,
) -> None:
    """Let no request of `app` pass without a valid token; its static files are no exception.

    The settings are those of `ProtectedResource`. Call it before other WSGI middleware is put
    around `app.wsgi_app`.
    """
    door = wsgi.BearerTokens(
        app.wsgi_app,
        verifier,
        public=public,
        realm=realm,
        grants=grants,
        metadata=metadata,
        limits=limits,
        limits_url=limits_url,
    )

    def refuse(refusal: InsufficientScope) -> flask.Response:
        answer = door.resource.refuse(refusal)
        return flask.Response(answer.body, answer.status, list(answer.headers))

    # Flask would take what `needs` raises for a fault of the app.
    app.register_error_handler(InsufficientScope, refuse)
    app.wsgi_app = door  # type: ignore[method-assign]  # as Flask's documentation does


def needs(*scopes: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Have a view ask for every one of `scopes`; it stands below `@app.route`.

    For functions and coroutines. The call raises InsufficientScope, which `protect` answers.
    """

    def decorate(view: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(view)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            wsgi.require(flask.request.environ, *scopes)
            # Flask awaits what a coroutine function gives, if it is told that it is one.
            return cast("_R", flask.current_app.ensure_sync(view)(*args, **kwargs))

        return checked

    return decorate


def access_token() -> AccessToken:
    """The token of this request; LookupError where `protect` did not check it."""
    return wsgi.access_token(flask.request.environ)
