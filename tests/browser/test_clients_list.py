"""Settings > API Clients: the list, its search and filters, its menus."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from hourpass.server.clients import lifecycle
from hourpass.server.operators.model import Role
from hourpass.server.organizations import operations
from support.desk import Desk
from support.installation import TESTER


@pytest.fixture
def acme(desk: Desk) -> str:
    """An organization with two clients, and its owner signed in."""
    organization = f"acme-{id(desk)}"
    operations.create(desk.database, organization, "Acme", TESTER)
    create = desk.server.installation.create_client
    create("customers:read", "bookings:read", name="CRM sync", organization=organization)
    stopped = create("bookings:read", name="Lobby display", organization=organization)
    lifecycle.suspend(desk.database, stopped.client_id, TESTER)
    desk.sign_in(desk.hire(Role.OWNER, organization))
    return organization


def test_the_list_shows_what_matters_of_each_client(desk: Desk, acme: str) -> None:
    """Newest first: name, client ID, status, scopes, expiry, last token, who made it."""
    page = desk.open("/admin/clients")

    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Lobby display")
    expect(rows.nth(0)).to_contain_text("Suspended")
    expect(rows.nth(1)).to_contain_text("m2m_")
    expect(rows.nth(1)).to_contain_text("no expiry")
    expect(rows.nth(1)).to_contain_text("never")
    expect(rows.nth(1)).to_contain_text("Tester")
    rows.nth(1).get_by_role("button", name="2 scopes of CRM sync").click()
    expect(page.locator(".pop:popover-open")).to_have_text("bookings:read customers:read")


@pytest.mark.main_flow
def test_the_list_follows_what_is_typed(desk: Desk, acme: str) -> None:
    """The address follows as well, so that it can be passed on."""
    page = desk.open("/admin/clients")

    page.get_by_role("searchbox").fill("lob")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("Lobby display")
    expect(page).to_have_url(f"{desk.server.url}/admin/clients?search=lob")
    page.get_by_label("Status").select_option("active")
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    expect(page.locator("tbody tr")).to_contain_text("CRM sync")


def test_the_menu_offers_what_would_not_be_refused(desk: Desk, acme: str) -> None:
    """By keyboard alone; an auditor has none."""
    page = desk.open("/admin/clients")

    page.get_by_role("button", name="Actions for Lobby display").press("Enter")
    menu = page.locator(".menu:popover-open")
    expect(menu.get_by_role("link")).to_have_text(
        [
            "Rotate Secret",
            "Re-activate",
            "Revoke Live Tokens",
            "Update Scopes",
            "Edit",
            "Delete",
        ]
    )
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    desk.sign_in(desk.hire(Role.AUDITOR, acme))
    desk.open("/admin/clients")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_role("button", name="Actions")).to_have_count(0)
    expect(page.get_by_role("link", name="Add Client")).to_have_count(0)


@pytest.mark.parametrize(
    "context", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]
)
def test_the_list_keeps_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """axe finds nothing, in light, dark and on a narrow phone, where nothing sticks out."""
    desk = new_desk(**context)
    desk.server.installation.create_client("customers:read", name="A name that is rather long")
    desk.sign_in()

    page = desk.open("/admin/clients")

    desk.axe()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_scripts_search_is_a_form(new_desk: Callable[..., Desk]) -> None:
    """And menus open all the same."""
    desk = new_desk(java_script_enabled=False)
    desk.server.installation.create_client("customers:read", name="Findable by all")
    desk.sign_in()
    page = desk.open("/admin/clients")

    page.get_by_role("searchbox").fill("findable")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Actions for Findable by all").first.click()

    expect(page.get_by_role("link", name="Suspend").first).to_be_visible()
