"""`BearerTokens` for ASGI by the table of cases, on both of uvicorn's HTTP parsers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from door_apps import catalogue, hold, issuer, on_uvicorn, seen

from hourpass.resource_server import catalogue_grants
from hourpass.resource_server.asgi import BearerTokens, Receive, Scope, Send, access_token
from support.door_cases import GRANTS, Case, cases_for
from support.door_tokens import Tokens


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers every request with who calls and which path is served."""
    body = json.dumps(seen(access_token(scope).client_id, scope["path"])).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[int], Tokens]]:
    """Doors that judge by the catalogue's grants, a port for each parser; tokens for them."""
    file: Path = catalogue(tmp_path_factory.mktemp("catalogue"))
    with issuer() as (verifier, tokens):
        app = BearerTokens(echo, verifier, grants=catalogue_grants(file, api="bookings"))
        with on_uvicorn(app, http="httptools") as one, on_uvicorn(app, http="h11") as two:
            yield [one, two], tokens


@pytest.mark.parametrize("case", cases_for(GRANTS), ids=lambda case: case.name)
def test_every_request_gets_its_answer(doors: tuple[list[int], Tokens], case: Case) -> None:
    """The table's, whatever the parser."""
    ports, tokens = doors
    for port in ports:
        hold(port, case, tokens)
