"""Scopes as FastAPI dependencies; `BearerTokens` must be in front of the app.

    app = FastAPI()
    app.add_middleware(BearerTokens, verifier=Verifier(ISSUER, AUDIENCE))

    @app.get("/customers", dependencies=[needs("customers:read")])
    async def customers() -> list[Customer]: ...

Each route shows its scopes in the app's OpenAPI document, from which
`hourpass scopes import-openapi` makes a catalogue.
"""

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.params import Security
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from hourpass.resource_server.asgi import require
from hourpass.resource_server.claims import AccessToken


def needs(*scopes: str) -> Security:
    """A dependency that asks for every one of `scopes` and gives the `AccessToken`.

    For `dependencies=[needs(…)]` of a route, router or app, or as
    `token: Annotated[AccessToken, needs(…)]` for a handler that looks at the token.
    """
    return Security(_access_token, scopes=scopes)


class _AccessToken(SecurityBase):
    """The security scheme in the OpenAPI document (a Bearer token, RFC 6750)."""

    scheme_name = "access_token"
    model = HTTPBearer(
        bearerFormat="at+jwt",
        description="An access token of an API client; it must grant the scopes listed.",
    )

    async def __call__(self, request: Request, required: SecurityScopes) -> AccessToken:
        return require(request.scope, *required.scopes)


_access_token = _AccessToken()
