"""Whom a 405 sends away it tells the methods that are served, all of them and no other."""

import pytest

from hourpass.server import routes
from hourpass.server.admin.pages import ALL
from hourpass.server.admin.routing import find
from support.installation import Server

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ANY_METHOD = {"/verify"}  # a proxy asks it about any


@pytest.mark.parametrize("path", [*routes._ENDPOINTS, "/api/v1/openapi.json", "/api/v1/apis"])
@pytest.mark.spec("RFC 9110", "15.5.6", "generate an Allow header field in a 405 response")
def test_allow_is_what_is_served(shared_server: Server, path: str) -> None:
    """Each method is tried."""
    answers = {method: shared_server.http.request(method, path) for method in METHODS}

    refused = {method: answer for method, answer in answers.items() if answer.status_code == 405}
    allowed = {frozenset(answer.headers["allow"].split(", ")) for answer in refused.values()}
    if path in _ANY_METHOD:
        assert refused == {}
    else:
        assert allowed == {frozenset(METHODS).difference(refused)}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/admin/audit", {"GET", "HEAD"}),
        ("/admin/clients/new", {"GET", "HEAD", "POST"}),
        ("/admin/sign-out", {"POST"}),
    ],
)
def test_a_page_names_its_methods(path: str, allowed: set[str]) -> None:
    """HEAD as well, where a page is to be looked at."""
    assert find(ALL, "PUT", path) == (None, {}, allowed)
