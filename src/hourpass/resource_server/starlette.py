"""Scopes as a decorator of Starlette endpoints; `BearerTokens` must be in front of the app.

app = Starlette(routes=routes, middleware=[Middleware(BearerTokens, verifier=verifier)])

@needs("customers:read")
async def customers(request: Request) -> Response: ...
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from starlette.requests import Request

from hourpass.resource_server import asgi
from hourpass.resource_server.claims import AccessToken

_P = ParamSpec("_P")
_R = TypeVar("_R")


def needs(*scopes: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Have an endpoint ask for every one of `scopes`.

    For functions, coroutines and the methods of an `HTTPEndpoint`. The call raises
    InsufficientScope, which `BearerTokens` answers.
    """

    def decorate(endpoint: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(endpoint)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            asgi.require(_request(args).scope, *scopes)
            return endpoint(*args, **kwargs)

        @wraps(endpoint)
        async def checked_async(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            asgi.require(_request(args).scope, *scopes)
            return await cast("Any", endpoint(*args, **kwargs))

        # Starlette runs what is no coroutine function in a thread.
        if inspect.iscoroutinefunction(endpoint):
            return cast("Callable[_P, _R]", checked_async)
        return checked

    return decorate


def access_token(request: Request) -> AccessToken:
    """The token of this request; LookupError where `BearerTokens` did not check it."""
    return asgi.access_token(request.scope)


def _request(arguments: tuple[Any, ...]) -> Request:
    """The first of a function's arguments, or the second of a method's."""
    for argument in arguments[:2]:
        if isinstance(argument, Request):
            return argument
    raise TypeError("needs() is for endpoints, whose first argument is the request")
