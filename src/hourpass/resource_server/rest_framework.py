"""Access tokens and scopes for Django REST framework.

    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "hourpass.resource_server.rest_framework.BearerAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    }

    class Customers(APIView):
        permission_classes = [needs("customers:read")]

The issuer, the audience and all else are in the setting `HOURPASS` of
`hourpass.resource_server.django`. A request counts for its `LIMITS` when it is authenticated.
A view without any permission class is open to everybody: that is the framework's default.
"""

from dataclasses import dataclass
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from hourpass.limits.rules import Headers
from hourpass.oauth.bearer import MissingToken
from hourpass.oauth.errors import InsufficientScope, InvalidToken, OAuthError, RateLimited
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.django import is_admitted, parts, protected_resource
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.protected_resource import check_scopes

# A project loads its URLs, and so this, when it is checked or started: there a setting that
# cannot be used is named, and not as a 500 without a word for each request.
protected_resource()


@dataclass(frozen=True, slots=True)
class ApiClient:
    """`request.user`: the API client that sent the token. It is no row of any table."""

    token: AccessToken

    is_authenticated = True
    is_anonymous = False
    is_active = True

    @property
    def pk(self) -> str:
        """The client ID, by which throttles count."""
        return self.token.client_id

    def __str__(self) -> str:
        return self.token.client_id


class BearerAuthentication(BaseAuthentication):  # type: ignore[misc]  # untyped
    """`request.user` is an `ApiClient` and `request.auth` an `AccessToken`.

    Without any Bearer credentials other authentication classes have their turn.
    """

    def authenticate(self, request: Request) -> tuple[ApiClient, AccessToken] | None:
        """Raises an exception that has the answer: of RFC 6750 for a bad token, or 429."""
        resource, sent = protected_resource(), parts(request._request)
        try:
            token = resource.admit(*sent)
            if not is_admitted(request._request):
                _tell(request, resource.limit(token, *sent[1:]))
        except MissingToken:
            return None
        except RateLimited as refusal:
            _tell(request, refusal.headers)
            raise _Refused(refusal) from refusal
        except (InvalidToken, InsufficientScope, KeysUnavailable) as refusal:
            raise _Refused(refusal) from refusal
        return ApiClient(token), token

    def authenticate_header(self, request: Request) -> str:
        """The challenge for a request without a token."""
        return _headers(MissingToken())["www-authenticate"]


def needs(*scopes: str) -> type[BasePermission]:
    """A permission class that asks for every one of `scopes`."""

    class NeedsScopes(BasePermission):  # type: ignore[misc]  # untyped
        def has_permission(self, request: Request, view: Any) -> bool:
            if not isinstance(request.auth, AccessToken):
                return False
            try:
                check_scopes(request.auth, scopes)
            except InsufficientScope as refusal:
                raise _Refused(refusal) from refusal
            return True

    return NeedsScopes


class _Refused(APIException):  # type: ignore[misc]  # untyped
    """A refusal in the framework's form: its handler makes headers of the two attributes.

    No AuthenticationFailed: for that the framework would write a challenge without the error.
    """

    def __init__(self, refusal: OAuthError) -> None:
        self.status_code = refusal.status
        super().__init__({"error": refusal.code, "error_description": refusal.description})
        headers = _headers(refusal)
        if "www-authenticate" in headers:
            self.auth_header = headers["www-authenticate"]
        else:
            self.wait = int(headers["retry-after"])


def _headers(refusal: OAuthError) -> dict[str, str]:
    return dict(protected_resource().refuse(refusal).headers)


def _tell(request: Request, limits: Headers) -> None:
    """The view puts its own headers into whatever it answers, errors too."""
    headers = getattr(request.parser_context.get("view"), "headers", None)
    if headers is not None:
        headers.update(limits)
