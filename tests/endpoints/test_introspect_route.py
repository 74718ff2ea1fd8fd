"""`POST /introspect` (RFC 7662): who may ask, what the answer says, and how fresh it is."""

from typing import Any

import client_states
import httpx
import pytest
from raw_http import Connection
from token_answers import claims_in, refused, token_in

from hourpass.server.clients import lifecycle
from support import forged_tokens
from support.installation import FORM, TESTER, Credentials, Installation, Server

API = "https://api.example.com"
TEXT, JSON = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
BILLING = "https://billing.example.com"


@pytest.fixture
def installation(shared_server: Server) -> Installation:
    """The one that the shared server runs on."""
    return shared_server.installation


@pytest.fixture
def api(installation: Installation) -> Credentials:
    """The Bookings API, as a client that may introspect."""
    return installation.create_client("hourpass.introspect:bookings", name="Bookings API")


@pytest.fixture
def credentials(installation: Installation) -> Credentials:
    """A client of the Bookings API."""
    return installation.create_client("customers:read", "bookings:read")


def introspect(server: Server, caller: Credentials, token: str, **more: str) -> httpx.Response:
    """As most APIs ask: a form, with Basic."""
    return server.http.post("/introspect", data={"token": token, **more}, headers=caller.basic)


def is_inactive(answer: httpx.Response) -> None:
    """And nothing more."""
    assert answer.status_code == 200
    assert answer.content == b'{"active":false}'
    assert answer.headers["cache-control"] == "no-store"


def test_a_live_token_is_told_with_all_its_members(
    shared_server: Server, api: Credentials, credentials: Credentials
) -> None:
    """The members of RFC 7662 section 2.2, as the token has them."""
    issued = shared_server.token(credentials)
    claims = claims_in(issued)
    answer = introspect(shared_server, api, token_in(issued), token_type_hint="access_token")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "active": True,
        "scope": "bookings:read customers:read",
        "client_id": credentials.client_id,
        "token_type": "Bearer",
        **{name: claims[name] for name in ("exp", "iat", "sub", "aud", "iss", "jti", "org_id")},
    }


def test_in_the_body_and_as_json_too(
    shared_server: Server, api: Credentials, credentials: Credentials
) -> None:
    """Every way in that the token endpoint has."""
    token = token_in(shared_server.token(credentials))
    members = {"client_id": api.client_id, "client_secret": api.secret, "token": token}
    for sent in ({"data": members}, {"json": members}):
        answer = shared_server.http.post("/introspect", **sent)  # type: ignore[arg-type]  # either
        assert answer.json()["active"] is True


def test_who_may_not_see_a_token_learns_nothing(
    shared_server: Server, installation: Installation, api: Credentials, credentials: Credentials
) -> None:
    """Another API's token, one for the management API, one's own without the right to ask."""
    invoices = installation.create_client("invoices:read")
    is_inactive(introspect(shared_server, api, token_in(shared_server.token(invoices))))
    manager = installation.create_client("hourpass.clients:read")
    is_inactive(introspect(shared_server, api, token_in(shared_server.token(manager))))
    own = token_in(shared_server.token(credentials))
    is_inactive(introspect(shared_server, credentials, own))
    owner = installation.create_client("customers:read", "hourpass.clients:write")
    is_inactive(introspect(shared_server, owner, own))


def test_of_a_token_for_two_apis_each_sees_its_own_part(
    shared_server: Server, installation: Installation, api: Credentials
) -> None:
    """Unless it may ask about both."""
    both = installation.create_client("customers:read", "invoices:read")
    token = token_in(shared_server.token(both))
    seen = introspect(shared_server, api, token).json()
    assert (seen["aud"], seen["scope"]) == (API, "customers:read")
    each = installation.create_client("hourpass.introspect:bookings", "hourpass.introspect:billing")
    seen = introspect(shared_server, each, token).json()
    assert (seen["aud"], seen["scope"]) == ([API, BILLING], "customers:read invoices:read")


