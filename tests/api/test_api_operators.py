"""Operators over the management API: inviting, changing, resetting and removing people."""

from uuid import uuid4

import pytest
from api_caller import ORGANIZATION_SCOPES, WITHIN_ONE, Caller, new_organization, problem

from hourpass.server.operators import lifecycle
from hourpass.server.operators.credentials.passwords import Password
from hourpass.server.operators.model import Role
from hourpass.server.operators.tokens import Token
from support.hashing import HASHING
from support.installation import TESTER, Server

OPERATORS = ("hourpass.operators:read", "hourpass.operators:write")


def address() -> str:
    """Nobody's address so far."""
    return f"{uuid4().hex[:12]}@example.com"


@pytest.fixture
def acme(shared_server: Server) -> Caller:
    """A caller who holds all that an owner of its organization holds."""
    return Caller(
        shared_server, *WITHIN_ONE, organization=new_organization(shared_server.installation)
    )


def test_an_invited_person_signs_up_with_the_link_that_is_shown_once(acme: Caller) -> None:
    """The link is in the answer to the invitation and in no other."""
    email = address()

    invited = acme("POST", "/operators", json={"email": email.upper(), "role": "admin"})

    assert invited.status_code == 201, invited.text
    person = invited.json()
    assert person["email"] == email
    assert person["status"] == "invited"
    assert person["memberships"] == [{"organization": acme.organization, "role": "admin"}]
    assert person["link"].startswith(f"{acme.server.url}/admin/invitation#")
    token = person["link"].partition("#")[2]
    seen = acme("GET", f"/operators/{person['operator_id']}")
    assert token not in seen.text
    assert token not in acme("GET", "/operators").text
    assert token not in acme("GET", "/audit-events").text

    database = acme.server.installation.context.database
    password = Password("seven green lamps at noon")
    lifecycle.use_link(database, HASHING, Token(token), password, TESTER)

    assert acme("GET", f"/operators/{person['operator_id']}").json()["status"] == "active"


def test_a_role_is_changed_and_taken(acme: Caller) -> None:
    """Who has no role left is gone; each deed is in the organization's audit trail."""
    person = acme("POST", "/operators", json={"email": address(), "role": "auditor"}).json()
    one = f"/operators/{person['operator_id']}"
    role = f"{one}/memberships/{acme.organization}"

    raised = acme("PUT", role, json={"role": "owner"})

    assert raised.status_code == 200, raised.text
    assert raised.json()["memberships"][0]["role"] == "owner"
    assert acme("DELETE", role).status_code == 204
    assert problem(acme("GET", one)) == (404, "not-found")
    events = [event["event"] for event in acme("GET", "/audit-events").json()["items"]]
    assert events[:3] == ["operator.removed", "operator.invited", "operator.invited"]


def test_a_reset_makes_a_new_link_and_a_removal_ends_the_person(acme: Caller) -> None:
    """The link of the invitation is dead once there is another."""
    person = acme("POST", "/operators", json={"email": address(), "role": "admin"}).json()
    one = f"/operators/{person['operator_id']}"

    again = acme("POST", f"{one}/reset")

    assert again.status_code == 200, again.text
    assert again.json()["link"] != person["link"]
    dead = Token(person["link"].partition("#")[2])
    with pytest.raises(lifecycle.DeadLink):
        lifecycle.look_at_link(acme.server.installation.context.database, dead)
    assert acme("DELETE", one).status_code == 204
    assert problem(acme("DELETE", one)) == (404, "not-found")


def test_people_of_other_organizations_are_not_there(acme: Caller) -> None:
    """Neither listed nor found nor changed, and no organization but the own is named."""
    other = Caller(
        acme.server, *WITHIN_ONE, organization=new_organization(acme.server.installation)
    )
    stranger = other("POST", "/operators", json={"email": address(), "role": "admin"}).json()
    one = f"/operators/{stranger['operator_id']}"
    there = f"{one}/memberships/{other.organization}"

    assert problem(acme("GET", one)) == (404, "not-found")
    assert problem(acme("DELETE", one)) == (404, "not-found")
    assert problem(acme("POST", f"{one}/reset")) == (404, "not-found")
    assert problem(acme("PUT", there, json={"role": "auditor"})) == (404, "not-found")
    assert problem(acme("DELETE", there)) == (404, "not-found")
    assert problem(acme("GET", f"/operators?organization={other.organization}")) == (
        404,
        "not-found",
    )
    asked = {"email": address(), "role": "auditor", "organization": other.organization}
    assert problem(acme("POST", "/operators", json=asked)) == (404, "not-found")
    assert stranger["email"] not in acme("GET", "/operators").text
    assert other("GET", one).status_code == 200


