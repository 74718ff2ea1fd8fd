"""The Django middleware and its decorator, by the table of cases and beyond it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import re_path
from django_app import BY_GRANTS, BY_SCOPES, MIDDLEWARE, project
from door_apps import (
    behind_wsgiref,
    catalogue,
    hold,
    issuer,
    on_uvicorn,
    on_werkzeug,
    on_wsgiref,
)

from hourpass.oauth.errors import InvalidClient
from hourpass.resource_server import PerMinute
from hourpass.resource_server.django import access_token, needs, protected_resource
from support.door_cases import GRANTS, Case, cases_for
from support.door_tokens import AUDIENCE, Tokens

Doors = tuple[dict[str, int], Tokens]


@pytest.fixture(scope="module")
def by_scopes() -> Iterator[Doors]:
    """Views that name their scopes."""
    with issuer() as (verifier, tokens):
        hourpass = {"ISSUER": verifier.issuer, "AUDIENCE": AUDIENCE}
        with (
            project(BY_SCOPES, middleware=MIDDLEWARE, **hourpass),
            on_wsgiref(WSGIHandler()) as plain,
            on_uvicorn(ASGIHandler()) as asynchronous,
        ):
            yield {"wsgiref": plain, "uvicorn": asynchronous}, tokens


@pytest.mark.parametrize("case", cases_for(), ids=lambda case: case.name)
def test_a_view_that_needs_scopes_gives_every_answer(by_scopes: Doors, case: Case) -> None:
    """The table's, under WSGI and ASGI."""
    ports, tokens = by_scopes
    hold(ports["uvicorn"], case, tokens)
    hold(ports["wsgiref"], behind_wsgiref(case), tokens)


@pytest.fixture(scope="module")
def by_grants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """One view for everything; the catalogue's grants say who may see it."""
    file = catalogue(tmp_path_factory.mktemp("catalogue"))
    with issuer() as (verifier, tokens):
        hourpass = {
            "ISSUER": verifier.issuer,
            "AUDIENCE": AUDIENCE,
            "CATALOGUE": file,
            "API": "bookings",
        }
        with (
            project(BY_GRANTS, middleware=MIDDLEWARE, **hourpass),
            on_wsgiref(WSGIHandler()) as plain,
            on_werkzeug(WSGIHandler()) as raw,
            on_uvicorn(ASGIHandler(), http="h11") as asynchronous,
        ):
            yield {"wsgiref": plain, "werkzeug": raw, "uvicorn": asynchronous}, tokens


@pytest.mark.parametrize("case", cases_for(GRANTS), ids=lambda case: case.name)
def test_the_catalogue_gives_every_answer(by_grants: Doors, case: Case) -> None:
    """The table's, whatever the server tells of the path."""
    ports, tokens = by_grants
    hold(ports["uvicorn"], case, tokens)
    hold(ports["werkzeug"], case, tokens)
    hold(ports["wsgiref"], behind_wsgiref(case), tokens)


@pytest.fixture
def one_view() -> Iterator[Tokens]:
    """A project with one view, called by Django's own test client."""

    async def view(request: HttpRequest) -> HttpResponse:
        match request.path:
            case "/public":
                access_token(request)
            case "/fault":
                raise InvalidClient
        return HttpResponse(access_token(request).jti)

    with issuer() as (verifier, tokens):
        hourpass = {
            "ISSUER": verifier.issuer,
            "AUDIENCE": AUDIENCE,
            "PUBLIC": ["/public"],
            "METADATA": True,
        }
        with project([re_path("^", view)], middleware=MIDDLEWARE, **hourpass):
            yield tokens


def test_a_public_path_has_no_token_to_ask_for(one_view: Tokens) -> None:
    """It is served without one; a view that asks all the same fails closed."""
    with pytest.raises(LookupError):
        Client().get("/public")


def test_other_errors_of_a_view_are_its_own(one_view: Tokens) -> None:
    """The API's own failed token request does not become its caller's 401."""
    with pytest.raises(InvalidClient):
        Client().get("/fault", headers={"Authorization": f"Bearer {one_view.good}"})


@pytest.mark.spec("RFC 9728", "3", "an API's metadata is at a well-known path")
def test_django_serves_the_metadata(one_view: Tokens) -> None:
    """Without a token, and challenges point to it."""
    client = Client()

    document = client.get("/.well-known/oauth-protected-resource")
    refused = client.get("/customers")

    assert document.json() == {
        "resource": AUDIENCE,
        "authorization_servers": [one_view.issuer],
        "bearer_methods_supported": ["header"],
    }
    location = f'resource_metadata="{AUDIENCE}/.well-known/oauth-protected-resource"'
    assert location in refused["WWW-Authenticate"]


GOOD = {"ISSUER": "http://localhost", "AUDIENCE": "a"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({}, "ISSUER, AUDIENCE missing"),
        (
            {"AUDIENCE": "", "Public": []},
            "AUDIENCE missing; Public unknown .there are ISS",
        ),
        ({**GOOD, "ISSUER": "localhost"}, "issuer is no http or https URL"),
        ({**GOOD, "PUBLIC": "/"}, "not one string"),
        ({**GOOD, "PUBLIC": ["health"]}, "a path begins with /"),
        ({**GOOD, "CATALOGUE": "none.toml"}, "none.toml"),
        ({**GOOD, "METADATA": True}, "no http or https"),
        ({**GOOD, "CATALOGUE": None}, "CATALOGUE is empty"),
        ({**GOOD, "API": "bookings"}, "API needs CATALOGUE"),
        ({**GOOD, "LIMITS_URL": "redis://localhost"}, "LIMITS_URL needs LIMITS"),
        ({**GOOD, "LIMITS": {"api": 600}}, "limits has to be PerMinute"),
        ({**GOOD, "LIMITS": PerMinute(scopes={"a:read": 1})}, "LIMITS of scopes need CATALOGUE"),
        ({**GOOD, "LIMITS": PerMinute(api=1), "LIMITS_URL": "redis://"}, "give redis://"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(setting: dict[str, Any], words: str) -> None:
    """When the project starts, not with the first request."""
    with (
        project([], middleware=MIDDLEWARE, **setting),
        pytest.raises(ImproperlyConfigured, match=words),
    ):
        WSGIHandler()


def test_a_setting_that_is_no_dict_is_named() -> None:
    """In words of its own: none of its members can be."""
    with (
        override_settings(HOURPASS="http://localhost"),
        pytest.raises(ImproperlyConfigured, match="HOURPASS: it has to be a dict"),
    ):
        protected_resource()


def test_the_resource_is_made_once() -> None:
    """A process has one set of keys, and one memory of tokens, for all who ask."""
    with project([], middleware=MIDDLEWARE, **GOOD):
        assert protected_resource() is protected_resource()


def test_needs_is_for_views() -> None:
    """A mistake is a clear one."""
    with pytest.raises(TypeError, match="first argument"):
        needs("customers:read")(lambda: None)()
