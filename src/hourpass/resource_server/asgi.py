"""Access tokens in front of any ASGI app: Starlette, FastAPI, Litestar or none.

`BearerTokens` lets no request pass without a valid token; `require` in a handler then asks
for scopes. A handler that forgets `require` is open to every client of this API, but to no
one else.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from hourpass.oauth.bearer import answer, bearer_token
from hourpass.oauth.errors import InsufficientScope, InvalidToken, OAuthError
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# A key of its own and not `scope["state"]`: a server that shares that mapping between requests
# would hand one caller's token to another.
_KEY = "hourpass.access_token"
_log = logging.getLogger("hourpass.resource_server")


class BearerTokens:
    """ASGI middleware: 401 without a valid access token, 403 for what `require` refuses.

    A CORS middleware belongs outside of it: a preflight request carries no token.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: Verifier,
        *,
        public: Iterable[str] = (),
        realm: str | None = None,
    ) -> None:
        """`public` are exact paths that need no token; `realm` is the audience by default."""
        if isinstance(public, str):
            raise TypeError("public is a collection of paths, not one string")
        self.app = app
        self._verifier = verifier
        self._public = frozenset(public)
        self._realm = verifier.audience if realm is None else realm

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; WebSockets are refused, and so is whatever is yet unknown."""
        match scope["type"]:
            case "lifespan":
                await self.app(scope, receive, send)
            case "http" if scope["path"] in self._public:
                await self.app(scope, receive, send)
            case "http":
                await self._serve(scope, receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
            case other:
                raise ValueError(f"no access token can be checked on {other}")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            credentials = [
                value.decode("latin-1")
                for name, value in scope["headers"]
                if name.lower() == b"authorization"
            ]
            scope[_KEY] = await self._verifier.verify_async(bearer_token(credentials))
        except (InvalidToken, KeysUnavailable) as refusal:
            await self._refuse(refusal, send)
            return
        try:
            await self.app(scope, receive, noting)
        except InsufficientScope as refusal:
            if started:
                raise
            await self._refuse(refusal, send)

    async def _refuse(self, refusal: OAuthError, send: Send) -> None:
        _log.info("%s: %s (%s)", refusal.code, refusal.description, refusal.detail)
        refused = answer(refusal, self._realm)
        headers = [(name.encode("ascii"), text.encode("ascii")) for name, text in refused.headers]
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "http.response.body", "body": refused.body})


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
    token = access_token(scope)
    if not token.scopes.issuperset(names):
        raise InsufficientScope(*names)
    return token
