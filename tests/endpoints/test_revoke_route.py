"""`POST /revoke` (RFC 7009): a client gives up a token of its own."""

import httpx
import pytest
from token_answers import claims_in, refused, token_in

from hourpass.oauth.errors import InvalidToken
from hourpass.server.tokens.check import OnlineCheck
from support.installation import Credentials, Installation, Server


@pytest.fixture
def installation(shared_server: Server) -> Installation:
    """The one that the shared server runs on."""
    return shared_server.installation


@pytest.fixture
def credentials(installation: Installation) -> Credentials:
    """A client of the Bookings API."""
    return installation.create_client("customers:read")


def revoke(server: Server, caller: Credentials, token: str) -> httpx.Response:
    """A form, with Basic; a hint that is wrong must not matter."""
    form = {"token": token, "token_type_hint": "refresh_token"}
    return server.http.post("/revoke", data=form, headers=caller.basic)


def passes(server: Server, token: str) -> bool:
    """Whether an online check lets it pass."""
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/customers",
    }
    return server.http.get("/verify?api=bookings", headers=headers).status_code == 200


def test_a_revoked_token_opens_nothing_and_its_siblings_live(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """Seen by every online check from the answer on; on record once, however often it is asked."""
    issued = shared_server.token(credentials)
    token, other = token_in(issued), token_in(shared_server.token(credentials))
    assert passes(shared_server, token)
    answer = revoke(shared_server, credentials, token)
    assert answer.status_code == 200
    assert not passes(shared_server, token)
    assert passes(shared_server, other)
    assert revoke(shared_server, credentials, token).status_code == 200
    (event,) = installation.events(client_id=credentials.client_id, event="token.revoked")
    assert event["detail"]["jti"] == claims_in(issued)["jti"]
    assert event["actor"]["id"] == credentials.client_id
    assert event["request_id"] == answer.headers["x-request-id"]
    api = installation.create_client("hourpass.introspect:bookings")
    form = {"token": token}
    seen = shared_server.http.post("/introspect", data=form, headers=api.basic)
    assert seen.json() == {"active": False}


def test_the_management_api_sees_it_too(shared_server: Server, installation: Installation) -> None:
    """The strict check reads the same row."""
    manager = installation.create_client("hourpass.clients:read")
    token = token_in(shared_server.token(manager))
    headers = {"Authorization": f"Bearer {token}"}
    assert shared_server.http.get("/api/v1/clients", headers=headers).status_code == 200
    assert revoke(shared_server, manager, token).status_code == 200
    assert shared_server.http.get("/api/v1/clients", headers=headers).status_code == 401
    context = installation.context
    with pytest.raises(InvalidToken, match="revoked"):
        OnlineCheck(context.database, context.settings.issuer).strictly(
            token, audience=context.management_identifier
        )


def test_nobody_revokes_what_is_another_clients(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """The answer is the same as for one's own."""
    token = token_in(shared_server.token(credentials))
    other = installation.create_client("customers:read", "hourpass.clients:write")
    assert (
        revoke(shared_server, other, token).content
        == revoke(shared_server, other, "nonsense").content
    )
    assert passes(shared_server, token)
    assert not installation.events(client_id=credentials.client_id, event="token.revoked")


def test_who_proves_nothing_revokes_nothing(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """And it is on record."""
    from hourpass.server.clients import secrets

    token = token_in(shared_server.token(credentials))
    thief = Credentials(credentials.client_id, secrets.new().reveal())
    refused(revoke(shared_server, thief, token), 401, "invalid_client")
    assert passes(shared_server, token)
    (event,) = installation.events(client_id=credentials.client_id, event="token.refused")
    assert event["detail"]["reason"] == "revoke.wrong_secret"


def test_unknown_and_expired_tokens_are_answered_alike(
    shared_server: Server, credentials: Credentials
) -> None:
    """RFC 7009 section 2.2: the purpose is reached already."""
    for token in ("x", "a.b.c", "é", "x" * 9000):
        assert revoke(shared_server, credentials, token).status_code == 200
