"""Names of paths: few, whatever somebody asks for, so that they can be labels of metrics."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.server import routes as names
from hourpass.server.app import App
from hourpass.server.routes import Routes
from support.installation import Installation

ISSUERS = ("https://auth.example.com", "https://example.com/auth")
ENDPOINTS = {
    *("token", "introspect", "revoke", "verify", "leaks", "discovery"),
    *("pages", "health", "api", "admin", "none"),
}
TEMPLATES = 20


@pytest.mark.parametrize(
    ("issuer", "path", "template", "endpoint"),
    [
        (ISSUERS[0], "/token", "/token", "token"),
        (ISSUERS[1], "/auth/token", "/token", "token"),
        (ISSUERS[0], "/auth/token", "none", "none"),
        (ISSUERS[0], "/token/", "none", "none"),
        (ISSUERS[0], "/verify/billing/a/b", "/verify/{api}/{path}", "verify"),
        (ISSUERS[1], "/auth/verify/x", "/verify/{api}/{path}", "verify"),
        (ISSUERS[0], "/admin", "/admin/…", "admin"),
        (ISSUERS[0], "/api/v1/clients/x", "/api/v1/…", "api"),
        (
            ISSUERS[1],
            "/.well-known/oauth-authorization-server/auth",
            "/.well-known/oauth-authorization-server",
            "discovery",
        ),
    ],
)
def test_paths_have_the_names_of_their_routes(
    issuer: str, path: str, template: str, endpoint: str
) -> None:
    """With the issuer's path in front and without it."""
    routes = Routes(issuer)

    assert routes.template({"path": path}) == template
    assert routes.endpoint(path) == endpoint


@pytest.mark.parametrize("issuer", ISSUERS)
def test_what_is_served_has_a_name_and_what_has_a_name_is_served(
    issuer: str, tmp_path: Path
) -> None:
    """An endpoint that the names do not know would be counted among the paths that lead nowhere."""
    made = Installation(tmp_path, f"sqlite:///{tmp_path}/hourpass.db", {"HOURPASS_ISSUER": issuer})

    async def served() -> set[str]:
        app = App(made.context)
        await app._live.close()
        return {*app._routes, *app._below}

    paths = asyncio.run(served())
    made.close()

    routes = Routes(issuer)
    assert {path for path in paths if routes.endpoint(path) == names.NO_ROUTE} == set()
    assert {*names._ENDPOINTS, *names._BELOW} <= paths


@given(
    st.sampled_from(ISSUERS),
    st.sampled_from(["", "/", "/verify/", "/admin/", "/api/v1/", "/auth/", "/auth/verify/"]),
    st.text(),
)
def test_no_path_makes_a_name_of_its_own(issuer: str, start: str, rest: str) -> None:
    """Whatever comes behind."""
    routes = Routes(issuer)
    seen.add(routes.template({"path": start + rest}))

    assert routes.endpoint(start + rest) in ENDPOINTS
    assert len(seen) <= TEMPLATES


seen: set[str] = set()
