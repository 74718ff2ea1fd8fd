"""Names for paths, few enough to be labels of metrics: the template, and the room behind it."""

from urllib.parse import urlsplit

from hourpass.oauth.metadata import WELL_KNOWN
from hourpass.server.endpoints.http import ROUTE, Scope

# What the app serves, by name: a test holds the two together.
_ENDPOINTS = {
    "/token": "token",
    "/introspect": "introspect",
    "/revoke": "revoke",
    "/verify": "verify",
    "/leaks": "leaks",
    WELL_KNOWN: "discovery",
    "/.well-known/jwks.json": "discovery",
    "/": "pages",
    "/authorize": "pages",
    "/healthz": "health",
    "/readyz": "health",
}
_HOT = ("/token", "/introspect", "/verify")
_BELOW = {"/verify/": "verify", "/api/v1/": "api", "/admin/": "admin"}
NO_ROUTE = "none"
NAMES = tuple(dict.fromkeys((*_ENDPOINTS.values(), *_BELOW.values(), NO_ROUTE)))
"""Everything that an endpoint may be named."""


class Routes:
    """Names the routes of one issuer."""

    def __init__(self, issuer: str) -> None:
        self._prefix = prefix = urlsplit(issuer).path
        self.hot = {start + path: _ENDPOINTS[path] for path in _HOT for start in ("", prefix)}
        """By path, the endpoints whose answers say their status in the scope themselves."""

    def endpoint(self, path: str) -> str:
        """Its part of the server; `none` for a path that leads to none."""
        return self._named(path)[1]

    def template(self, scope: Scope) -> str:
        """The path with its variable parts as `{name}`, once the request is answered.

        `/api/v1/…` and `/admin/…` where the path leads to nothing; `none` where no route begins.
        """
        known: str | None = scope.get(ROUTE)
        return known or self._named(scope["path"])[0]

    def _named(self, path: str) -> tuple[str, str]:
        prefix = self._prefix
        if path in _ENDPOINTS:
            return path, _ENDPOINTS[path]
        if prefix and path == WELL_KNOWN + prefix:
            return WELL_KNOWN, _ENDPOINTS[WELL_KNOWN]
        if prefix and path.startswith(prefix + "/"):
            path = path[len(prefix) :]
            if path in _ENDPOINTS:
                return path, _ENDPOINTS[path]
        for start, endpoint in _BELOW.items():
            if path.startswith(start) or path + "/" == start:
                rest = "{api}/{path}" if endpoint == "verify" else "…"
                return start + rest, endpoint
        return NO_ROUTE, NO_ROUTE
