"""The Starlette decorator and the FastAPI dependency, by the table of cases."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from door_apps import hold, issuer, on_uvicorn, seen
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from hourpass.oauth.grants import Grant, Granted
from hourpass.resource_server import AccessToken, Verifier
from hourpass.resource_server import fastapi as fastapi_door
from hourpass.resource_server.asgi import BearerTokens
from hourpass.resource_server.starlette import access_token, needs
from support.door_cases import Case, cases_for
from support.door_tokens import Tokens


def _echo(request: Request) -> JSONResponse:
    return JSONResponse(seen(access_token(request).client_id, request.url.path))


@needs("customers:read")
def customers(request: Request) -> JSONResponse:
    """A function, which Starlette runs in a thread."""
    return _echo(request)


@needs("bookings:read")
async def bookings(request: Request) -> JSONResponse:
    """A coroutine."""
    await asyncio.sleep(0)
    return _echo(request)


class Profile(HTTPEndpoint):
    """A class whose methods need their own scopes."""

    @needs("profile:write")
    async def put(self, request: Request) -> JSONResponse:
        """A coroutine."""
        return _echo(request)


def starlette_app(verifier: Verifier) -> Starlette:
    """Endpoints of every kind."""
    routes = [
        Route("/customers", customers),
        Route("/customer/{id}/bookings", bookings),
        Route("/customer/{id}/booking/{booking_id}", bookings),
        Route("/customer/{id}/profile", Profile),
    ]
    return Starlette(routes=routes, middleware=[Middleware(BearerTokens, verifier=verifier)])


def fastapi_app(verifier: Verifier) -> FastAPI:
    """The same API with dependencies."""
    app = FastAPI()
    app.add_middleware(BearerTokens, verifier=verifier)
    needs = fastapi_door.needs

    @app.get("/customers")
    def customers(
        request: Request, token: Annotated[AccessToken, needs("customers:read")]
    ) -> dict[str, str]:
        return seen(token.client_id, request.url.path)

    @app.get("/customer/{id}/bookings")
    @app.get("/customer/{id}/booking/{booking_id}")
    async def bookings(
        request: Request, token: Annotated[AccessToken, needs("bookings:read")]
    ) -> dict[str, str]:
        return seen(token.client_id, request.url.path)

    @app.put("/customer/{id}/profile", dependencies=[needs("profile:write")])
    async def profile(request: Request, token: Annotated[AccessToken, needs()]) -> dict[str, str]:
        return seen(token.client_id, request.url.path)

    return app


@pytest.fixture(scope="module")
def doors() -> Iterator[tuple[list[int], Tokens]]:
    """A port for each of the two; tokens for them."""
    with (
        issuer() as (verifier, tokens),
        on_uvicorn(starlette_app(verifier)) as one,
        on_uvicorn(fastapi_app(verifier)) as other,
    ):
        yield [one, other], tokens


@pytest.mark.parametrize("case", cases_for(), ids=lambda case: case.name)
def test_every_request_gets_its_answer(doors: tuple[list[int], Tokens], case: Case) -> None:
    """The table's."""
    ports, tokens = doors
    for port in ports:
        hold(port, case, tokens)


@pytest.mark.parametrize("root_path", ["", "/v1"])
def test_a_mounted_app_is_judged_by_the_whole_path(root_path: str) -> None:
    """The one that the caller sent, and not what is left of it below the mount."""
    grants = Granted({"customers:read": [Grant.parse(f"GET {root_path}/api/customers")]})
    with issuer() as (verifier, tokens):
        inner = BearerTokens(
            Starlette(routes=[Route("/customers", _echo)]), verifier, grants=grants
        )
        outer = Starlette(routes=[Mount("/api", inner)])
        with on_uvicorn(outer, root_path=root_path) as port:
            calls = {
                path: httpx.get(
                    f"http://127.0.0.1:{port}{path}",
                    headers={"Authorization": f"Bearer {tokens.good}"},
                    trust_env=False,
                ).status_code
                for path in ("/api/customers", "/api/%63ustomers", "/api//customers", "/api/x")
            }

    assert calls == {
        "/api/customers": 200,
        "/api/%63ustomers": 200,
        "/api//customers": 403,
        "/api/x": 403,
    }


def test_needs_is_for_endpoints() -> None:
    """A mistake is a clear one."""
    with pytest.raises(TypeError, match="first argument"):
        needs("customers:read")(lambda: None)()


def test_a_decorated_endpoint_keeps_its_name_and_kind() -> None:
    """Starlette looks at both."""
    assert bookings.__name__ == "bookings"
    assert asyncio.iscoroutinefunction(bookings)
    assert not asyncio.iscoroutinefunction(customers)
