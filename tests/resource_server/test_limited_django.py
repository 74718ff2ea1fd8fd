"""`LIMITS` of the Django middleware and of Django REST framework: as the other doors have them."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import re_path
from django_app import BY_SCOPES, MIDDLEWARE, REST_FRAMEWORK, echo, echo_async, project
from door_apps import catalogue, issuer

from hourpass.resource_server import PerMinute, Verifier, catalogue_limits
from hourpass.resource_server import asgi as asgi_door
from hourpass.resource_server import django as django_door
from hourpass.resource_server import flask as flask_door
from hourpass.resource_server import wsgi as wsgi_door
from hourpass.resource_server.protected_resource import ProtectedResource
from support.door_tokens import AUDIENCE, Tokens
from support.valkey import Valkey

BOOKINGS, CUSTOMERS = "/customer/7/bookings", "/customers"
TOLD = ("ratelimit-policy", "ratelimit", "retry-after", "www-authenticate")
Get = Callable[..., HttpResponse]


def in_threads(token: str, path: str = CUSTOMERS) -> HttpResponse:
    """Django's own client, under WSGI."""
    return Client().get(path, headers={"Authorization": f"Bearer {token}"})


def in_coroutines(token: str, path: str = CUSTOMERS) -> HttpResponse:
    """The same under ASGI."""

    async def get() -> HttpResponse:
        return await AsyncClient().get(path, headers={"Authorization": f"Bearer {token}"})

    return asyncio.run(get())


DOORS: dict[str, tuple[Get, dict[str, Any]]] = {
    "wsgi": (in_threads, {"urls": [*BY_SCOPES, re_path("^", echo)], "middleware": MIDDLEWARE}),
    "asgi": (
        in_coroutines,
        {"urls": [*BY_SCOPES, re_path("^", echo_async)], "middleware": MIDDLEWARE},
    ),
    "rest framework": (in_threads, {"urls": REST_FRAMEWORK, "middleware": []}),
    "rest framework behind it": (in_threads, {"urls": REST_FRAMEWORK, "middleware": MIDDLEWARE}),
}


@pytest.fixture(scope="module")
def trust() -> Iterator[tuple[Verifier, Tokens]]:
    """A verifier, and tokens for it."""
    with issuer() as both:
        yield both


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> tuple[Get, dict[str, Any]]:
    """How it is asked, and the project that it is in."""
    return DOORS[request.param]


def test_the_answers_are_those_of_the_other_doors(
    door: tuple[Get, dict[str, Any]], trust: tuple[Verifier, Tokens]
) -> None:
    """Status, headers and refusal; another client goes on."""
    get, place = door
    verifier, tokens = trust
    limits = PerMinute(api=2, clients={"m2m_small": 1})
    plain = wsgi_door.BearerTokens(_hello, verifier, limits=limits)
    small = tokens.token(client_id="m2m_small", sub="m2m_small")
    asked = [tokens.good, tokens.good, tokens.good, small, small]

    with (
        project(**place, ISSUER=verifier.issuer, AUDIENCE=AUDIENCE, LIMITS=limits),
        httpx.Client(transport=httpx.WSGITransport(app=plain), base_url="http://api") as client,
    ):
        ours = [get(token) for token in asked]
        theirs = [client.get("/", headers={"Authorization": f"Bearer {it}"}) for it in asked]

    assert [it.status_code for it in ours] == [200, 200, 429, 200, 429]
    assert [it.status_code for it in theirs] == [it.status_code for it in ours]
    for one, other in zip(ours, theirs, strict=True):
        assert [_steady(one.get(name)) for name in TOLD] == [
            _steady(other.headers.get(name)) for name in TOLD
        ]
    assert ours[2].json() == theirs[2].json()


