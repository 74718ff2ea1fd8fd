"""Access tokens in front of any ASGI app: Starlette, FastAPI, Litestar or none.

`BearerTokens` lets no request pass without a valid token; `require` in a handler then asks
for scopes. A handler that forgets `require` is open to every client of this API, but to no
one else. With `grants` the door asks for scopes itself, by method and path.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
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

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# A key of its own and not `scope["state"]`: a server that shares that mapping between requests
# would hand one caller's token to another.
_KEY = "hourpass.access_token"


class BearerTokens:
    """ASGI middleware: 401 without a valid access token, 403 for what it or `require` refuses.

    A CORS middleware belongs outside of it: a preflight request carries no token.
    """

    def __init__(
        self,
        app: ASGIApp,
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
        self._resource = ProtectedResource(
            verifier,
            public=public,
            realm=realm,
            grants=grants,
            metadata=metadata,
            limits=limits,
            limits_url=limits_url,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; WebSockets are refused, and so is whatever is yet unknown."""
        match scope["type"]:
            case "http":
                pass
            case "lifespan":
                await self.app(scope, receive, send)
                return
            case "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
                return
            case other:
                raise ValueError(f"no access token can be checked on {other}")
        # All of it in one coroutine: each more would cost every request a microsecond.
        resource, method, path = self._resource, scope["method"], scope["path"]
        if path in resource.open_paths:
            document = resource.document(method, path)
            if document is not None:
                await _send(document, send)
                return
            if resource.is_public(path):
                scope.pop(_KEY, None)  # of a door further out, for another API
                await self.app(scope, receive, send)
                return
        authorization = [
            value.decode("latin-1")
            for name, value in scope["headers"]
            if name.lower() == b"authorization"
        ]
        target = targets.UNKNOWN if resource.grants is None else targets.of_asgi(scope)
        started = False

        def noting(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        try:
            token = resource.recall(authorization) if resource.grants is None else None
            if token is None:
                token = await resource.admit_async(authorization, method, target)
            scope[_KEY] = token
            if resource.limits is not None:
                send = _telling(send, await resource.limit_async(token, method, target))
        except (InvalidToken, InsufficientScope, KeysUnavailable, RateLimited) as refusal:
            await _send(resource.refuse(refusal), send)
            return
        try:
            await self.app(scope, receive, noting)
        except InsufficientScope as refusal:
            if started:
                raise
            await _send(resource.refuse(refusal), send)


def _telling(send: Send, limits: Headers) -> Send:
    """Every answer says what is left of the limits, whatever else it says."""
    told = [(name.encode("ascii"), text.encode("ascii")) for name, text in limits]

    def telling(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *told]}
        return send(message)

    return telling if told else send


async def _send(answer: Answer, send: Send) -> None:
    headers = [(name.encode("ascii"), text.encode("ascii")) for name, text in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def access_token(scope: Scope) -> AccessToken:
    """The token of this request; LookupError where `BearerTokens` did not check it."""
    token = scope.get(_KEY)
    if not isinstance(token, AccessToken):
        raise LookupError("no access token: BearerTokens is not in front, or the path is public")
    return token


def require(scope: Scope, *names: str) -> AccessToken:
    """The token of this request, if it grants every scope in `names`.

    Raises InsufficientScope, which `BearerTokens` answers with 403 and the names.
    """
    return check_scopes(access_token(scope), names)
