"""Settings > Scopes: the catalogue and who holds what."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from hourpass.server.catalogue import store
from hourpass.server.operators.model import Role
from hourpass.server.organizations import operations
from support.desk import Desk
from support.installation import CATALOGUE, TESTER


@pytest.mark.main_flow
def test_the_catalogue_says_what_each_scope_opens_and_who_holds_it(desk: Desk) -> None:
    """Only clients of the organization looked at are counted; the number leads to them."""
    organization = f"scopes-{id(desk)}"
    operations.create(desk.database, organization, "Scopes", TESTER)
    create = desk.server.installation.create_client
    create("customers:read", name="First", organization=organization)
    create("customers:read", "bookings:read", name="Second", organization=organization)
    create("customers:read", name="Elsewhere")
    desk.sign_in(desk.hire(Role.AUDITOR, organization))

    page = desk.open("/admin/scopes")

    row = page.get_by_role("row").filter(has_text="List customers")
    expect(row).to_contain_text("GET /customers")
    expect(page.get_by_role("row").filter(has_text="Change a profile")).to_contain_text("no client")
    expect(page.get_by_role("heading", level=2).last).to_have_text("Changing the catalogue")
    row.get_by_role("link", name="2 clients with customers:read").click()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_a_retired_scope_says_so(desk: Desk) -> None:
    """Its holders keep it, and nobody else gets it."""
    installation = desk.server.installation
    installation.create_client("profile:write", name="Holds what is retired")
    desk.sign_in()
    installation.apply_catalogue(CATALOGUE.replace("profile:write", "profile:change"))
    try:
        page = desk.open("/admin/scopes")
        row = page.get_by_role("row").filter(has_text="profile:write")
        expect(row).to_contain_text("Retired")
        expect(row).to_contain_text("whoever holds it keeps it")
    finally:
        installation.apply_catalogue()


def test_counts_have_a_limit_and_an_organization(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether an organization has few clients, counted at once, or many, counted by scope."""
    organization = f"held-{id(desk)}"
    operations.create(desk.database, organization, "Held", TESTER)
    create = desk.server.installation.create_client
    for name in ("One", "Two", "Three"):
        create("customers:read", name=name, organization=organization)
    create("customers:read", "bookings:read", name="Elsewhere")
    names = ["customers:read", "bookings:read"]

    for few in (5000, 0):
        monkeypatch.setattr(store, "_FEW", few)
        with desk.database.read() as connection:
            there = store.holders(connection, names, organization, at_most=10)
            limited = store.holders(connection, names, organization, at_most=2)
            everywhere = store.holders(connection, names, None, at_most=1000)
        assert there == {"customers:read": 3, "bookings:read": 0}
        assert limited == {"customers:read": 2, "bookings:read": 0}
        assert everywhere["customers:read"] >= 4


@pytest.mark.parametrize(
    "context", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]
)
def test_the_catalogue_keeps_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """axe finds nothing, in light, dark and on a narrow phone, where nothing sticks out."""
    desk = new_desk(**context)
    desk.sign_in()

    page = desk.open("/admin/scopes")

    desk.axe()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
