"""`hourpass token`: the integrator's side, against a real server and against worse."""

import time
from collections.abc import Iterator

import pytest
import typer
from command_outcomes import each, json_of, refusal

from hourpass.cli.integrator import _refuse
from hourpass.client import (
    ClientSuspended,
    ScopeNotGranted,
    ServerUnavailable,
    WrongCredentials,
)
from hourpass.resource_server import Verifier
from support.installation import Credentials, Finished, Installation, Server
from support.token_server import METADATA, TokenServer, always

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


def test_who_named_no_server_is_told_how(capsys: pytest.CaptureFixture[str]) -> None:
    """The default is this machine, where the integrator has no server."""
    fault = ServerUnavailable("http://localhost:8080/… cannot be reached")
    for issuer in (None, "", "https://auth.example.com"):
        with pytest.raises(typer.Exit):
            _refuse(fault, issuer)

    told = capsys.readouterr().err.splitlines()
    assert ["HOURPASS_ISSUER" in line for line in told] == [True, True, False]


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


def test_a_refusal_says_what_to_do(running: Server) -> None:
    """One line each; never the secret."""
    installation = running.installation
    active = installation.create_client("customers:read")
    suspended = installation.create_client("customers:read")
    assert installation.command("clients", "suspend", suspended.client_id).status == 0
    wrong = Credentials(active.client_id, suspended.secret)

    def token(credentials: Credentials, *options: str) -> Finished:
        return installation.command("token", *options, environ=_environ(running.url, credentials))

    outcomes = [token(wrong), token(suspended), token(active, "--scope", "invoices:read")]

    assert [refusal(outcome) for outcome in outcomes] == [
        WrongCredentials.advice,
        ClientSuspended.advice,
        f"{ScopeNotGranted.advice} (asked: invoices:read)",
    ]
    assert "hps_" not in "".join(outcome.stderr for outcome in outcomes)


@pytest.mark.spec("threats", "18", "escape codes are harmless in terminals")
def test_what_is_no_token_endpoint_is_told(sqlite_installation: Installation) -> None:
    """Nobody there, no URL, a web page, another issuer, words that would steer the terminal."""
    run = sqlite_installation.command
    anyone = Credentials("m2m_x", "another server's secret")

    away = run("token", environ=_environ("http://127.0.0.1:1", anyone))
    no_url = run("token", environ=_environ("localhost:8080", anyone))
    with TokenServer() as server:
        asked = _environ(server.url, anyone)
        server.scripts["/token"] = always(200, b"<h1>It works</h1>")
        page = run("token", environ=asked)
        server.scripts["/token"] = always(400, {"error": "\x1b[2J", "error_description": "\r"})
        hostile = run("token", environ=asked)
        server.scripts[METADATA] = always(200, {"issuer": "https://auth.example.com"})
        other = run("token", environ=asked)
    unset = run("token", environ=_environ(server.url, Credentials("m2m_x", "")))
    cut = run("token", environ=_environ(server.url, Credentials("m2m_x", "hps_x")))

    assert refusal(away).startswith(
        f"http://127.0.0.1:1{METADATA} cannot be reached (Connection refused): check the address"
    )
    assert refusal(no_url, status=2) == "issuer is no http or https URL: 'localhost:8080'"
    assert refusal(page).startswith(f"{server.url}/token answered 200 without an access_token: ")
    assert refusal(hostile).startswith(f"{server.url}/token answered 400 without an OAuth error: ")
    assert refusal(other, status=2) == (
        f"the server at {server.url} calls itself https://auth.example.com:"
        " give exactly that as the issuer"
    )
    assert refusal(unset, status=2).startswith(
        "set HOURPASS_CLIENT_ID and HOURPASS_CLIENT_SECRET in the environment, or "
    )
    assert refusal(cut, status=2).startswith("the client secret is not whole: ")
