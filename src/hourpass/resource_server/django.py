"""Access tokens and scopes for Django: a middleware and a decorator of views.

    # settings.py
    MIDDLEWARE = ["hourpass.resource_server.django.BearerTokens", ...]
    HOURPASS = {"ISSUER": "https://auth.example.com", "AUDIENCE": "https://api.example.com"}

    # views.py
    @needs("customers:read")
    def customers(request): ...

`HOURPASS` may also have `PUBLIC`, `REALM`, `METADATA`, `JWKS_URI`, and `CATALOGUE` with `API`
for grants: the words of `ProtectedResource`, `Verifier` and `catalogue_grants`.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from hourpass.oauth.bearer import Answer
from hourpass.oauth.errors import InsufficientScope, InvalidToken
from hourpass.resource_server import targets
from hourpass.resource_server.catalogue import catalogue_grants
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.protected_resource import ProtectedResource, check_scopes
from hourpass.resource_server.verifier import Verifier

_SETTINGS = frozenset(
    ("ISSUER", "AUDIENCE", "JWKS_URI", "PUBLIC", "REALM", "METADATA", "CATALOGUE", "API")
)
_ATTRIBUTE = "_hourpass_access_token"
_P = ParamSpec("_P")
_R = TypeVar("_R")
_REFUSALS = (InvalidToken, InsufficientScope, KeysUnavailable)


@lru_cache(maxsize=1)
def protected_resource() -> ProtectedResource:
    """The API that the setting `HOURPASS` describes, made once for a process.

    Raises ImproperlyConfigured for a setting that is missing, unknown or unusable.
    """
    given: dict[str, Any] = dict(getattr(settings, "HOURPASS", {}))
    unknown = sorted(given.keys() - _SETTINGS)
    missing = [name for name in ("ISSUER", "AUDIENCE") if not given.get(name)]
    if unknown or missing:
        fault = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown"
        raise ImproperlyConfigured(f"the setting HOURPASS: {fault}")
    try:
        grants = None
        if "CATALOGUE" in given:
            grants = catalogue_grants(given["CATALOGUE"], api=given.get("API"))
        return ProtectedResource(
            Verifier(given["ISSUER"], given["AUDIENCE"], jwks_uri=given.get("JWKS_URI")),
            public=given.get("PUBLIC", ()),
            realm=given.get("REALM"),
            grants=grants,
            metadata=given.get("METADATA", False),
        )
    except (ValueError, TypeError) as fault:
        raise ImproperlyConfigured(f"the setting HOURPASS: {fault}") from fault


class BearerTokens:
    """Django middleware: 401 without a valid access token, 403 for what it or `needs` refuses.

    It belongs first, but for middleware that answers a preflight request (CORS).
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._resource = protected_resource()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serve one request."""
        if self._is_async:
            return self._serve_async(request)
        early = self._document(request)
        if early is not None:
            return early
        if not self._resource.is_public(request.path):
            try:
                token = self._resource.admit(*parts(request))
            except _REFUSALS as refusal:
                return _respond(self._resource.refuse(refusal), request)
            setattr(request, _ATTRIBUTE, token)
        return self._get_response(request)

    async def _serve_async(self, request: HttpRequest) -> HttpResponse:
        early = self._document(request)
        if early is not None:
            return early
        if not self._resource.is_public(request.path):
            try:
                token = await self._resource.admit_async(*parts(request))
            except _REFUSALS as refusal:
                return _respond(self._resource.refuse(refusal), request)
            setattr(request, _ATTRIBUTE, token)
        return await self._get_response(request)

    def _document(self, request: HttpRequest) -> HttpResponse | None:
        document = self._resource.document(request.method, request.path)
        return None if document is None else _respond(document, request)

    def process_exception(self, request: HttpRequest, fault: Exception) -> HttpResponse | None:
        """What `needs` refuses; all other exceptions of views are not ours."""
        if isinstance(fault, InsufficientScope):
            return _respond(self._resource.refuse(fault), request)
        return None


def needs(*scopes: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Have a view ask for every one of `scopes`.

    For functions and coroutines whose first argument is the request; for class-based views
    use Django's `method_decorator`. The call raises InsufficientScope, which `BearerTokens`
    answers.
    """

    def decorate(view: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(view)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            check_scopes(access_token(_request(args)), scopes)
            return view(*args, **kwargs)

        # Django awaits what a coroutine function gives, if it is told that it is one.
        return markcoroutinefunction(checked) if iscoroutinefunction(view) else checked

    return decorate


def access_token(request: HttpRequest) -> AccessToken:
    """The token of this request; LookupError where `BearerTokens` did not check it."""
    token = getattr(request, _ATTRIBUTE, None)
    if not isinstance(token, AccessToken):
        raise LookupError("no access token: BearerTokens is no middleware, or the path is public")
    return token


def _request(arguments: tuple[Any, ...]) -> HttpRequest:
    if arguments and isinstance(arguments[0], HttpRequest):
        return arguments[0]
    raise TypeError("needs() is for views, whose first argument is the request")


def parts(request: HttpRequest) -> tuple[list[str], str, str]:
    """What `ProtectedResource.admit` wants to know of a request.

    The method is in the case in which it was received: Django shows it in capitals.
    """
    value = request.META.get("HTTP_AUTHORIZATION")
    authorization = [] if value is None else [value]
    scope = getattr(request, "scope", None)
    if scope is not None:
        return authorization, scope["method"], targets.of_asgi(scope)
    target = targets.of_django(request.META)
    return authorization, request.META["REQUEST_METHOD"], target


def _respond(answer: Answer, request: HttpRequest) -> HttpResponse:
    body = b"" if request.method == "HEAD" else answer.body
    return HttpResponse(body, status=answer.status, headers=dict(answer.headers))
