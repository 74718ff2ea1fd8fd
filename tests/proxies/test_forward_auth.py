"""nginx, Caddy and Envoy ask the server about each request: what comes of its answers."""

import json
import time

import pytest

from hourpass.server.clients import lifecycle
from support.installation import TESTER
from support.proxies.doors import Door, Issuer, is_refused


def test_a_question_holds_what_is_judged_and_no_more(asking_door: Door, issuer: Issuer) -> None:
    """No cookie, nothing that the client says of Hourpass; from nginx and Envoy nothing else."""
    lines = ("Cookie: a=b", "X-Hourpass-Client-Id: forged", "X_Forwarded_Uri: forged", "X-Own: c")
    outcome = asking_door.ask("GET /customers", issuer.bearer("customers:read"), *lines)

    (asked,) = outcome.asked
    assert outcome.status == 200
    assert "forged" not in str(asked.headers)
    names = {name.lower() for name, _ in asked.headers}
    assert {"cookie", "x-hourpass-client-id"}.isdisjoint(names)
    if asking_door.name != "caddy":
        assert "x-own" not in names


def test_a_proxy_that_asks_wrongly_is_not_the_callers_fault(
    asking_door: Door, issuer: Issuer
) -> None:
    """The server answers 403 without a challenge then, and so does the proxy."""
    wrong = b'{"error":"invalid_request","error_description":"the proxy has to name an API"}'
    with asking_door.way.says(403, "Content-Type: application/json", body=wrong):
        outcome = asking_door.ask("GET /customers", issuer.bearer("customers:read"))

    assert outcome.status == 403
    assert outcome.reached == []
    assert outcome.answer.values("www-authenticate") == []
    assert json.loads(outcome.answer.body)["error"] == "invalid_request"


@pytest.mark.spec("threats", "13", "fail closed")
@pytest.mark.parametrize("status", [500, 502, 503, 302, 301, 304, 404, 431])
def test_only_a_200_opens(asking_door: Door, issuer: Issuer, status: int) -> None:
    """A server that is not well, a proxy in between that redirects: nothing passes."""
    with asking_door.way.says(status, "Location: http://localhost/", body=b""):
        outcome = asking_door.ask("GET /customers", issuer.bearer("customers:read"))

    assert outcome.reached == []
    assert outcome.status >= (500 if status >= 500 else 300)


@pytest.mark.spec("threats", "13", "database down is 503, never 2xx")
def test_a_server_that_is_down_means_503(asking_door: Door, issuer: Issuer) -> None:
    """Within three seconds; and it goes on as soon as the server is there again."""
    bearer = issuer.bearer("customers:read")
    with asking_door.way.is_cut():
        began = time.monotonic()
        outcome = asking_door.ask("GET /customers", bearer)
        took = time.monotonic() - began

    assert outcome.status == 503
    assert outcome.reached == []
    assert took < 3
    assert asking_door.ask("GET /customers", bearer).status == 200


@pytest.mark.spec("threats", "13", "database down is 503, never 2xx")
def test_a_server_that_hangs_means_503(asking_door: Door, issuer: Issuer) -> None:
    """Within three seconds."""
    bearer = issuer.bearer("customers:read")
    with asking_door.way.hangs():
        began = time.monotonic()
        outcome = asking_door.ask("GET /customers", bearer)
        took = time.monotonic() - began

    assert outcome.status == 503
    assert outcome.reached == []
    assert took < 3
    assert asking_door.ask("GET /customers", bearer).status == 200


def test_a_client_over_its_limit_is_told_when_to_come_back(
    asking_door: Door, issuer: Issuer
) -> None:
    """429 with Retry-After; nginx gets it as a 403, which it turns back."""
    client = issuer.server.installation.create_client("customers:read", limit_per_minute=1)
    token = issuer.server.token(client).json()["access_token"]
    bearer = f"Authorization: Bearer {token}"

    within = asking_door.ask("GET /customers", bearer)
    over = asking_door.ask("GET /customers", bearer)

    assert (within.status, over.status) == (200, 429)
    assert over.reached == []
    (seconds,) = over.answer.values("retry-after")
    assert 0 < int(seconds) <= 60
    assert "r=0" in over.answer.values("ratelimit")[0]
    assert over.answer.values("ratelimit-policy")
    assert over.answer.values("x-hourpass-limited") == []
    assert json.loads(over.answer.body)["error"] == "rate_limited"
    if asking_door.name != "caddy":  # it hands on to the caller what a refusal says, and no more
        assert within.answer.values("ratelimit")


def test_a_deleted_client_is_refused_at_once(asking_door: Door, issuer: Issuer) -> None:
    """The check is online: a token whose client is gone opens nothing."""
    installation = issuer.server.installation
    client = installation.create_client("customers:read")
    token = issuer.server.token(client).json()["access_token"]
    bearer = f"Authorization: Bearer {token}"

    before = asking_door.ask("GET /customers", bearer)
    lifecycle.delete(installation.context.database, client.client_id, TESTER)
    after = asking_door.ask("GET /customers", bearer)

    assert before.status == 200
    is_refused(after, 401, "invalid_token")
