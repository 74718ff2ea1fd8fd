"""`/verify`: what passes, what does not, and what the caller of the API is told."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import client_states
import httpx
import pytest
from raw_http import Connection, RawAnswer
from token_answers import claims_in, token_in

from hourpass.server.clients import lifecycle
from hourpass.server.keys import operations
from support import forged_tokens
from support.installation import CATALOGUE, TESTER, Credentials, Installation, Server

ONE_API = CATALOGUE.partition('[[api]]\nkey = "billing"')[0]
API = "https://api.example.com"


@pytest.fixture
def installation(shared_server: Server) -> Installation:
    """The one that the shared server runs on."""
    return shared_server.installation


@pytest.fixture
def own_server(new_installation: Callable[..., Installation], tmp_path: Path) -> Iterator[Server]:
    """A server that nobody else uses."""
    made = new_installation(tmp_path / "own")
    running = Server(made)
    yield running
    running.stop()
    made.close()


@pytest.fixture
def credentials(installation: Installation) -> Credentials:
    """A client of the Bookings API."""
    return installation.create_client("customers:read", "bookings:read")


def ask(
    server: Server,
    token: str | None,
    target: str = "/customers",
    method: str = "GET",
    *,
    api: str | None = "bookings",
    **more: Any,
) -> httpx.Response:
    """What a proxy that is set up right asks."""
    headers = {"X-Forwarded-Method": method, "X-Forwarded-Uri": target}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    query = {} if api is None else {"api": api}
    return server.http.get("/verify", params=query, headers=headers, **more)


def challenge(answer: httpx.Response, status: int, error: str | None) -> str:
    """The challenge of a refusal, which must name this error in both places."""
    assert answer.status_code == status, answer.text
    assert not [name for name in answer.headers if name.startswith("x-hourpass")]
    value: str = answer.headers["www-authenticate"]
    assert value.startswith(f'Bearer realm="{API}"')
    if error is None:
        assert "error" not in value
    else:
        assert f'error="{error}"' in value
        assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    return value


def test_a_granted_request_passes_and_says_who_it_is(
    shared_server: Server, credentials: Credentials
) -> None:
    """Three headers, always all of them."""
    token = token_in(shared_server.token(credentials))
    answer = ask(shared_server, token, "/customer/7/bookings?page=2", "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-hourpass-client-id"] == credentials.client_id
    assert answer.headers["x-hourpass-scopes"] == "bookings:read customers:read"
    assert answer.headers["x-hourpass-organization"] == "default"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_the_method_of_the_question_does_not_matter(
    shared_server: Server, credentials: Credentials, method: str
) -> None:
    """Proxies ask with GET or with the caller's; the forwarded one is judged."""
    token = token_in(shared_server.token(credentials))
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/customers",
    }
    answer = shared_server.http.request(
        method, "/verify?api=bookings&unknown=1", headers=headers, content=b""
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "target", "scope"),
    [
        ("PUT", "/customer/7/profile", "profile:write"),
        ("GET", "/customer/7/profile", None),
        ("get", "/customers", None),
        ("GET", "/customers/", None),
        ("GET", "/Customers", None),
        ("GET", "/", None),
        ("OPTIONS", "/customers", None),
    ],
)
def test_what_the_token_does_not_grant_is_403(
    shared_server: Server, credentials: Credentials, method: str, target: str, scope: str | None
) -> None:
    """The challenge names the scope that would, if there is one."""
    token = token_in(shared_server.token(credentials))
    value = challenge(ask(shared_server, token, target, method), 403, "insufficient_scope")
    assert (f'scope="{scope}"' in value) if scope else ("scope=" not in value)


