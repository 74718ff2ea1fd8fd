"""`BearerTokens` in front of apps, and `require` and `needs` inside them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from local_issuer import AUDIENCE, JWKS, Clock, LocalIssuer, settle, status

from hourpass.oauth.errors import InsufficientScope, InvalidClient
from hourpass.resource_server import AccessToken, Verifier
from hourpass.resource_server.asgi import (
    ASGIApp,
    BearerTokens,
    Message,
    Receive,
    Scope,
    Send,
    access_token,
    require,
)
from hourpass.resource_server.fastapi import needs


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    """An issuer that publishes one key."""
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def verifier(issuer: LocalIssuer) -> Verifier:
    """The verifier of the API under test."""
    return issuer.verifier(Clock())


def get(
    app: ASGIApp, path: str = "/customers", *authorization: str, method: str = "GET"
) -> httpx.Response:
    """One request; `authorization` are as many headers."""

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            headers = [("Authorization", value) for value in authorization]
            return await client.request(method, path, headers=headers)

    return asyncio.run(request())


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    """A raw ASGI app that needs a scope, and answers with the client's ID."""
    token = require(scope, "customers:read")
    body = token.client_id.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that no request of the test may reach."""
    raise AssertionError(f"{scope['type']} came through")


def test_a_good_token_opens_the_app(issuer: LocalIssuer, verifier: Verifier) -> None:
    """The handler sees who calls."""
    answer = get(BearerTokens(greet, verifier), "/", f"Bearer {issuer.token()}")

    assert answer.status_code == 200
    assert answer.text == issuer.claims()["client_id"]


@pytest.mark.spec("RFC 6750", "3", "a request without a token gets 401 and a challenge")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_no_token_is_401_whatever_the_method(verifier: Verifier, method: str) -> None:
    """The app is not reached."""
    answer = get(BearerTokens(unreachable, verifier), method=method)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer realm="{AUDIENCE}"'
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.spec("RFC 6750", "3.1", "invalid_token is 401")
def test_a_bad_token_is_401_and_says_so(
    issuer: LocalIssuer, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller reads what is wrong, the log has the detail and neither has the token."""
    caplog.set_level(logging.INFO, "hourpass.resource_server")
    token = issuer.token(aud="https://other.example.com")

    answer = get(BearerTokens(unreachable, verifier), "/", f"Bearer {token}")

    assert answer.status_code == 401
    assert answer.json() == {
        "error": "invalid_token",
        "error_description": "the access token is for another API; request one for this API",
    }
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert f"aud is 'https://other.example.com'; this API is {AUDIENCE}" in caplog.text
    assert "https://other.example.com" not in answer.text
    assert token not in caplog.text


def test_two_authorization_headers_are_401(issuer: LocalIssuer, verifier: Verifier) -> None:
    """Even when both hold the same good token."""
    credentials = f"Bearer {issuer.token()}"

    answer = get(BearerTokens(unreachable, verifier), "/", credentials, credentials)

    assert answer.status_code == 401


def test_a_header_name_in_capitals_counts_too(issuer: LocalIssuer, verifier: Verifier) -> None:
    """A server that does not lower its names must not hide the second header."""
    credentials = f"Bearer {issuer.token()}".encode()
    headers = [(b"authorization", credentials), (b"Authorization", credentials)]
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    asyncio.run(_await(BearerTokens(unreachable, verifier)(scope, receive, send)))

    assert sent[0]["status"] == 401


@pytest.mark.spec("RFC 6750", "2.3", "a token in the URL should not be used: here it is not")
def test_a_token_in_the_query_is_not_looked_at(issuer: LocalIssuer, verifier: Verifier) -> None:
    """URLs end up in logs."""
    app = BearerTokens(unreachable, verifier)

    assert get(app, f"/?access_token={issuer.token()}").status_code == 401


