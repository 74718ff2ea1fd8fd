"""What a caller may know about a token (RFC 7662). Pure."""

from hourpass.oauth import scope as scope_syntax
from hourpass.server.catalogue.model import INTROSPECT_PREFIX, Catalogue
from hourpass.server.clients.model import Client
from hourpass.server.tokens.claims import Claims

INACTIVE: dict[str, object] = {"active": False}


def answer(caller: Client, claims: Claims, catalogue: Catalogue, issuer: str) -> dict[str, object]:
    """The members of the answer (RFC 7662 section 2.2), for a token that may be honoured.

    Of a token for several APIs the caller learns the part of those that it may ask about.
    Anything else is INACTIVE and nothing more: not whether the token is another API's.
    """
    shown = {
        api.identifier: {scope.name for scope in api.scopes}
        for api in catalogue.apis
        if INTROSPECT_PREFIX + api.key in caller.scopes and api.identifier in claims.audiences
    }
    if not shown:
        return INACTIVE
    audiences = sorted(shown)
    return {
        "active": True,
        "scope": scope_syntax.join(claims.scopes & set().union(*shown.values())),
        "client_id": claims.client_id,
        "token_type": "Bearer",
        "exp": int(claims.expires_at),
        "iat": int(claims.issued_at),
        "sub": claims.client_id,
        "aud": audiences[0] if len(audiences) == 1 else audiences,
        "iss": issuer,
        "jti": claims.jti,
        "org_id": claims.organization,
    }