def test_the_caller_is_judged_as_at_the_token_endpoint(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """With the same bytes and the same reasons; whether the token is good makes no difference."""
    token = token_in(shared_server.token(credentials))
    at_token = refused(shared_server.token(unknown(credentials)), 401, "invalid_client")
    for about in (token, "nonsense"):
        answer = introspect(shared_server, unknown(credentials), about)
        assert refused(answer, 401, "invalid_client") == at_token
        wrong = Credentials(credentials.client_id, unknown(credentials).secret)
        assert refused(introspect(shared_server, wrong, about), 401, "invalid_client") == at_token
    for bring, reason in ((client_states.suspend, "suspended"), (client_states.expire, "expired")):
        caller = installation.create_client("hourpass.introspect:bookings")
        assert introspect(shared_server, caller, token).json()["active"] is True
        bring(installation, caller)
        members = refused(introspect(shared_server, caller, token), 401, "invalid_client")
        assert members["reason"] == reason
    caller = installation.create_client("hourpass.introspect:bookings")
    renewed = client_states.rotate(installation, caller)
    refused(introspect(shared_server, caller, token), 401, "invalid_client")
    assert introspect(shared_server, renewed, token).json()["active"] is True
    client_states.set_scopes(installation, renewed, "invoices:read")
    is_inactive(introspect(shared_server, renewed, token))
    client_states.delete(installation, renewed)
    refused(introspect(shared_server, renewed, token), 401, "invalid_client")


def test_a_caller_is_judged_by_its_organization_too(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """Suspended and active again, and back: each is seen by the next question."""
    token = token_in(shared_server.token(credentials))
    place = client_states.new_organization(installation, "asking-place")
    caller = installation.create_client("hourpass.introspect:bookings", organization=place)
    for _ in range(2):
        assert introspect(shared_server, caller, token).json()["active"] is True
        client_states.suspend_organization(installation, place)
        for _ in range(2):
            members = refused(introspect(shared_server, caller, token), 401, "invalid_client")
            assert members["reason"] == "organization_suspended"
        client_states.suspend_organization(installation, place, suspended=False)


def unknown(like: Credentials) -> Credentials:
    """Well-formed credentials of nobody."""
    from hourpass.server.clients import secrets

    return Credentials(like.client_id[:-4] + "0000", secrets.new().reveal())


def test_the_first_refusal_of_a_minute_is_on_record(
    shared_server: Server, installation: Installation, api: Credentials
) -> None:
    """An API that has gone blind can be found in the audit trail."""
    client_states.suspend(installation, api)
    answer = introspect(shared_server, api, "x")
    assert answer.status_code == 401
    (event,) = installation.events(client_id=api.client_id, event="token.refused")
    assert event["detail"]["reason"] == "introspect.suspended"
    assert event["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "changes", forged_tokens.WRONG_CLAIMS.values(), ids=forged_tokens.WRONG_CLAIMS.keys()
)
def test_whatever_else_it_is_is_inactive(
    shared_server: Server,
    installation: Installation,
    api: Credentials,
    credentials: Credentials,
    changes: dict[str, Any],
) -> None:
    """Although the signature is good."""
    claims = claims_in(shared_server.token(credentials))
    is_inactive(
        introspect(shared_server, api, forged_tokens.signed(installation, claims, **changes))
    )


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.b", "...", "\x00", "é" * 100, "x" * 9000, " "])
def test_what_is_no_token_is_inactive(shared_server: Server, api: Credentials, token: str) -> None:
    """200: a resource server must not mistake it for a fault."""
    is_inactive(introspect(shared_server, api, token))


def test_what_an_operator_does_is_seen_by_the_next_question(
    shared_server: Server, installation: Installation, api: Credentials
) -> None:
    """Suspended and expired clients keep what was issued; the rest is at once."""
    database = installation.context.database

    def active(token: str) -> bool:
        members: dict[str, Any] = introspect(shared_server, api, token).json()
        return bool(members["active"])

    client = installation.create_client("customers:read")
    token = token_in(shared_server.token(client))
    assert active(token)
    client_states.suspend(installation, client)
    assert active(token)
    lifecycle.revoke_tokens(database, client.client_id, TESTER)
    assert not active(token)
    client_states.activate(installation, client)
    token = token_in(shared_server.token(client))
    assert active(token)
    client_states.set_scopes(installation, client, "bookings:read")
    assert introspect(shared_server, api, token).json()["scope"] == "customers:read"
    client_states.delete(installation, client)
    assert not active(token)
    place = client_states.new_organization(installation, "introspect-place")
    token = token_in(
        shared_server.token(installation.create_client("customers:read", organization=place))
    )
    assert active(token)
    client_states.suspend_organization(installation, place)
    assert not active(token)


@pytest.mark.parametrize(
    ("sent", "status", "error"),
    [
        ({"method": "GET"}, 405, "invalid_request"),
        ({"data": {}}, 415, "invalid_request"),
        ({"content": b"", "headers": FORM}, 401, "invalid_client"),
        ({"content": b"token=x&token=y", "headers": FORM}, 400, "invalid_request"),
        ({"content": b"token=%zz", "headers": FORM}, 400, "invalid_request"),
        (
            {"content": b"token=x", "headers": {"Content-Type": "text/plain"}},
            415,
            "invalid_request",
        ),
        (
            {"content": b'{"token":1}', "headers": {"Content-Type": "application/json"}},
            400,
            "invalid_request",
        ),
        (
            {"content": b"token=x", "headers": FORM, "params": {"token": "x"}},
            400,
            "invalid_request",
        ),
        ({"content": b"token=" + b"x" * 17_000, "headers": FORM}, 413, "invalid_request"),
    ],
)
@pytest.mark.parametrize("route", ["/introspect", "/revoke"])
def test_malformed_questions_are_refused_with_a_line(
    shared_server: Server, route: str, sent: dict[str, Any], status: int, error: str
) -> None:
    """Never a 500, whatever comes."""
    sent = dict(sent)
    answer = shared_server.http.request(sent.pop("method", "POST"), route, **sent)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("route", ["/introspect", "/revoke"])
def test_a_question_without_a_token_is_told_so(
    shared_server: Server, api: Credentials, route: str
) -> None:
    """An empty one is an absent one."""
    answer = shared_server.http.post(route, data={"token": ""}, headers=api.basic)
    assert refused(answer, 400, "invalid_request")["error_description"].startswith("token is")


def test_two_methods_of_authentication_are_refused(shared_server: Server, api: Credentials) -> None:
    """As at the token endpoint."""
    body = f"token=x&client_secret={api.secret}".encode()
    with Connection(shared_server) as connection:
        head = [
            "POST /introspect HTTP/1.1",
            "Host: localhost",
            f"Authorization: {api.basic['Authorization']}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        ]
        connection.send("\r\n".join([*head, "", ""]).encode() + body)
        assert connection.answer().status == 400
