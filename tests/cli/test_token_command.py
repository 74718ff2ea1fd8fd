"""`hourpass token`: the integrator's side, against a real server and against worse."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from command_outcomes import each, json_of, refusal

from hourpass.resource_server import Verifier
from support.installation import Credentials, Finished, Installation, Server

_BOOKINGS, _BILLING = "https://api.example.com", "https://billing.example.com"


@pytest.fixture
def running(sqlite_installation: Installation) -> Iterator[Server]:
    """A server; which database it has does not matter here."""
    server = Server(sqlite_installation)
    yield server
    server.stop()


def _environ(issuer: str, credentials: Credentials) -> dict[str, str]:
    """What an integrator sets, and nothing of the server's settings."""
    return {
        "HOURPASS_ISSUER": issuer,
        "HOURPASS_CLIENT_ID": credentials.client_id,
        "HOURPASS_CLIENT_SECRET": credentials.secret,
        "HOURPASS_DATA_DIR": "",
        "HOURPASS_CONFIG": "",
        "HOURPASS_DATABASE_URL": "",
        "HOURPASS_MASTER_KEY": "",
    }


@contextmanager
def _answering(status: int, body: bytes) -> Iterator[str]:
    """Something that answers so to every POST; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.spec("contract", "Command line", "the integrator's side")
@pytest.mark.spec("contract", "HTTP", "`resource` narrows to one API")
def test_a_token_is_printed(running: Server) -> None:
    """The token alone, so that a shell can take it; with --json the endpoint's answer."""
    credentials = running.installation.create_client(
        "customers:read", "bookings:read", "invoices:read"
    )

    plain, narrowed, for_billing = each(
        running.installation,
        [
            ("token",),
            ("token", "--scope", "bookings:read", "--scope", "customers:read", "--json"),
            ("token", "--resource", _BILLING, "--json"),
        ],
        **_environ(running.url, credentials),
    )

    assert (plain.status, plain.stderr, plain.stdout.count("\n")) == (0, "", 1)
    token = Verifier(running.url, _BOOKINGS).verify(plain.stdout.strip())
    assert token.client_id == credentials.client_id
    assert token.scopes == {"customers:read", "bookings:read", "invoices:read"}
    assert token.expires_at.timestamp() - time.time() > 3500
    answer = json_of(narrowed)
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert answer["scope"] == "bookings:read customers:read"
    billing = Verifier(running.url, _BILLING).verify(json_of(for_billing)["access_token"])
    assert billing.scopes == {"invoices:read"}


def test_a_refusal_is_told_in_the_servers_words(running: Server) -> None:
    """The error and what the server says about it; never the secret."""
    installation = running.installation
    active = installation.create_client("customers:read")
    suspended = installation.create_client("customers:read")
    assert installation.command("clients", "suspend", suspended.client_id).status == 0
    wrong = Credentials(active.client_id, suspended.secret)

    def token(credentials: Credentials, *options: str) -> Finished:
        return installation.command("token", *options, environ=_environ(running.url, credentials))

    outcomes = [token(wrong), token(suspended), token(active, "--scope", "invoices:read")]

    assert [refusal(outcome) for outcome in outcomes] == [
        "invalid_client: client authentication failed",
        "invalid_client: this API client is suspended; ask the API's operator to re-activate it",
        "invalid_scope: this API client does not hold the scope invoices:read",
    ]
    assert "hps_" not in "".join(outcome.stderr for outcome in outcomes)


@pytest.mark.spec("threats", "18", "escape codes are harmless in terminals")
def test_what_is_no_token_endpoint_is_told(sqlite_installation: Installation) -> None:
    """Nobody there, no URL, a web page, words that would steer the terminal."""
    run = sqlite_installation.command
    anyone = Credentials("m2m_x", "hps_x")

    away = run("token", environ=_environ("http://127.0.0.1:1", anyone))
    no_url = run("token", environ=_environ("localhost:8080", anyone))
    with _answering(200, b"<h1>It works</h1>") as url:
        page = run("token", environ=_environ(url, anyone))
    with _answering(400, json.dumps({"error": "\x1b[2J", "error_description": "\r"}).encode()) as u:
        hostile = run("token", environ=_environ(u, anyone))
    unset = run("token", environ=_environ(url, Credentials("m2m_x", "")))

    assert refusal(away).startswith("http://127.0.0.1:1/token cannot be reached: ")
    assert refusal(no_url) == "the issuer has to be an https or http URL, not 'localhost:8080'"
    assert refusal(page) == f"{url}/token answered 200 without JSON; is it a Hourpass server?"
    assert refusal(hostile) == "\ufffd[2J:"
    assert refusal(unset, status=2) == (
        "set HOURPASS_CLIENT_ID and HOURPASS_CLIENT_SECRET in the environment"
    )
