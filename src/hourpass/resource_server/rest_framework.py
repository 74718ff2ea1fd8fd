"""Access tokens and scopes for Django REST framework.

    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "hourpass.resource_server.rest_framework.BearerAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    }

    class Customers(APIView):
        permission_classes = [needs("customers:read")]

The issuer and the audience are in the setting `HOURPASS` of `hourpass.resource_server.django`.
A view without any permission class is open to everybody: that is the framework's default.
"""

from dataclasses import dataclass
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from hourpass.oauth.bearer import MissingToken
from hourpass.oauth.errors import InsufficientScope, InvalidToken, OAuthError
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.django import parts, protected_resource
from hourpass.resource_server.jwks import COOLDOWN_SECONDS, KeysUnavailable
from hourpass.resource_server.protected_resource import check_scopes


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
        """Raises an exception that has the answer of RFC 6750 for a bad token."""
        try:
            token = protected_resource().admit(*parts(request._request))
        except MissingToken:
            return None
        except (InvalidToken, InsufficientScope, KeysUnavailable) as refusal:
            raise _Refused(refusal) from refusal
        return ApiClient(token), token

    def authenticate_header(self, request: Request) -> str:
        """The challenge for a request without a token."""
        return _challenge(MissingToken()) or ""


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
        challenge = _challenge(refusal)
        if challenge is not None:
            self.auth_header = challenge
        else:
            self.wait = COOLDOWN_SECONDS


def _challenge(refusal: OAuthError) -> str | None:
    answer = protected_resource().refuse(refusal)
    return dict(answer.headers).get("www-authenticate")