@pytest.mark.parametrize(
    "target",
    [
        "/customer/../customers",
        "/customer/%2e%2e/bookings",
        "/customer/a%2Fb/bookings",
        "/customer//bookings",
        "//customers",
        "/customer/7;x/bookings",
        "/customer/..;/bookings",
        "/customers#",
        "/customer/a\\b/bookings",
        "/customer/%5c/bookings",
        "/customer/%252e/bookings",
        "/customer/%00/bookings",
        "/customer/%ff/bookings",
        "/customers\tx",
        "http://evil.example/customers",
        "*",
        "customers",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_403(
    shared_server: Server, credentials: Credentials, target: str
) -> None:
    """Although a scope of the token would open it in one reading."""
    token = token_in(shared_server.token(credentials))
    challenge(ask(shared_server, token, target), 403, "insufficient_scope")


def raw(server: Server, *lines: str, target: str = "/verify?api=bookings") -> RawAnswer:
    """A question with exactly these header lines."""
    head = [f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", ""]
    with Connection(server) as connection:
        connection.send("\r\n".join(head).encode("latin-1"))
        return connection.answer()


def test_only_the_two_headers_are_read_and_each_must_be_there_once(
    shared_server: Server, credentials: Credentials
) -> None:
    """Every other spelling is another header."""
    bearer = f"Authorization: Bearer {token_in(shared_server.token(credentials))}"
    method, uri = "X-Forwarded-Method: GET", "X-Forwarded-Uri: /customers"
    assert raw(shared_server, bearer, method, uri).status == 200
    spelled = ("x-forwarded-method: GET", "X-FORWARDED-URI:   /customers ")
    assert raw(shared_server, bearer, *spelled).status == 200
    for lines in (
        (method,),
        (uri,),
        (method, uri, uri),
        (method, method, uri),
        (method, uri, "X-Forwarded-Uri: /customer/7/profile"),
        (method, "X_Forwarded_Uri: /customers"),
        (method, "X-Original-URI: /customers"),
        (method, "X-Forwarded-Uri: "),
        ("X-Forwarded-Method: ", uri),
        (method, "X-Forwarded-Uri: /customers,/customers "),
    ):
        assert raw(shared_server, bearer, *lines).status == 403, lines
    others = ("X_Forwarded_Uri: /nothing", "X-Original-Method: PUT", "X-Hourpass-Client-Id: m2m_x")
    answer = raw(shared_server, bearer, method, uri, *others)
    assert answer.status == 200
    assert answer.header("x-hourpass-client-id") == credentials.client_id


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ([], None),
        (["Basic YTpi"], None),
        ([""], None),
        (["Bearer"], "invalid_token"),
        (["Bearer "], "invalid_token"),
        (["Bearer {token}, Bearer {token}"], "invalid_token"),
        (["Bearer {token}", "Bearer {token}"], "invalid_token"),
        (["Bearer {token} {token}"], "invalid_token"),
        (["Bearer {token}x"], "invalid_token"),
        (["Bearer x.y.z"], "invalid_token"),
        (["Bearer ééé"], "invalid_token"),
    ],
)
def test_what_is_no_token_is_401(
    shared_server: Server,
    credentials: Credentials,
    authorization: list[str],
    error: str | None,
) -> None:
    """Before anything of the path is judged: here it is one that nobody may ask for."""
    token = token_in(shared_server.token(credentials))
    lines = [f"Authorization: {value.format(token=token)}" for value in authorization]
    answer = raw(shared_server, *lines, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /../x")
    assert answer.status == 401
    value = answer.header("www-authenticate") or ""
    assert value.startswith(f'Bearer realm="{API}"')
    assert (f'error="{error}"' in value) if error else ("error" not in value)


@pytest.mark.parametrize(
    "changes", forged_tokens.WRONG_CLAIMS.values(), ids=forged_tokens.WRONG_CLAIMS.keys()
)
def test_claims_are_judged_by_type_and_value_although_the_signature_is_good(
    shared_server: Server,
    installation: Installation,
    credentials: Credentials,
    changes: dict[str, Any],
) -> None:
    """401, never 500."""
    claims = claims_in(shared_server.token(credentials))
    good = forged_tokens.signed(installation, claims)
    assert ask(shared_server, good).status_code == 200
    wrong = forged_tokens.signed(installation, claims, **changes)
    challenge(ask(shared_server, wrong), 401, "invalid_token")
    assert ask(shared_server, good).status_code == 200


def test_a_token_for_another_api_opens_nothing(
    shared_server: Server, installation: Installation
) -> None:
    """Not even a request that both would grant; one for both APIs opens each."""
    both = installation.create_client("customers:read", "invoices:read")
    invoices = token_in(shared_server.token(both, scope="invoices:read"))
    challenge(ask(shared_server, invoices), 401, "invalid_token")
    for_both = token_in(shared_server.token(both))
    for api, target, scope in (
        ("bookings", "/customers", "customers:read"),
        ("billing", "/invoices", "invoices:read"),
    ):
        answer = ask(shared_server, for_both, target, api=api)
        assert (answer.status_code, answer.headers["x-hourpass-scopes"]) == (200, scope)
    assert ask(shared_server, for_both, "/customers", api="billing").status_code == 403
    management = installation.create_client("hourpass.clients:read")
    challenge(ask(shared_server, token_in(shared_server.token(management))), 401, "invalid_token")


@pytest.mark.parametrize(
    "query",
    ["", "?api=", "?api=nothing", "?api=hourpass", "?api=bookings&api=bookings", "?API=bookings"],
)
def test_the_api_has_to_be_named_where_there_are_several(
    shared_server: Server, credentials: Credentials, query: str
) -> None:
    """Whatever the token."""
    bearer = f"Authorization: Bearer {token_in(shared_server.token(credentials))}"
    lines = (bearer, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /customers")
    answer = raw(shared_server, *lines, target=f"/verify{query}")
    assert answer.status == 403
    assert json.loads(answer.body)["error"] == "invalid_request"


def test_one_api_need_not_be_named(own_server: Server) -> None:
    """And a catalogue that changes is judged by from then on."""
    installation = own_server.installation
    token = token_in(own_server.token(installation.create_client("customers:read")))
    assert ask(own_server, token, api=None).status_code == 403
    installation.apply_catalogue(ONE_API)
    assert ask(own_server, token, api=None).status_code == 200
    installation.apply_catalogue(ONE_API.replace("GET /customers", "GET /people"))
    assert ask(own_server, token, api=None).status_code == 403
    assert ask(own_server, token, "/people", api=None).status_code == 200
    installation.apply_catalogue(CATALOGUE.replace('"billing"', '"invoices"'))
    assert ask(own_server, token, api="invoices").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "bookings/customers", 200),
        ("GET", "bookings/customers?page=2", 200),
        ("PUT", "bookings/customers", 403),
        ("GET", "bookings/customer/7/bookings", 200),
        ("GET", "bookings/customer/%37/bookings", 200),
        ("GET", "bookings/customer/a%2Fb/bookings", 403),
        ("GET", "bookings/customer/../customers", 403),
        ("GET", "bookings//customers", 403),
        ("GET", "bookings/../bookings/customers", 403),
        ("GET", "bookings/customers;x", 403),
        ("GET", "bookings", 403),
        ("GET", "bookings/", 403),
        ("GET", "nothing/customers", 403),
        ("GET", "book%69ngs/customers", 403),
        ("GET", "billing/customers", 401),
        ("GET", "/customers", 403),
        ("GET", "bookings/customers#", 400),
        ("GET", "bookings/customers?a#b", 400),
        # It ends like the other form, which reads the headers; this one does not.
        ("GET", "bookings/customer/1/booking/verify", 200),
        ("GET", "bookings/nothing/verify?api=bookings", 403),
        ("GET", "billing/verify?api=bookings", 401),
    ],
)
def test_a_proxy_may_append_method_and_path(
    shared_server: Server, credentials: Credentials, method: str, path: str, status: int
) -> None:
    """Then the forwarded headers are not read."""
    bearer = f"Authorization: Bearer {token_in(shared_server.token(credentials))}"
    head = [
        f"{method} /verify/{path} HTTP/1.1",
        "Host: localhost",
        bearer,
        "X-Forwarded-Method: GET",
        "X-Forwarded-Uri: /customers",
        "Content-Length: 0",
    ]
    with Connection(shared_server) as connection:
        connection.send("\r\n".join([*head, "", ""]).encode("ascii"))
        assert connection.answer().status == status