@pytest.mark.spec("RFC 6750", "3.1", "insufficient_scope is 403 and names the scope")
def test_a_missing_scope_is_403_and_names_it(issuer: LocalIssuer, verifier: Verifier) -> None:
    """Scopes are compared whole and with case."""
    app = BearerTokens(greet, verifier)

    for scope in (
        "profile:write",
        "customers:readx customers:rea",
        "Customers:Read",
        "customers:*",
    ):
        answer = get(app, "/", f"Bearer {issuer.token(scope=scope)}")

        assert answer.status_code == 403
        assert answer.json()["error"] == "insufficient_scope"
        assert 'scope="customers:read"' in answer.headers["www-authenticate"]


def test_unreadable_keys_are_503(issuer: LocalIssuer) -> None:
    """Not 401: a client that asks for a new token would gain nothing."""
    lost = Verifier("http://127.0.0.1:1", AUDIENCE)

    answer = get(BearerTokens(unreachable, lost), "/", f"Bearer {issuer.token()}")

    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    assert answer.headers["retry-after"] == "10"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/health?x=1", "/%68ealth"])
def test_a_public_path_needs_no_token(verifier: Verifier, path: str) -> None:
    """The path as the app sees it, without the query."""

    async def healthy(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert get(BearerTokens(healthy, verifier, public=["/health"]), path).status_code == 204


@pytest.mark.parametrize("path", ["/health/", "/healthx", "//health", "/Health", "/health/../x"])
def test_a_public_path_is_exact(verifier: Verifier, path: str) -> None:
    """A prefix or another spelling is not public."""
    app = BearerTokens(unreachable, verifier, public=["/health"])

    assert get(app, path).status_code == 401


def test_public_paths_are_not_one_string(verifier: Verifier) -> None:
    """Taken letter by letter it would open `/`."""
    with pytest.raises(TypeError):
        BearerTokens(unreachable, verifier, public="/health")


def test_a_token_for_an_outer_api_is_none_for_an_inner_one(
    issuer: LocalIssuer, verifier: Verifier
) -> None:
    """A public path inside has no token, although the door outside has checked one."""
    inner = BearerTokens(greet, Verifier(issuer.url, "another API"), public=["/inner"])

    with pytest.raises(LookupError):
        get(BearerTokens(inner, verifier), "/inner", f"Bearer {issuer.token()}")


def _connect(app: ASGIApp, kind: str) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": f"{kind}.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(_await(app({"type": kind, "path": "/", "headers": []}, receive, send)))
    return sent


async def _await(answer: Awaitable[None]) -> None:
    await answer


def test_a_websocket_is_refused(verifier: Verifier) -> None:
    """Closed before it was accepted, also on a public path."""
    sent = _connect(BearerTokens(unreachable, verifier, public=["/"]), "websocket")

    assert [message["type"] for message in sent] == ["websocket.close"]


def test_what_is_unknown_does_not_pass(verifier: Verifier) -> None:
    """A kind of connection that came later than this check."""
    with pytest.raises(ValueError, match="webtransport"):
        _connect(BearerTokens(unreachable, verifier), "webtransport")


def test_the_lifespan_passes(verifier: Verifier) -> None:
    """It is the server's own call."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    _connect(BearerTokens(app, verifier), "lifespan")

    assert seen == ["lifespan"]


def test_a_refusal_after_the_answer_began_is_not_hidden(
    issuer: LocalIssuer, verifier: Verifier
) -> None:
    """A second answer cannot be sent: the error goes up to the server."""

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        require(scope, "notes:read")

    with pytest.raises(InsufficientScope):
        get(BearerTokens(late, verifier), "/", f"Bearer {issuer.token()}")


def test_other_errors_of_the_app_are_its_own(issuer: LocalIssuer, verifier: Verifier) -> None:
    """The app's own failed token request does not become its caller's 401."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise InvalidClient

    with pytest.raises(InvalidClient):
        get(BearerTokens(failing, verifier), "/", f"Bearer {issuer.token()}")


def test_a_handler_without_the_check_in_front_fails_closed() -> None:
    """No token was checked, so none is made up; a stranger's value is not taken for one."""
    for scope in ({}, {"hourpass.access_token": {"client_id": "m2m_x"}}):
        with pytest.raises(LookupError):
            access_token(scope)


def _api(verifier: Verifier) -> FastAPI:
    app = FastAPI()
    app.add_middleware(BearerTokens, verifier=verifier, public=("/public",))

    @app.get("/customers", dependencies=[needs("customers:read")])
    async def customers() -> list[str]:
        return ["Amelia"]

    @app.get("/both")
    async def both(token: Annotated[AccessToken, needs("customers:read", "notes:read")]) -> str:
        return token.client_id

    @app.get("/any")
    async def anyone(token: Annotated[AccessToken, needs()]) -> str:
        return token.jti

    @app.get("/public", dependencies=[needs()])
    async def misconfigured() -> None:
        raise AssertionError("a public path has no token to need")

    staff = APIRouter(prefix="/staff", dependencies=[needs("staff:read")])

    @staff.get("/notes", dependencies=[needs("notes:read")])
    def notes() -> str:
        return "notes"

    app.include_router(staff)
    return app


@pytest.mark.parametrize(
    ("path", "scope", "code"),
    [
        ("/customers", "customers:read", 200),
        ("/customers", "notes:read", 403),
        ("/both", "customers:read notes:read", 200),
        ("/both", "customers:read", 403),
        ("/any", "anything", 200),
        ("/staff/notes", "staff:read notes:read", 200),
        ("/staff/notes", "notes:read", 403),
        ("/staff/notes", "staff:read", 403),
        ("/nowhere", "anything", 404),
    ],
)
def test_a_fastapi_route_opens_to_its_scopes(
    issuer: LocalIssuer, verifier: Verifier, path: str, scope: str, code: int
) -> None:
    """All scopes that a route, its router and its parameters need."""
    answer = get(_api(verifier), path, f"Bearer {issuer.token(scope=scope)}")

    assert answer.status_code == code


def test_a_route_that_needs_a_token_on_a_public_path_fails_closed(verifier: Verifier) -> None:
    """A misconfiguration is seen at once and lets nobody in."""
    with pytest.raises(LookupError):
        get(_api(verifier), "/public")


def test_the_apps_catch_all_does_not_swallow_the_403(
    issuer: LocalIssuer, verifier: Verifier
) -> None:
    """An app that handles every exception itself still refuses in the words of RFC 6750."""
    app = _api(verifier)
    handle: Callable[..., Any] = app.exception_handler(Exception)
    handle(lambda request, error: None)

    answer = get(app, "/customers", f"Bearer {issuer.token(scope='notes:read')}")

    assert answer.status_code == 403


def test_the_openapi_document_lists_the_scopes_of_each_route(verifier: Verifier) -> None:
    """A reader, and a catalogue made from it, see what each operation needs."""
    document = _api(verifier).openapi()
    security = {
        path: operation["get"].get("security") for path, operation in document["paths"].items()
    }

    assert security["/customers"] == [{"access_token": ["customers:read"]}]
    assert security["/both"] == [{"access_token": ["customers:read", "notes:read"]}]
    assert security["/staff/notes"] == [{"access_token": ["staff:read", "notes:read"]}]
    scheme = document["components"]["securitySchemes"]["access_token"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_a_key_outage_after_the_start_does_not_stop_the_api(issuer: LocalIssuer) -> None:
    """Tokens of known keys stay good while the issuer is away."""
    clock = Clock()
    app = BearerTokens(greet, issuer.verifier(clock))
    credentials = f"Bearer {issuer.token()}"
    assert get(app, "/", credentials).status_code == 200
    good, issuer.scripts[JWKS] = issuer.scripts[JWKS], status(500)

    clock.now += 400
    try:
        assert get(app, "/", credentials).status_code == 200
    finally:
        settle()
        issuer.scripts[JWKS] = good
