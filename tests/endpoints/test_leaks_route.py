"""`POST /leaks`: a reported secret is worth nothing from then on, and nobody learns which."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import client_states
import httpx
import pytest
from token_answers import refused, token_in

from hourpass.server.clients import lifecycle, secrets
from hourpass.server.refused import Conflict
from support.installation import TESTER, Credentials, Installation, Server


@pytest.fixture
def running(new_installation: Callable[..., Installation], tmp_path: Path) -> Iterator[Server]:
    """A server that counts the reports of this test alone."""
    made = new_installation(tmp_path / "leaks")
    server = Server(made)
    yield server
    server.stop()
    made.close()


def report(server: Server, secret: str, **more: Any) -> httpx.Response:
    """As somebody who found it."""
    return server.http.post("/leaks", json={"secret": secret, **more})


def taken(answer: httpx.Response) -> None:
    """The one answer there is."""
    assert (answer.status_code, answer.content) == (202, b"{}")
    assert answer.headers["cache-control"] == "no-store"


def passes(server: Server, token: str) -> bool:
    """Whether an online check lets it pass."""
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/customers",
    }
    return server.http.get("/verify?api=bookings", headers=headers).status_code == 200


def test_a_live_secret_suspends_its_client_and_revokes_its_tokens(running: Server) -> None:
    """Once, however often it is reported; on record with the place, and never with the secret."""
    installation = running.installation
    database = installation.context.database
    leaked = installation.create_client("customers:read")
    other = installation.create_client("customers:read")
    token, others = token_in(running.token(leaked)), token_in(running.token(other))
    place = "https://paste.example/\u202e1"
    taken(report(running, leaked.secret, url=place))
    taken(report(running, f" {leaked.secret}\n"))
    assert refused(running.token(leaked), 401, "invalid_client")["reason"] == "suspended"
    assert not passes(running, token)
    assert passes(running, others)
    (reported,) = installation.events(client_id=leaked.client_id, event="client.leak_reported")
    assert reported["detail"] == {"url": "https://paste.example/\ufffd1", "suspended": True}
    assert reported["actor"]["type"] == "system"
    (suspended,) = installation.events(client_id=leaked.client_id, event="client.suspended")
    assert suspended["detail"] == {"reason": "leaked", "revoke_live_tokens": True}
    assert leaked.secret not in json.dumps(installation.events())
    assert leaked.secret not in running.log.read_text()

    with pytest.raises(Conflict, match="rotate the secret first"):
        lifecycle.activate(database, leaked.client_id, TESTER)
    lifecycle.suspend(database, leaked.client_id, TESTER)
    with pytest.raises(Conflict, match="rotate the secret first"):
        lifecycle.activate(database, leaked.client_id, TESTER)
    renewed = client_states.rotate(installation, leaked)
    assert refused(running.token(renewed), 401, "invalid_client")["reason"] == "suspended"
    lifecycle.activate(database, leaked.client_id, TESTER)
    assert running.token(renewed).status_code == 200
    taken(report(running, leaked.secret))
    assert running.token(renewed).status_code == 200


def test_the_management_api_refuses_to_activate_it(running: Server) -> None:
    """409, and the way out."""
    installation = running.installation
    leaked = installation.create_client("customers:read")
    taken(report(running, leaked.secret))
    manager = installation.create_client("hourpass.clients:write", "customers:read")
    issuer = installation.context.settings.issuer
    token = token_in(running.token(manager, resource=f"{issuer}/api/v1"))
    answer = running.http.post(
        f"/api/v1/clients/{leaked.client_id}/activate",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 409
    assert "rotate the secret first" in answer.text


NO_SECRETS = (
    b"",
    b"x",
    b"[]",
    b"{}",
    b'{"secret":1}',
    b'{"secret":"hps_x"}',
    b'{"secret":"\xff"}',
    b"[" * 5000,
    json.dumps({"secret": secrets.new().reveal(), "url": 7}).encode(),
)


def test_whatever_else_is_reported_changes_nothing(running: Server) -> None:
    """And is answered alike."""
    for body in NO_SECRETS:
        taken(running.http.post("/leaks", content=body))


def test_only_so_many_reports_a_minute_and_what_was_not_taken_is_told(running: Server) -> None:
    """202 would be a lie: the eleventh secret is still live."""
    made = [running.installation.create_client("customers:read") for _ in range(2)]
    for _ in range(9):
        taken(report(running, secrets.new().reveal()))
    taken(report(running, made[0].secret))
    answer = report(running, made[1].secret)
    assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert running.token(made[0]).status_code == 401
    assert running.token(made[1]).status_code == 200


def test_an_installation_may_only_be_alerted(
    new_installation: Callable[..., Installation], tmp_path: Path
) -> None:
    """HOURPASS_LEAKS=alert: on record, and the client goes on; suspended, it needs a new secret."""
    installation = new_installation(tmp_path / "alert", HOURPASS_LEAKS="alert")
    server = Server(installation)
    try:
        leaked: Credentials = installation.create_client("customers:read")
        token = token_in(server.token(leaked))
        taken(report(server, leaked.secret))
        assert server.token(leaked).status_code == 200
        assert passes(server, token)
        (reported,) = installation.events(event="client.leak_reported")
        assert reported["detail"] == {"url": None, "suspended": False}
        client_states.suspend(installation, leaked)
        with pytest.raises(Conflict):
            client_states.activate(installation, leaked)
    finally:
        server.stop()
        installation.close()


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405)])
def test_only_post(shared_server: Server, method: str, status: int) -> None:
    """As at the token endpoint."""
    assert shared_server.http.request(method, "/leaks").status_code == status
    big = shared_server.http.post("/leaks", content=b"x" * 17_000)
    assert big.status_code == 413