def test_what_an_operator_does_is_seen_by_the_next_question(
    shared_server: Server, installation: Installation
) -> None:
    """Suspended and expired clients keep what was issued; the rest is at once."""
    database = installation.context.database

    def fresh() -> tuple[Credentials, str]:
        made = installation.create_client("customers:read")
        token = token_in(shared_server.token(made))
        assert ask(shared_server, token).status_code == 200
        return made, token

    client, token = fresh()
    client_states.suspend(installation, client)
    assert ask(shared_server, token).status_code == 200
    lifecycle.suspend(database, client.client_id, TESTER, revoke_live_tokens=True)
    challenge(ask(shared_server, token), 401, "invalid_token")

    client, token = fresh()
    client_states.expire(installation, client)
    assert ask(shared_server, token).status_code == 200
    client_states.set_scopes(installation, client, "bookings:read")
    assert ask(shared_server, token).status_code == 200
    lifecycle.revoke_tokens(database, client.client_id, TESTER)
    challenge(ask(shared_server, token), 401, "invalid_token")

    client, token = fresh()
    client_states.rotate(installation, client)
    assert ask(shared_server, token).status_code == 200
    client_states.delete(installation, client)
    challenge(ask(shared_server, token), 401, "invalid_token")

    place = client_states.new_organization(installation, "verify-place")
    made = installation.create_client("customers:read", organization=place)
    token = token_in(shared_server.token(made))
    assert ask(shared_server, token).status_code == 200
    client_states.suspend_organization(installation, place)
    challenge(ask(shared_server, token), 401, "invalid_token")


def test_keys_that_rotate_or_are_revoked_are_seen_at_once(own_server: Server) -> None:
    """The first token of a new key passes; the last of a revoked one does not."""
    installation = own_server.installation
    context = installation.context
    client = installation.create_client("customers:read")
    token = token_in(own_server.token(client))
    assert ask(own_server, token).status_code == 200
    with context.database.read() as connection:
        signer = context.keyring().signer(context.database.now(connection))
    assert signer is not None
    operations.revoke(context.database, context.policy, signer.kid, TESTER)
    newer = token_in(own_server.token(client))
    assert ask(own_server, newer).status_code == 200
    challenge(ask(own_server, token), 401, "invalid_token")
