"""`BearerTokens` for WSGI by the table of cases: servers that tell the raw target, and not."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from door_apps import behind_wsgiref, catalogue, hold, issuer, on_werkzeug, on_wsgiref, seen

from hourpass.resource_server import catalogue_grants
from hourpass.resource_server.wsgi import BearerTokens, Environ, StartResponse, access_token
from support.door_cases import GRANTS, Case, cases_for
from support.door_tokens import Tokens


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers every request with who calls and which path is served."""
    path = environ["PATH_INFO"].encode("latin-1").decode()
    body = json.dumps(seen(access_token(environ).client_id, path)).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, int], Tokens]]:
    """Doors that judge by the catalogue's grants, a port each; and tokens for them."""
    file: Path = catalogue(tmp_path_factory.mktemp("catalogue"))
    with issuer() as (verifier, tokens):
        app = BearerTokens(echo, verifier, grants=catalogue_grants(file, api="bookings"))
        with on_wsgiref(app) as plain, on_werkzeug(app) as raw:
            yield {"wsgiref": plain, "werkzeug": raw}, tokens


@pytest.mark.parametrize("case", cases_for(GRANTS), ids=lambda case: case.name)
def test_every_request_gets_its_answer(doors: tuple[dict[str, int], Tokens], case: Case) -> None:
    """The table's, with the raw target and without."""
    ports, tokens = doors
    hold(ports["werkzeug"], case, tokens)
    hold(ports["wsgiref"], behind_wsgiref(case), tokens)