def test_roles_that_the_caller_may_not_know_of_are_hidden(acme: Caller) -> None:
    """A person of two organizations is shown to each with its own role only."""
    installation = acme.server.installation
    elsewhere = new_organization(installation)
    email = address()
    database = installation.context.database
    person = lifecycle.set_role(database, email, acme.organization, Role.AUDITOR, TESTER).operator
    lifecycle.set_role(database, email, elsewhere, Role.OWNER, TESTER)

    seen = acme("GET", f"/operators/{person.operator_id}")

    assert seen.json()["memberships"] == [{"organization": acme.organization, "role": "auditor"}]
    assert elsewhere not in acme("GET", "/operators").text
    removed = acme("DELETE", f"/operators/{person.operator_id}")
    assert problem(removed) == (403, "forbidden"), (
        "who removes a person could do all that the person can"
    )


def test_nobody_gives_a_role_that_holds_what_they_lack(acme: Caller) -> None:
    """To make an owner takes all that an owner holds, on the caller's row."""
    weak = Caller(acme.server, *OPERATORS, "hourpass.clients:read", organization=acme.organization)

    for role in Role:
        asked = weak("POST", "/operators", json={"email": address(), "role": role.value})
        assert problem(asked) == (403, "forbidden"), role


def test_no_client_gives_or_sees_a_role_in_the_installation(shared_server: Server) -> None:
    """Not even one that holds every management scope."""
    mighty = Caller(shared_server, *WITHIN_ONE, *ORGANIZATION_SCOPES)
    database = shared_server.installation.context.database
    email = address()
    owner = lifecycle.set_role(database, email, None, Role.OWNER, TESTER).operator

    assert problem(mighty("GET", f"/operators/{owner.operator_id}")) == (404, "not-found")
    assert email not in mighty("GET", "/operators?limit=200").text
    asked = {"email": address(), "role": "owner", "organization": None}
    made = mighty("POST", "/operators", json=asked).json()
    assert made["memberships"] == [{"organization": "default", "role": "owner"}]


def test_operators_are_listed_page_by_page_newest_first(acme: Caller) -> None:
    """Each once; a cursor is good for its filters only."""
    emails = [address() for _ in range(5)]
    for email in emails:
        acme("POST", "/operators", json={"email": email, "role": "auditor"})

    listed = acme.every("/operators", limit=2)

    assert [person["email"] for person in listed] == emails[::-1]
    cursor = acme("GET", "/operators?limit=2").json()["next_cursor"]
    other = {"cursor": cursor, "organization": acme.organization}
    assert problem(acme("GET", "/operators", params=other)) == (400, "invalid-cursor")


@pytest.mark.parametrize(
    "given",
    [
        {"email": "nobody", "role": "admin"},
        {"email": "a@b@c", "role": "admin"},
        {"email": "ana\u202e@example.com", "role": "admin"},
        {"email": "ana@example.com", "role": "king"},
        {"email": "ana@example.com"},
        {"email": "ana@example.com", "role": "admin", "organization": "Not An ID"},
    ],
)
def test_what_is_no_person_is_refused(acme: Caller, given: dict[str, str]) -> None:
    """With the member that is wrong."""
    assert problem(acme("POST", "/operators", json=given)) == (422, "invalid-input")


@pytest.mark.parametrize("name", ["x", "%00", "opr_%F0%9F%98%80", "a" * 300, "..%2f.."])
def test_odd_names_in_the_path_are_not_found(acme: Caller, name: str) -> None:
    """Never a 500."""
    person = acme("POST", "/operators", json={"email": address(), "role": "auditor"}).json()

    assert acme("GET", f"/operators/{name}").status_code == 404
    answer = acme(
        "PUT",
        f"/operators/{person['operator_id']}/memberships/{name}",
        json={"role": "auditor"},
    )
    assert answer.status_code == 404
