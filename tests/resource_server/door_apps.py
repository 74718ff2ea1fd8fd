"""Small apps behind each door, on real HTTP servers, with a real issuer."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import HTTPServer
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn
from local_issuer import LocalIssuer
from werkzeug import serving

from hourpass.resource_server import Verifier
from support.door_cases import Case, check, send
from support.door_tokens import AUDIENCE, Tokens
from support.installation import CATALOGUE

CLIENT_ID = "m2m_0123456789abcdefghjk"
# The standard library's server takes white space off header values, whatever Python calls so,
# and tells an app only the decoded path: these cases are good requests when the door gets them.
MADE_PLAIN_BY_WSGIREF = {
    "no-break space after it": "/customers",
    "another control after it": "/customers",
    "ambiguous: malformed escape": "/customer/%zz/bookings",
    "ambiguous: braces": "/customer/{id}/bookings",
    "ambiguous: raw non-ASCII": "/customer/é/bookings",
}


@contextmanager
def issuer() -> Iterator[tuple[Verifier, Tokens]]:
    """A verifier for the API of the test catalogue, and the tokens of a client."""
    with LocalIssuer() as local:
        tokens = Tokens(issuer=local.url, key=local.key, client_id=CLIENT_ID)
        yield Verifier(local.url, AUDIENCE), tokens


def catalogue(folder: Path) -> Path:
    """The test catalogue as a file."""
    file = folder / "hourpass.toml"
    file.write_text(CATALOGUE, "utf-8")
    return file


def seen(client_id: str, path: str) -> dict[str, str]:
    """What every app answers with: whom it takes for the caller, and the path it serves."""
    return {"client_id": client_id, "path": path}


def behind_wsgiref(case: Case) -> Case:
    """The case for a door that only the standard library's server is in front of."""
    plain = MADE_PLAIN_BY_WSGIREF.get(case.name)
    return case if plain is None else replace(case, may_serve=plain)


def hold(port: int, case: Case, tokens: Tokens, *, may_be_stored: bool = False) -> None:
    """Send the case to a door, and assert that the answer is the table's."""
    answer = send(port, case, tokens)
    served = None
    if answer.status == 200:
        served = case.served
        if case.method != "HEAD":
            body = json.loads(answer.body)
            assert body["client_id"] == CLIENT_ID
            served = body["path"]
    check(case, answer, served=served, may_be_stored=may_be_stored)


@contextmanager
def on_uvicorn(app: Any, **settings: Any) -> Iterator[int]:
    """The app on uvicorn; its port."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", **settings
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


class _Server(WSGIServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no fault of the app."""


@contextmanager
def on_wsgiref(app: Callable[..., Any]) -> Iterator[int]:
    """The app on the standard library's server, which tells only the decoded path."""
    with _running(make_server("127.0.0.1", 0, app, _Server, _Quiet)) as port:
        yield port


class _QuietWerkzeug(serving.WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def on_werkzeug(app: Callable[..., Any]) -> Iterator[int]:
    """The app on Werkzeug's server, which tells the raw target as gunicorn does."""
    server = serving.make_server("127.0.0.1", 0, app, request_handler=_QuietWerkzeug)
    with _running(server) as port:
        yield port


@contextmanager
def _running(server: HTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
