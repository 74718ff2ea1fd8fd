"""Access tokens and scopes for Django: a middleware and a decorator of views.

    # settings.py
    MIDDLEWARE = ["hourpass.resource_server.django.BearerTokens", ...]
    HOURPASS = {"ISSUER": "https://auth.example.com", "AUDIENCE": "https://api.example.com"}

    # views.py
    @needs("customers:read")
    def customers(request): ...

`HOURPASS` may also have `PUBLIC`, `REALM`, `METADATA`, `JWKS_URI`, `LIMITS`, `LIMITS_URL`, and
`CATALOGUE` with `API` for grants: the words of `ProtectedResource`, `Verifier` and
`catalogue_grants`.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse

from hourpass.limits.rules import Headers
from hourpass.oauth.bearer import Answer
from hourpass.oauth.errors import InsufficientScope, InvalidToken, RateLimited
from hourpass.resource_server import targets
from hourpass.resource_server.catalogue import catalogue_grants
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.protected_resource import ProtectedResource, check_scopes
from hourpass.resource_server.verifier import Verifier

_NEEDED = ("ISSUER", "AUDIENCE")
_SETTINGS = (
    *_NEEDED,
    *("JWKS_URI", "PUBLIC", "REALM", "METADATA", "CATALOGUE", "API", "LIMITS", "LIMITS_URL"),
)
_ATTRIBUTE = "_hourpass_access_token"
_P = ParamSpec("_P")
_R = TypeVar("_R")
_REFUSALS = (InvalidToken, InsufficientScope, KeysUnavailable, RateLimited)


@lru_cache(maxsize=1)
def protected_resource() -> ProtectedResource:
    """The API that the setting `HOURPASS` describes, made once for a process.

    Raises ImproperlyConfigured, which names every member that is missing, unknown or without
    another that it needs; else the first that cannot be used.
    """
    given: Mapping[str, Any] = getattr(settings, "HOURPASS", {})
    faults = list(_faults(given))
    if faults:
        raise ImproperlyConfigured(f"the setting HOURPASS: {'; '.join(faults)}")
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
            limits=given.get("LIMITS"),
            limits_url=given.get("LIMITS_URL"),
        )
    except (ValueError, TypeError) as fault:
        raise ImproperlyConfigured(f"the setting HOURPASS: {fault}") from fault


def _forget(*, setting: str, **_: object) -> None:
    """For a project's tests, which put other settings in place for a while."""
    if setting == "HOURPASS":
        protected_resource.cache_clear()


setting_changed.connect(_forget)


def _faults(given: object) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield "it has to be a dict with ISSUER and AUDIENCE"
        return
    missing = [name for name in _NEEDED if not given.get(name)]
    if missing:
        yield f"{', '.join(missing)} missing"
    unknown = sorted(str(name) for name in given if name not in _SETTINGS)
    if unknown:
        yield f"{', '.join(unknown)} unknown (there are {', '.join(_SETTINGS)})"
    if "CATALOGUE" in given and not given["CATALOGUE"]:
        yield "CATALOGUE is empty: name the file"
    for name, other in (("API", "CATALOGUE"), ("LIMITS_URL", "LIMITS")):
        if given.get(name) and given.get(other) is None:
            yield f"{name} needs {other}"
    if getattr(given.get("LIMITS"), "scopes", None) and "CATALOGUE" not in given:
        yield "LIMITS of scopes need CATALOGUE, whose grants say what a scope grants"


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
        if self._resource.is_public(request.path):
            return self._get_response(request)
        sent = parts(request)
        try:
            token = self._resource.admit(*sent)
            limits = self._resource.limit(token, *sent[1:])
        except _REFUSALS as refusal:
            return _respond(self._resource.refuse(refusal), request)
        setattr(request, _ATTRIBUTE, token)
        return _telling(self._get_response(request), limits)

    async def _serve_async(self, request: HttpRequest) -> HttpResponse:
        early = self._document(request)
        if early is not None:
            return early
        if self._resource.is_public(request.path):
            return await self._get_response(request)
        sent = parts(request)
        try:
            token = await self._resource.admit_async(*sent)
            limits = await self._resource.limit_async(token, *sent[1:])
        except _REFUSALS as refusal:
            return _respond(self._resource.refuse(refusal), request)
        setattr(request, _ATTRIBUTE, token)
        return _telling(await self._get_response(request), limits)

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


def is_admitted(request: HttpRequest) -> bool:
    """Whether `BearerTokens` let this request in by its token, and so has counted it."""
    return hasattr(request, _ATTRIBUTE)


def _request(arguments: tuple[Any, ...]) -> HttpRequest:
    if arguments and isinstance(arguments[0], HttpRequest):
        return arguments[0]
    raise TypeError(
        "needs() is for views, whose first argument is the request; for a class-based view write"
        " @method_decorator(needs(...), name='dispatch')"
    )


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


def _telling(response: HttpResponse, limits: Headers) -> HttpResponse:
    """Every answer says what is left of the limits, whatever else it says."""
    for name, text in limits:
        response[name] = text
    return response


def _respond(answer: Answer, request: HttpRequest) -> HttpResponse:
    body = b"" if request.method == "HEAD" else answer.body
    return HttpResponse(body, status=answer.status, headers=dict(answer.headers))
