"""The log of a busy server: whose line it is, what every request did, and no secret ever."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from support.desk import PASSWORD, hire, visitor
from support.installation import MASTER_KEY, Installation, Server
from support.metrics import until

_FORM_KEY = re.compile(r'name="csrf" value="([^"]+)"')


class Logged:
    """A server at its most talkative, and its log."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.server = Server(installation, HOURPASS_LOG_LEVEL="debug")

    def lines(self) -> list[dict[str, Any]]:
        """Every line: each is one JSON object."""
        return [json.loads(line) for line in self.server.log.read_text().splitlines()]

    def answered(self, request_id: str) -> dict[str, Any]:
        """The line of this request, once it is there."""

        def found() -> list[dict[str, Any]]:
            lines = self.lines()
            return [
                line
                for line in lines
                if line["event"] == "answered" and line["request_id"] == request_id
            ]

        until(lambda: bool(found()))
        (line,) = found()
        return line


@pytest.fixture(scope="module")
def logged(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Logged]:
    """One server for all tests here."""
    made = Logged(new_installation(tmp_path_factory.mktemp("logged")))
    yield made
    made.server.stop()
    made.installation.close()


def test_a_request_is_one_line_at_debug(logged: Logged) -> None:
    """Method, template, status and time, under the ID that the answer and the audit row have."""
    server = logged.server
    client = logged.installation.create_client("customers:read")
    good = server.token(client).headers["x-request-id"]
    bad = server.token(client, scope="nobody:has").headers["x-request-id"]
    api = server.http.get(f"/api/v1/clients/{client.client_id}?a=b").headers["x-request-id"]

    line = logged.answered(good)
    assert {name: line[name] for name in ("method", "route", "status", "level")} == {
        "method": "POST",
        "route": "/token",
        "status": 200,
        "level": "debug",
    }
    assert line["milliseconds"] > 0
    assert logged.answered(bad)["error"] == "invalid_scope"
    assert logged.answered(api)["route"] == "/api/v1/clients/{client_id}"
    (event,) = logged.installation.events(client_id=client.client_id, event="token.issued")
    assert event["request_id"] == good


def test_a_fault_of_ours_is_logged_with_its_request_and_its_stack(logged: Logged) -> None:
    """At the management API and at the admin UI alike: the caller gets the ID and no more."""
    server, installation = logged.server, logged.installation
    client = installation.create_client("hourpass.keys:read")
    token = server.token(client).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    owner = visitor(server)
    assert server.http.get("/api/v1/keys", headers=headers).status_code == 200
    assert owner.get("/admin/keys").status_code == 200
    before = len(logged.lines())

    def set_algorithm(good: str, bad: str) -> None:
        with installation.context.database.write() as connection:
            connection.execute(
                text("update signing_key set algorithm = :bad where algorithm = :good"),
                {"good": good, "bad": bad},
            )

    set_algorithm("ES256", "XX")
    try:
        api = server.http.get("/api/v1/keys", headers=headers)
        page = owner.get("/admin/keys")
    finally:
        set_algorithm("XX", "ES256")
        owner.close()

    assert (api.status_code, page.status_code) == (500, 500)
    faults = [line for line in logged.lines()[before:] if line["level"] == "error"]
    ids = [line["request_id"] for line in faults]
    assert api.headers["x-request-id"] in ids
    assert any(request_id in page.text for request_id in ids)
    for line in faults:
        assert "Traceback" in line["exception"]


def test_no_line_holds_what_was_secret(logged: Logged) -> None:
    """Secrets, tokens, passwords, cookies, keys: sent rightly, wrongly, and in the wrong place."""
    server, installation = logged.server, logged.installation
    client = installation.create_client("customers:read", "hourpass.clients:read")
    management = installation.create_client("hourpass.clients:read", "hourpass.clients:write")
    token = server.token(client, scope="customers:read").json()["access_token"]
    admin_token = server.token(management).json()["access_token"]
    bearer = {"Authorization": f"Bearer {admin_token}"}
    new = {"name": "Made", "scopes": ["hourpass.clients:read"]}
    made = server.http.post("/api/v1/clients", json=new, headers=bearer).json()
    path = f"/api/v1/clients/{made['client_id']}/rotate-secret"
    rotated = server.http.post(path, json={}, headers=bearer).json()
    for where in (
        f"/{client.secret}",
        f"/verify/bookings/{client.secret}?t={token}",
        f"/api/v1/clients/{client.secret}?cursor={token}",
        f"/admin/clients/{client.secret}?x={token}",
        f"/token?client_secret={client.secret}",
    ):
        assert server.http.get(where, headers=bearer).status_code >= 300
    server.http.post("/introspect", data={"token": token}, headers=management.basic)
    server.http.post("/revoke", data={"token": token}, headers=client.basic)
    server.http.post("/leaks", json={"secret": rotated["client_secret"]})
    server.http.post("/token", content=b"{" + client.secret.encode(), headers=client.basic)
    owner = hire(installation)
    cookie = _sign_in(server, owner.email)

    log = server.log.read_bytes()
    sessions = [cookie, *visitor(server, owner).cookies.values()]
    pair = base64.b64encode(f"{client.client_id}:{client.secret}".encode()).decode()
    secrets = [
        *(client.secret, management.secret, made["client_secret"], rotated["client_secret"]),
        *(token, token.split(".")[2], admin_token, pair, PASSWORD, MASTER_KEY, *sessions),
    ]
    assert len(logged.lines()) > 15
    assert b'"route": "/leaks"' in log
    for secret in secrets:
        assert len(secret) > 8
        assert secret.encode() not in log


def _sign_in(server: Server, email: str) -> str:
    """With the form, once with a wrong password; the cookie of the session."""
    with httpx.Client(base_url=server.url, timeout=15, trust_env=False) as browser:
        found = _FORM_KEY.search(browser.get("/admin/sign-in").text)
        assert found is not None
        form = {"csrf": found[1], "email": email}
        browser.post("/admin/sign-in", data={**form, "password": "wrong " + PASSWORD})
        origin = {"Origin": server.url}
        done = browser.post("/admin/sign-in", data={**form, "password": PASSWORD}, headers=origin)
        assert done.status_code == 303, done.text
        return browser.cookies["hourpass"]
