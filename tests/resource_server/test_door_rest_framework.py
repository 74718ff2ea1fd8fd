"""The classes for Django REST framework, by the table of cases and beyond it."""

import importlib
from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, override_settings
from django_app import REST_FRAMEWORK, project
from door_apps import behind_wsgiref, hold, issuer, on_wsgiref

from hourpass.resource_server import rest_framework
from support.door_cases import Case, cases_for
from support.door_tokens import AUDIENCE, Tokens


@pytest.fixture(scope="module")
def door() -> Iterator[tuple[int, Tokens]]:
    """API views that authenticate by themselves, without the middleware."""
    with issuer() as (verifier, tokens):
        hourpass = {"ISSUER": verifier.issuer, "AUDIENCE": AUDIENCE}
        with (
            project(REST_FRAMEWORK, middleware=[], **hourpass),
            on_wsgiref(WSGIHandler()) as port,
        ):
            yield port, tokens


@pytest.mark.parametrize("case", cases_for(), ids=lambda case: case.name)
def test_every_request_gets_its_answer(door: tuple[int, Tokens], case: Case) -> None:
    """The table's, but for Cache-Control, which the framework lets nobody set here."""
    port, tokens = door
    hold(port, behind_wsgiref(case), tokens, may_be_stored=True)


def test_a_setting_that_cannot_be_used_is_named_when_the_urls_are_loaded() -> None:
    """Which a project does when it starts: without the middleware nothing else would look."""
    with (
        override_settings(HOURPASS={"ISSUER": "http://auth.example.com", "AUDIENCE": AUDIENCE}),
        pytest.raises(ImproperlyConfigured, match=r"HOURPASS: issuer .* is plain http"),
    ):
        importlib.reload(rest_framework)


def test_unreadable_keys_are_503() -> None:
    """Not 401: a client that asks for a new token would gain nothing."""
    with issuer() as (_, tokens):
        hourpass = {"ISSUER": "http://127.0.0.1:1", "AUDIENCE": AUDIENCE}
        with project(REST_FRAMEWORK, middleware=[], **hourpass):
            answer = Client().get("/", headers={"Authorization": f"Bearer {tokens.good}"})

    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert answer.json()["error"] == "temporarily_unavailable"
    assert "WWW-Authenticate" not in answer
