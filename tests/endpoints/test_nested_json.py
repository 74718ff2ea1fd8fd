"""JSON that nests as deeply as the stack just allows: refused, never a fault of ours."""

import base64
from collections.abc import Callable

import httpx
import pytest

from support.installation import Server

JSON = {"Content-Type": "application/json"}
DEPTHS = range(900, 1001)
Ask = Callable[[Server, bytes], httpx.Response]


def _post(path: str) -> Ask:
    return lambda server, document: server.http.post(path, content=document, headers=JSON)


def _bearer(path: str) -> Ask:
    """The document is what an unsigned token says."""

    def ask(server: Server, document: bytes) -> httpx.Response:
        payload = base64.urlsafe_b64encode(document).rstrip(b"=").decode()
        return server.http.get(path, headers={"Authorization": f"Bearer eyJ9.{payload}.AA"})

    return ask


ROUTES: dict[str, tuple[Ask, int]] = {
    "/token": (_post("/token"), 400),
    "/introspect": (_post("/introspect"), 400),
    "/revoke": (_post("/revoke"), 400),
    "POST /api/v1/clients": (_post("/api/v1/clients"), 400),
    "a token for /api/v1": (_bearer("/api/v1/scopes"), 401),
    "a token for /verify": (_bearer("/verify?api=bookings"), 401),
}


@pytest.mark.spec("threats", "2", "JSON depth; over it 413/400/431")
@pytest.mark.parametrize("route", ROUTES)
def test_no_depth_of_a_document_is_a_fault_of_ours(route: str, shared_server: Server) -> None:
    """With an escape in it, for which it is written again to see whether it can be."""
    ask, status = ROUTES[route]
    answers = {
        depth: ask(shared_server, b"[" * depth + b'"\\u0041"' + b"]" * depth).status_code
        for depth in DEPTHS
    }

    assert answers == dict.fromkeys(DEPTHS, status)


@pytest.mark.spec("threats", "2", "JSON depth; over it 413/400/431")
def test_a_report_may_nest_as_deeply_as_it_likes(server: Server) -> None:
    """What holds no secret is taken like any other, also at the depths that were a fault once."""
    ask = _post("/leaks")
    for depth in range(960, 968):
        assert ask(server, b"[" * depth + b'"\\u0041"' + b"]" * depth).status_code == 202