def test_what_the_door_refuses_costs_nothing(
    door: tuple[Get, dict[str, Any]], trust: tuple[Verifier, Tokens], tmp_path: Path
) -> None:
    """No token, or no grant; what a view refuses was let in. Limits of scopes go by the grants."""
    get, place = door
    verifier, tokens = trust
    hourpass: dict[str, Any] = {"ISSUER": verifier.issuer, "AUDIENCE": AUDIENCE}
    both = tokens.token(scope="customers:read bookings:read")
    by_grants: dict[str, Any] = {
        "CATALOGUE": catalogue(tmp_path),
        "API": "bookings",
        "LIMITS": PerMinute(api=3, scopes={"bookings:read": 1}),
    }

    with project(**place, **hourpass, **by_grants):
        assert get("nonsense").status_code == 401
        assert get(both, "/nowhere").status_code == 403
        assert [get(both, BOOKINGS).status_code for _ in range(3)] == [200, 429, 429]
        last = [get(both) for _ in range(3)]
    assert [it.status_code for it in last] == [200, 200, 429]
    assert '"client";r=1' in last[0]["RateLimit"]

    with project(**place, **hourpass, LIMITS=PerMinute(api=2)):
        denied = get(tokens.token(scope="customers:read"), BOOKINGS)
        left = [get(both).status_code for _ in range(2)]
    assert denied.status_code == 403
    assert denied["RateLimit"].startswith('"client";r=1')
    assert 'error="insufficient_scope"' in denied["WWW-Authenticate"]
    assert left == [200, 429]


def test_without_limits_there_is_no_header(
    door: tuple[Get, dict[str, Any]], trust: tuple[Verifier, Tokens]
) -> None:
    """Nor for a client that has none."""
    get, place = door
    verifier, tokens = trust
    hourpass: dict[str, Any] = {"ISSUER": verifier.issuer, "AUDIENCE": AUDIENCE}
    for limits in (None, PerMinute(), PerMinute(clients={"another": 1})):
        with project(**place, **hourpass, LIMITS=limits):
            answer = get(tokens.good)
        assert answer.status_code == 200
        assert "RateLimit" not in answer


def test_a_public_path_is_not_counted(trust: tuple[Verifier, Tokens]) -> None:
    """Nobody knows whose request it is."""
    verifier, tokens = trust
    urls = [re_path("^health$", lambda _: HttpResponse("ok")), re_path("^", echo)]
    hourpass = {"ISSUER": verifier.issuer, "AUDIENCE": AUDIENCE, "PUBLIC": ["/health"]}
    with project(urls, middleware=MIDDLEWARE, **hourpass, LIMITS=PerMinute(api=1)):
        answers = [in_threads(tokens.good, "/health") for _ in range(3)]
        assert in_threads(tokens.good).status_code == 200
    assert [it.status_code for it in answers] == [200] * 3
    assert "RateLimit" not in answers[0]


def test_django_and_another_door_hold_one_limit_in_a_store(
    trust: tuple[Verifier, Tokens], tmp_path: Path
) -> None:
    """`LIMITS_URL` names it; the limits are those of the catalogue's file."""
    store = Valkey(tmp_path)
    verifier, tokens = trust
    file = catalogue(tmp_path)
    file.write_text(file.read_text().replace('"Bookings API"', '"B"\nlimit_per_minute = 3'))
    limits = catalogue_limits(file, api="bookings")
    plain = wsgi_door.BearerTokens(_hello, verifier, limits=limits, limits_url=store.url)
    headers = {"Authorization": f"Bearer {tokens.good}"}
    hourpass = {"LIMITS": limits, "LIMITS_URL": store.url, "AUDIENCE": AUDIENCE}
    try:
        with (
            project(
                [re_path("^", echo)], middleware=MIDDLEWARE, ISSUER=verifier.issuer, **hourpass
            ),
            httpx.Client(transport=httpx.WSGITransport(app=plain), base_url="http://api") as client,
        ):
            told = []
            for _ in range(2):
                told.append(in_threads(tokens.good).status_code)
                told.append(client.get("/", headers=headers).status_code)
    finally:
        store.kill()
    assert told == [200, 200, 200, 429]


def test_every_door_has_every_setting() -> None:
    """The same keywords in the same order; Django has their words in capitals."""

    def settings(door: Callable[..., Any]) -> list[inspect.Parameter]:
        parameters = inspect.signature(door).parameters.values()
        return [it for it in parameters if it.kind is inspect.Parameter.KEYWORD_ONLY]

    expected = settings(ProtectedResource)
    assert expected
    for door in (asgi_door.BearerTokens, wsgi_door.BearerTokens, flask_door.protect):
        assert settings(door) == expected
    # A project names the catalogue's file instead of giving its grants.
    words = {"CATALOGUE" if it.name == "grants" else it.name.upper() for it in expected}
    assert words <= set(django_door._SETTINGS)


def _hello(environ: wsgi_door.Environ, start: wsgi_door.StartResponse) -> list[bytes]:
    start("200 OK", [])
    return [b"hello"]


def _steady(value: str | None) -> str | None:
    """Without the seconds that are left of a window."""
    if value is None or value.isdigit():
        return None if value is None else "seconds"
    return value.partition(";t=")[0]
