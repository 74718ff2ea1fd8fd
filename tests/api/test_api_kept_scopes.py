"""The management API, where the catalogue keeps an API to some organizations."""

from typing import Any

import pytest
from api_caller import WITHIN_ONE, Caller, problem

from hourpass.server.organizations import operations
from support.installation import CATALOGUE, TESTER, Server

KEPT = CATALOGUE.replace(
    'name = "Billing API"', 'name = "Billing API"\norganizations = ["acme", "studio-north"]'
)


@pytest.fixture
def callers(server: Server) -> dict[str, Caller]:
    """One of each of two organizations, and one who sees every organization."""
    for name in ("acme", "other"):
        operations.create(server.installation.context.database, name, name, TESTER)
    return {
        "acme": Caller(server, *WITHIN_ONE, organization="acme"),
        "other": Caller(server, *WITHIN_ONE, organization="other"),
        "all": Caller(server, *WITHIN_ONE, "hourpass.organizations:read"),
    }


def create(caller: Caller, scope: str) -> Any:
    """The answer to a creation."""
    return caller("POST", "/clients", json={"name": "CRM sync", "scopes": [scope]})


def patch(caller: Caller, client_id: str, *scopes: str) -> Any:
    """The answer to a change of scopes."""
    etag = caller("GET", f"/clients/{client_id}").headers["etag"]
    return caller(
        "PATCH",
        f"/clients/{client_id}",
        json={"scopes": list(scopes)},
        headers={"If-Match": etag},
    )


@pytest.mark.spec("threats", "15", "no crossing of organizations (404, by API, page and CLI alike)")
def test_a_kept_scope_is_refused_as_any_that_cannot_be_granted(
    server: Server, callers: dict[str, Caller]
) -> None:
    """From the moment it is applied: 422 with the words of an unknown scope, and a holder keeps
    it, gets tokens with it and can be changed."""
    acme, other = callers["acme"], callers["other"]
    holder = other.create("customers:read", "invoices:read")
    plain = other.create("customers:read")
    server.installation.apply_catalogue(KEPT)

    answers = [
        *(create(other, name) for name in ("invoices:read", "invoices:reax")),
        *(patch(other, plain.client_id, name) for name in ("invoices:read", "invoices:reax")),
    ]
    assert [problem(answer) for answer in answers] == [(422, "invalid-input")] * 4
    unknown = "there is no scope invoices:reax; GET /api/v1/scopes shows them"
    assert answers[1].json()["errors"] == [{"member": "scopes", "problem": unknown}]
    told = {
        (answer.json()["detail"], answer.json()["errors"][0]["problem"]) for answer in answers[::2]
    }
    assert told == {
        tuple(
            words.replace("reax", "read")
            for words in (answer.json()["detail"], answer.json()["errors"][0]["problem"])
        )
        for answer in answers[1::2]
    }

    assert server.token(holder, scope="invoices:read").json()["scope"] == "invoices:read"
    path = f"/clients/{holder.client_id}"
    assert other("PATCH", path, json={"name": "Renamed"}).status_code == 200
    assert patch(other, holder.client_id, "bookings:read", "invoices:read").status_code == 200
    assert server.token(holder).json()["scope"] == "bookings:read invoices:read"
    assert patch(other, holder.client_id, "bookings:read").status_code == 200
    assert problem(patch(other, holder.client_id, "bookings:read", "invoices:read")) == (
        422,
        "invalid-input",
    )

    assert server.token(acme.create("invoices:read")).json()["scope"] == "invoices:read"
    told_all = create(callers["all"], "invoices:read")
    assert problem(told_all) == (422, "invalid-input")
    assert "to other organizations than default" in told_all.json()["detail"]


def test_each_caller_sees_what_its_organization_may_grant(
    server: Server, callers: dict[str, Caller]
) -> None:
    """Whoever sees every organization sees all, with those it is kept to; an organization sees
    no other's name."""
    other = callers["other"]
    before = (other.every("/apis"), other.every("/scopes"))
    server.installation.apply_catalogue(KEPT)

    for name, kept_to in {"all": ["acme", "studio-north"], "acme": ["acme"], "other": None}.items():
        apis = {api["key"]: api["organizations"] for api in callers[name].every("/apis")}
        scopes = {item["name"]: item["organizations"] for item in callers[name].every("/scopes")}
        assert apis.get("billing") == scopes.get("invoices:read") == kept_to
        assert ("billing" in apis, "invoices:read" in scopes) == (bool(kept_to),) * 2
        assert apis["bookings"] is apis["hourpass"] is scopes["customers:read"] is None
        assert "hourpass.clients:read" in scopes

    server.installation.apply_catalogue(CATALOGUE)
    assert (other.every("/apis"), other.every("/scopes")) == before
