"""`protect` and `needs` for Flask, by the table of cases and beyond it."""

from collections.abc import Iterator
from pathlib import Path

import flask
import pytest
from door_apps import behind_wsgiref, catalogue, hold, issuer, on_werkzeug, on_wsgiref, seen

from hourpass.resource_server import Verifier, catalogue_grants
from hourpass.resource_server.flask import access_token, needs, protect
from support.door_cases import GRANTS, Case, cases_for
from support.door_tokens import Tokens

Doors = tuple[dict[str, int], Tokens]


def echo(**_: str) -> dict[str, str]:
    """Whom the API takes for the caller, and the path it serves."""
    return seen(access_token().client_id, flask.request.path)


def by_scopes(verifier: Verifier) -> flask.Flask:
    """Views that name their scopes, one of them a coroutine."""
    app = flask.Flask(__name__)
    protect(app, verifier, public=("/health",))

    @app.get("/customers")
    @needs("customers:read")
    def customers() -> dict[str, str]:
        return echo()

    @app.get("/customer/<id>/bookings")
    @app.get("/customer/<id>/booking/<booking_id>")
    @needs("bookings:read")
    def bookings(id: str, booking_id: str = "") -> dict[str, str]:  # noqa: A002  (the route's own word)
        return echo()

    @app.put("/customer/<id>/profile")
    @needs("profile:write")
    def profile(id: str) -> dict[str, str]:  # noqa: A002  (the route's own word)
        return echo()

    @app.get("/health")
    def health() -> str:
        return "ok"

    @app.get("/forgotten")
    def forgotten() -> str:
        return access_token().jti

    return app


@pytest.fixture(scope="module")
def scopes_door() -> Iterator[Doors]:
    """An app whose views name their scopes."""
    with issuer() as (verifier, tokens):
        app = by_scopes(verifier)
        with on_wsgiref(app) as plain, on_werkzeug(app) as raw:
            yield {"wsgiref": plain, "werkzeug": raw}, tokens


@pytest.mark.parametrize("case", cases_for(), ids=lambda case: case.name)
def test_a_view_that_needs_scopes_gives_every_answer(scopes_door: Doors, case: Case) -> None:
    """The table's."""
    ports, tokens = scopes_door
    hold(ports["werkzeug"], case, tokens)
    hold(ports["wsgiref"], behind_wsgiref(case), tokens)


@pytest.fixture(scope="module")
def grants_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """One view for everything; the catalogue's grants say who may see it."""
    file: Path = catalogue(tmp_path_factory.mktemp("catalogue"))
    with issuer() as (verifier, tokens):
        app = flask.Flask(__name__)
        protect(app, verifier, grants=catalogue_grants(file, api="bookings"))
        app.add_url_rule("/<path:rest>", view_func=echo, methods=["GET", "PUT"])
        with on_werkzeug(app) as raw:
            yield {"werkzeug": raw}, tokens


@pytest.mark.parametrize("case", cases_for(GRANTS), ids=lambda case: case.name)
def test_the_catalogue_gives_every_answer(grants_door: Doors, case: Case) -> None:
    """The table's."""
    ports, tokens = grants_door
    hold(ports["werkzeug"], case, tokens)


def test_a_public_path_and_a_forgotten_scope() -> None:
    """The one is open to all, the other to every client of this API and to nobody else."""
    with issuer() as (verifier, tokens):
        client = by_scopes(verifier).test_client()
        good = {"Authorization": f"Bearer {tokens.token(scope='other:read')}"}

        assert client.get("/health").text == "ok"
        assert client.get("/forgotten").status_code == 401
        assert client.get("/forgotten", headers=good).status_code == 200
        assert client.get("/nowhere").status_code == 401
        assert client.get("/nowhere", headers=good).status_code == 404


def test_an_app_that_is_not_protected_fails_closed() -> None:
    """Its views have no token to look at."""
    app = flask.Flask(__name__)
    app.testing = True
    app.add_url_rule("/customers", view_func=needs("customers:read")(echo))

    with pytest.raises(LookupError):
        app.test_client().get("/customers")
