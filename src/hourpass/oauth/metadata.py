"""Metadata of authorization servers (RFC 8414) and of APIs (RFC 9728): what, and where."""

from collections.abc import Iterable
from urllib.parse import urlsplit

WELL_KNOWN = "/.well-known/oauth-authorization-server"
WELL_KNOWN_RESOURCE = "/.well-known/oauth-protected-resource"
_METHODS = ["client_secret_basic", "client_secret_post"]


def document(issuer: str) -> dict[str, object]:
    """The metadata of an Hourpass server (RFC 8414 section 2).

    `response_types_supported` is empty and there is an `authorization_endpoint` all the same:
    common SDKs refuse metadata without one.
    """
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": _METHODS,
        "introspection_endpoint": f"{issuer}/introspect",
        "introspection_endpoint_auth_methods_supported": _METHODS,
        "revocation_endpoint": f"{issuer}/revoke",
        "revocation_endpoint_auth_methods_supported": _METHODS,
    }


def locations(issuer: str) -> tuple[str, ...]:
    """The URLs where the metadata of `issuer` may be found, the standard's form first.

    RFC 8414 section 3.1 inserts the well-known path between host and path of the issuer;
    many programs append it instead, so both are served.
    """
    parts = urlsplit(issuer)
    if parts.path in ("", "/"):
        return (f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}",)
    inserted = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"
    return (inserted, issuer.rstrip("/") + WELL_KNOWN)


def resource_document(resource: str, issuer: str, scopes: Iterable[str]) -> dict[str, object]:
    """The metadata of the API `resource`, whose tokens `issuer` issues (RFC 9728 section 2)."""
    document: dict[str, object] = {
        "resource": resource,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
    }
    names = sorted(scopes)
    if names:
        document["scopes_supported"] = names
    return document


def resource_location(resource: str) -> str:
    """The URL of an API's metadata (RFC 9728 section 3.1): the well-known path is inserted.

    Raises ValueError for a `resource` that is no http or https URL.
    """
    parts = urlsplit(resource)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.fragment:
        raise ValueError(
            f"metadata needs an audience that is a URL: {resource!r} is no http or https URL"
        )
    path = "" if parts.path == "/" else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN_RESOURCE}{path}{query}"
