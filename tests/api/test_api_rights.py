"""No way around the rights: other organizations, stronger clients, narrower tokens."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from api_caller import (
    EVERY_SCOPE,
    ORGANIZATION_SCOPES,
    WITHIN_ONE,
    Caller,
    new_organization,
    problem,
)

from hourpass.server.clients import lifecycle
from support.installation import TESTER, Credentials, Server

CLIENTS = ("hourpass.clients:read", "hourpass.clients:write")
Door = Callable[[Caller, str], httpx.Response]


def etag(caller: Caller, client_id: str) -> dict[str, str]:
    """If-Match for the client as it is, or as a client would be that nobody changed."""
    seen = caller("GET", f"/clients/{client_id}")
    return {"If-Match": seen.headers.get("etag", '"1"')}


def set_scopes(*scopes: str) -> Door:
    """Replace the scopes."""
    return lambda caller, it: caller(
        "PATCH", f"/clients/{it}", json={"scopes": list(scopes)}, headers=etag(caller, it)
    )


def post(deed: str) -> Door:
    """A deed without a body."""
    return lambda caller, it: caller("POST", f"/clients/{it}/{deed}")


FREE: dict[str, Door] = {
    "suspend": post("suspend"),
    "revoke": post("revoke-tokens"),
    "suspend and revoke": lambda caller, it: caller(
        "POST", f"/clients/{it}/suspend", json={"revoke_live_tokens": True}
    ),
}
DOORS: dict[str, Door] = {
    "rename": lambda caller, it: caller("PATCH", f"/clients/{it}", json={"name": "Mine"}),
    "add a scope": set_scopes("bookings:read", "hourpass.keys:write", "customers:read"),
    "take the scope away": set_scopes("bookings:read"),
    "rotate": post("rotate-secret"),
    "activate": post("activate"),
    "delete": lambda caller, it: caller("DELETE", f"/clients/{it}"),
}


def as_it_is(server: Server, client: Credentials) -> Any:
    """The client, beside the API."""
    return lifecycle.read(server.installation.context.database, client.client_id, TESTER)


@pytest.mark.spec(
    "contract",
    "Who may do what",
    "Whoever creates, changes, rotates, activates or deletes a client must hold every management "
    "scope that the client holds before and after the operation",
)
@pytest.mark.parametrize("door", DOORS)
def test_a_stronger_client_cannot_be_taken_over(door: str, shared_server: Server) -> None:
    """Rotating or waking a client that holds more is an escalation as much as a grant is."""
    caller = Caller(shared_server, *CLIENTS)
    stronger = shared_server.installation.create_client("bookings:read", "hourpass.keys:write")
    lifecycle.suspend(shared_server.installation.context.database, stronger.client_id, TESTER)
    before = as_it_is(shared_server, stronger)

    answer = DOORS[door](caller, stronger.client_id)

    assert problem(answer) == (403, "forbidden")
    assert "hourpass.keys:write" in answer.json()["detail"]
    assert as_it_is(shared_server, stronger) == before


@pytest.mark.parametrize("door", DOORS)
def test_whoever_holds_as_much_may_do_it(door: str, shared_server: Server) -> None:
    """The same doors open for a caller that holds the scope."""
    caller = Caller(shared_server, *CLIENTS, "hourpass.keys:write")
    equal = shared_server.installation.create_client("bookings:read", "hourpass.keys:write")

    answer = DOORS[door](caller, equal.client_id)

    assert answer.is_success, answer.text


@pytest.mark.spec("contract", "Who may do what", "`suspend` and `revoke_tokens` are free")
@pytest.mark.parametrize("door", FREE)
def test_a_leak_of_a_stronger_client_can_be_stopped(door: str, shared_server: Server) -> None:
    """Whoever may write clients can stop any of them."""
    caller = Caller(shared_server, *CLIENTS)
    stronger = shared_server.installation.create_client(*EVERY_SCOPE)

    assert FREE[door](caller, stronger.client_id).status_code == 200


@pytest.mark.parametrize("scope", [name for name in EVERY_SCOPE if name not in CLIENTS])
def test_a_scope_that_the_caller_lacks_cannot_be_given(scope: str, shared_server: Server) -> None:
    """Neither to a new client, nor to one that is there, nor to oneself."""
    caller = Caller(shared_server, *CLIENTS)
    other = caller.create("bookings:read")
    doors = [
        caller("POST", "/clients", json={"name": "Proxy", "scopes": [scope]}),
        set_scopes("bookings:read", scope)(caller, other.client_id),
        set_scopes(*CLIENTS, scope)(caller, caller.credentials.client_id),
    ]

    assert [problem(answer) for answer in doors] == [(403, "forbidden")] * 3


@pytest.mark.parametrize("scope", ORGANIZATION_SCOPES)
def test_no_client_gives_the_sight_of_every_organization(scope: str, shared_server: Server) -> None:
    """Only a command or an installation owner can, though the client holds it itself."""
    caller = Caller(shared_server, *EVERY_SCOPE)

    answer = caller("POST", "/clients", json={"name": "Proxy", "scopes": [scope]})

    assert problem(answer) == (403, "forbidden")


def test_scopes_of_apis_and_of_introspection_are_everybodys_to_give(
    shared_server: Server,
) -> None:
    """Whoever may write clients in the organization grants them without holding them."""
    caller = Caller(shared_server, *CLIENTS)

    made = caller.create("customers:read", "hourpass.introspect:bookings")

    assert as_it_is(shared_server, made).scopes == {
        "customers:read",
        "hourpass.introspect:bookings",
    }


READS: dict[str, Door] = {
    "get": lambda caller, it: caller("GET", f"/clients/{it}"),
    "usage": lambda caller, it: caller("GET", f"/clients/{it}/usage"),
}


@pytest.mark.spec("threats", "15", "no crossing of organizations (404, by API, page and CLI alike)")
@pytest.mark.parametrize("door", [*READS, *FREE, *DOORS])
def test_a_client_of_another_organization_is_not_there(door: str, shared_server: Server) -> None:
    """The answer is that for a client that never was, by every door."""
    here, there = (new_organization(shared_server.installation) for _ in range(2))
    caller = Caller(shared_server, *WITHIN_ONE, organization=here)
    foreign = shared_server.installation.create_client("bookings:read", organization=there)
    before = as_it_is(shared_server, foreign)
    call = {**READS, **FREE, **DOORS}[door]
    nobody = "m2m_" + "0" * 20

    answers = [call(caller, foreign.client_id), call(caller, nobody)]

    assert [problem(answer) for answer in answers] == [(404, "not-found")] * 2
    assert (
        answers[0].json()["detail"].replace(foreign.client_id, nobody)
        == (answers[1].json()["detail"])
    )
    assert as_it_is(shared_server, foreign) == before


def test_lists_and_new_clients_stay_within_the_organization(shared_server: Server) -> None:
    """Neither a filter nor a member names another organization, be it there or not."""
    here, there = (new_organization(shared_server.installation) for _ in range(2))
    caller = Caller(shared_server, *WITHIN_ONE, organization=here)
    shared_server.installation.create_client("bookings:read", organization=there)
    for organization in (there, "never-was", "default"):
        answers = [
            caller("GET", "/clients", params={"organization": organization}),
            caller("GET", "/audit-events", params={"organization": organization}),
            caller("GET", "/audit-events/export", params={"organization": organization}),
            caller(
                "POST",
                "/clients",
                json={"name": "x", "scopes": ["bookings:read"], "organization": organization},
            ),
        ]
        assert [problem(answer) for answer in answers] == [(404, "not-found")] * 4

    assert {item["organization"] for item in caller.every("/clients")} == {here}
    assert {item["organization"] for item in caller.every("/audit-events")} == {here}
    assert as_it_is(shared_server, caller.create("bookings:read")).organization == here


def test_with_the_scopes_for_it_every_organization_is_open(shared_server: Server) -> None:
    """`organizations:read` shows all; `organizations:write` lets them be changed too."""
    there = new_organization(shared_server.installation)
    foreign = shared_server.installation.create_client("bookings:read", organization=there)
    reader = Caller(shared_server, *CLIENTS, "hourpass.organizations:read")
    writer = Caller(shared_server, *CLIENTS, "hourpass.organizations:write")
    path = f"/clients/{foreign.client_id}"

    assert reader("GET", path).status_code == 200
    assert [item["client_id"] for item in reader.every("/clients", organization=there)] == [
        foreign.client_id
    ]
    assert problem(reader("POST", f"{path}/suspend")) == (403, "forbidden")
    assert problem(
        reader(
            "POST",
            "/clients",
            json={"name": "x", "scopes": ["bookings:read"], "organization": there},
        )
    ) == (403, "forbidden")
    assert writer("POST", f"{path}/suspend").status_code == 200
    writer.create("bookings:read", organization=there)


NOBODY = "opr_00000000000000000000"
ROUTES = [
    ("GET", "/clients", "hourpass.clients:read"),
    ("GET", "/clients/m2m_00000000000000000000", "hourpass.clients:read"),
    ("GET", "/clients/m2m_00000000000000000000/usage", "hourpass.clients:read"),
    ("POST", "/clients", "hourpass.clients:write"),
    ("PATCH", "/clients/m2m_00000000000000000000", "hourpass.clients:write"),
    ("DELETE", "/clients/m2m_00000000000000000000", "hourpass.clients:write"),
    *(
        ("POST", f"/clients/m2m_00000000000000000000/{deed}", "hourpass.clients:write")
        for deed in ("rotate-secret", "suspend", "activate", "revoke-tokens")
    ),
    ("GET", "/apis", "hourpass.catalogue:read"),
    ("GET", "/scopes", "hourpass.catalogue:read"),
    ("GET", "/audit-events", "hourpass.audit:read"),
    ("GET", "/audit-events/export", "hourpass.audit:read"),
    ("GET", "/keys", "hourpass.keys:read"),
    ("POST", "/keys/rotate", "hourpass.keys:write"),
    ("GET", "/organizations", "hourpass.organizations:read"),
    ("GET", "/organizations/default", "hourpass.organizations:read"),
    ("POST", "/organizations", "hourpass.organizations:write"),
    ("PATCH", "/organizations/never-was", "hourpass.organizations:write"),
    ("POST", "/organizations/never-was/suspend", "hourpass.organizations:write"),
    ("POST", "/organizations/never-was/activate", "hourpass.organizations:write"),
    ("GET", "/operators", "hourpass.operators:read"),
    ("GET", f"/operators/{NOBODY}", "hourpass.operators:read"),
    ("POST", "/operators", "hourpass.operators:write"),
    ("DELETE", f"/operators/{NOBODY}", "hourpass.operators:write"),
    ("POST", f"/operators/{NOBODY}/reset", "hourpass.operators:write"),
    ("PUT", f"/operators/{NOBODY}/memberships/never-was", "hourpass.operators:write"),
    ("DELETE", f"/operators/{NOBODY}/memberships/never-was", "hourpass.operators:write"),
]


@pytest.mark.spec("threats", "15", "read-only roles cannot write")
def test_every_route_needs_its_scope_and_no_other_opens_it(shared_server: Server) -> None:
    """A caller with every scope but the one is told which it lacks; nothing else is looked at."""
    body = {"name": "x", "scopes": ["bookings:read"]}
    callers = {
        scope: Caller(shared_server, *(set(EVERY_SCOPE) - {scope}))
        for scope in {scope for _, _, scope in ROUTES}
    }
    for method, path, scope in ROUTES:
        sent = body if method in ("POST", "PATCH") else None
        answer = callers[scope](method, path, json=sent)

        assert problem(answer) == (403, "insufficient-scope"), (method, path)
        assert f'scope="{scope}"' in answer.headers["www-authenticate"]


def test_the_routes_above_are_all_routes(shared_server: Server) -> None:
    """The document has no operation that the test above leaves out."""
    document = shared_server.http.get("/api/v1/openapi.json").json()
    described = {
        (method.upper(), path, operation["security"][0]["bearer"][0])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    named = {(method, "/api/v1" + _as_template(path), scope) for method, path, scope in ROUTES}

    assert described == named


def _as_template(path: str) -> str:
    path = path.replace("m2m_00000000000000000000", "{client_id}")
    path = path.replace(NOBODY, "{operator_id}")
    return path.replace("never-was", "{organization_id}").replace("default", "{organization_id}")


def test_a_narrowed_token_opens_only_what_it_names(shared_server: Server) -> None:
    """The client holds the scope, the token was not asked for with it."""
    caller = Caller(shared_server, *CLIENTS)
    narrow = caller.new_token(scope="hourpass.clients:read")
    body = {"name": "x", "scopes": ["bookings:read"]}

    assert caller("GET", "/clients", token=narrow).status_code == 200
    assert problem(caller("POST", "/clients", token=narrow, json=body)) == (
        403,
        "insufficient-scope",
    )
