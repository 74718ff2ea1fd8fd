"""A running server gives tokens to what integrators already use, used as it documents itself."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from requests_oauthlib import OAuth2Session

from hourpass.client import TokenSource, WrongCredentials
from hourpass.resource_server import Verifier
from support.installation import Credentials, Installation, Server

SCOPE = "customers:read"
Answer = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("other-clients")
    installation = Installation(folder / "home", f"sqlite:///{folder}/hourpass.db")
    installation.apply_catalogue()
    running = Server(installation)
    yield running
    running.stop()
    installation.close()


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """These libraries want https even on loopback, unless told otherwise."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def hourpass(server: Server, credentials: Credentials) -> Answer:
    """Our own, so that this page shows it is no different."""
    source = TokenSource(
        issuer=server.url,
        client_id=credentials.client_id,
        client_secret=credentials.secret,
        scope=SCOPE,
    )
    try:
        held = source.current()
    except WrongCredentials as refusal:
        return {"error": refusal.error}
    return {"access_token": held.access_token, "scope": held.scope}


def _authlib(kind: Any, method: str) -> Callable[[Server, Credentials], Answer]:
    def ask(server: Server, credentials: Credentials) -> Answer:
        pair = (credentials.client_id, credentials.secret)
        with kind(*pair, scope=SCOPE, token_endpoint_auth_method=method) as client:
            try:
                got = client.fetch_token(f"{server.url}/token", grant_type="client_credentials")
            except OAuthError as refusal:
                return {"error": refusal.error}
        return dict(got)

    return ask


def authlib_async(server: Server, credentials: Credentials) -> Answer:
    async def ask() -> Answer:
        async with AsyncOAuth2Client(
            credentials.client_id, credentials.secret, scope=SCOPE
        ) as client:
            return dict(
                await client.fetch_token(f"{server.url}/token", grant_type="client_credentials")
            )

    try:
        return asyncio.run(ask())
    except OAuthError as refusal:
        return {"error": refusal.error}


def _requests_oauthlib(*, in_body: bool) -> Callable[[Server, Credentials], Answer]:
    def ask(server: Server, credentials: Credentials) -> Answer:
        client = BackendApplicationClient(client_id=credentials.client_id, scope=[SCOPE])
        with OAuth2Session(client=client) as session:
            try:
                return dict(
                    session.fetch_token(
                        f"{server.url}/token",
                        client_id=credentials.client_id,
                        client_secret=credentials.secret,
                        include_client_id=in_body,
                    )
                )
            except OAuth2Error as refusal:
                return {"error": refusal.error}

    return ask


def curl(server: Server, credentials: Credentials) -> Answer:
    """With the credentials in a file, since a process list shows arguments."""
    config = f'user = "{credentials.client_id}:{credentials.secret}"\n'
    command = ["curl", "-s", "-K", "-", "-d", "grant_type=client_credentials"]
    command += ["-d", f"scope={SCOPE}", f"{server.url}/token"]
    done = subprocess.run(command, input=config, capture_output=True, text=True, check=True)
    answer: Answer = json.loads(done.stdout)
    return answer


CLIENTS = {
    "hourpass.client": hourpass,
    "Authlib httpx, Basic": _authlib(OAuth2Client, "client_secret_basic"),
    "Authlib httpx, post": _authlib(OAuth2Client, "client_secret_post"),
    "Authlib httpx, async": authlib_async,
    "Authlib requests, Basic": _authlib(AuthlibSession, "client_secret_basic"),
    "Authlib requests, post": _authlib(AuthlibSession, "client_secret_post"),
    "requests-oauthlib, Basic": _requests_oauthlib(in_body=False),
    "requests-oauthlib, post": _requests_oauthlib(in_body=True),
    "curl": curl,
}


def judge(server: Server, ask: Callable[[Server, Credentials], Answer]) -> None:
    """A token for the scope that was asked for; a wrong secret is its `invalid_client`."""
    credentials = server.installation.create_client(SCOPE, "bookings:read")
    other = server.installation.create_client(SCOPE)

    got = ask(server, credentials)
    refused = ask(server, Credentials(credentials.client_id, other.secret))

    token = Verifier(server.url, "https://api.example.com").verify(got["access_token"])
    assert token.client_id == credentials.client_id
    assert token.scopes == {SCOPE}
    scope = got["scope"]
    assert (scope if isinstance(scope, str) else " ".join(scope)) == SCOPE
    assert refused["error"] == "invalid_client"


@pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS.keys())
def test_a_client_gets_its_token(server: Server, ask: Callable[..., Answer]) -> None:
    judge(server, ask)


@pytest.mark.spec("RFC 8414", "3", "openid-client finds everything in the metadata")
@pytest.mark.parametrize(
    "library",
    ["openid-client, Basic", "openid-client, post", "simple-oauth2, Basic", "simple-oauth2, post"],
)
def test_a_client_on_node_gets_its_token(server: Server, library: str, node_modules: Path) -> None:
    def ask(server: Server, credentials: Credentials) -> Answer:
        environ = {
            "PATH": os.environ["PATH"],
            "HOURPASS_CLIENT_ID": credentials.client_id,
            "HOURPASS_CLIENT_SECRET": credentials.secret,
        }
        command = ["node", "token.mjs", library, server.url, SCOPE]
        done = subprocess.run(
            command, cwd=node_modules, env=environ, capture_output=True, text=True, check=True
        )
        answer: Answer = json.loads(done.stdout)
        return answer

    judge(server, ask)
