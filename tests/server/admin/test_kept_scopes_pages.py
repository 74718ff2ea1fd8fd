"""The admin pages, where the catalogue keeps an API to some organizations."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from hourpass.server.clients import lifecycle
from hourpass.server.operators.model import Role
from hourpass.server.organizations import operations
from support.desk import hire, visitor
from support.installation import CATALOGUE, TESTER, Server

KEPT = CATALOGUE.replace(
    'name = "Billing API"', 'name = "Billing API"\norganizations = ["acme", "studio-north"]'
)
WITH_BILLING = ("/admin/scopes", "/admin/clients", "/admin/clients/new")


@pytest.fixture
def people(server: Server) -> Iterator[dict[str, httpx.Client]]:
    """An owner of the installation, and an admin of each of two organizations, signed in."""
    installation = server.installation
    for name in ("acme", "other"):
        operations.create(installation.context.database, name, name, TESTER)
    with ExitStack() as stack:
        yield {
            place or "all": stack.enter_context(visitor(server, hire(installation, role, place)))
            for role, place in ((Role.OWNER, None), (Role.ADMIN, "acme"), (Role.ADMIN, "other"))
        }


def send(person: httpx.Client, path: str, **fields: object) -> httpx.Response:
    """The form at that path, filled in."""
    page = person.get(path).text
    hidden = dict(re.findall(r'name="(csrf|nonce|version)" value="([^"]*)"', page))
    return person.post(path, data={**hidden, **fields}, headers={"Sec-Fetch-Site": "same-origin"})


def fault(answer: httpx.Response) -> str:
    """What a form that came back says is wrong."""
    assert answer.status_code == 422, answer.text
    found = re.search(r'role="alert".*?</div>', answer.text, re.DOTALL)
    assert found is not None
    return found[0]


def test_pages_offer_what_the_organization_may_grant(
    server: Server, people: dict[str, httpx.Client]
) -> None:
    """Another organization's people find no trace of it; the installation's see to whom it is
    kept."""
    for place in ("acme", "other"):
        server.installation.create_client("customers:read", organization=place)
    server.installation.apply_catalogue(KEPT)

    for path in WITH_BILLING:
        pages = {name: person.get(path).text for name, person in people.items()}
        assert "invoices:read" in pages["all"]
        assert "invoices:read" in pages["acme"]
        assert "studio-north" not in pages["acme"]
        assert not re.search("invoices|billing|studio-north", pages["other"], re.IGNORECASE)
    assert "acme, studio-north" in people["all"].get("/admin/scopes").text
    assert "Kept to acme, studio-north." in people["all"].get("/admin/clients/new").text


@pytest.mark.spec("threats", "15", "no crossing of organizations (404, by API, page and CLI alike)")
def test_forms_refuse_what_is_kept_to_others(
    server: Server, people: dict[str, httpx.Client]
) -> None:
    """In the words of a scope that does not exist; the installation's people are told."""
    installation = server.installation
    plain = installation.create_client("customers:read", organization="other").client_id
    installation.apply_catalogue(KEPT)
    doors = {
        "/admin/clients/new": {"name": "CRM sync", "organization": "other"},
        f"/admin/clients/{plain}/scopes": {},
    }

    for path, fields in doors.items():
        kept, unknown = (
            fault(send(people["other"], path, scope=name, **fields))
            for name in ("invoices:read", "invoices:reax")
        )
        assert kept == unknown.replace("reax", "read")
        assert "There is no scope invoices:read." in kept
        told = fault(send(people["all"], path, scope="invoices:read", **fields))
        assert "keeps the scope invoices:read to other organizations than other" in told

    made = send(people["acme"], "/admin/clients/new", name="CRM sync", scope="invoices:read")
    assert "CRM sync is ready" in made.text


def test_a_form_leaves_a_holder_what_it_has(
    server: Server, people: dict[str, httpx.Client]
) -> None:
    """It is offered as what is retired is; saved without it, it is offered no more."""
    installation, other = server.installation, people["other"]
    held = ("invoices:read", "hourpass.introspect:billing")
    it = installation.create_client("customers:read", *held, organization="other").client_id
    installation.apply_catalogue(KEPT)
    path = f"/admin/clients/{it}/scopes"

    page = other.get(path).text
    assert all(f'value="{name}" checked' in page for name in held)
    assert "Retired" in page
    kept = send(other, path, scope=["bookings:read", *held])
    assert kept.status_code == 303
    client = lifecycle.read(installation.context.database, it, TESTER)
    assert client.scopes == {"bookings:read", *held}

    assert send(other, path, scope="bookings:read").status_code == 303
    assert not re.search("invoices|billing", other.get(path).text, re.IGNORECASE)
