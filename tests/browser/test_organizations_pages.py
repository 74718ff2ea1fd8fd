"""Settings > Organizations."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from hourpass.server.operators.model import Role
from support.desk import Desk


@pytest.mark.main_flow
def test_an_organization_is_made_renamed_suspended_and_re_activated(desk: Desk) -> None:
    """Its clients stop with it and go on with it."""
    desk.sign_in()
    page = desk.open("/admin/organizations")
    name = f"acme-{id(desk)}"
    page.get_by_role("link", name="Add Organization").click()
    page.get_by_label("Name").fill("Acme")
    page.get_by_label("ID", exact=True).fill(name)
    page.get_by_role("button", name="Add Organization").click()
    expect(page.get_by_role("status").first).to_contain_text("Created")
    client = desk.server.installation.create_client("customers:read", organization=name)

    row = page.locator("tr", has_text=name)
    row.get_by_role("button", name="Actions for Acme").click()
    page.get_by_role("link", name="Rename").last.click()
    page.get_by_label("Name").fill("Acme Ltd")
    page.get_by_role("button", name="Save").click()
    row.get_by_role("button", name="Actions for Acme Ltd").click()
    row.get_by_role("link", name="Suspend").click()
    expect(page.get_by_role("dialog")).to_contain_text("its operators cannot sign in")
    page.get_by_role("dialog").get_by_role("button", name="Suspend organization").click()

    expect(row).to_contain_text("Suspended")
    assert desk.server.token(client).json()["reason"] == "organization_suspended"
    row.get_by_role("button", name="Actions for Acme Ltd").click()
    row.get_by_role("link", name="Re-activate").click()
    page.get_by_role("dialog").get_by_role("button", name="Re-activate organization").click()
    expect(row).to_contain_text("Active")
    assert desk.server.token(client).status_code == 200


def test_an_id_that_is_taken_or_no_id_is_said(desk: Desk) -> None:
    """And what was typed stays."""
    desk.sign_in()
    page = desk.open("/admin/organizations/new")
    page.get_by_label("Name").fill("Another default")
    page.get_by_label("ID", exact=True).fill("default")
    page.get_by_role("button", name="Add Organization").click()

    expect(page.get_by_role("alert")).to_contain_text("default already")
    expect(page.get_by_label("Name")).to_have_value("Another default")


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OWNER])
def test_who_may_not_change_organizations_does_not(desk: Desk, role: Role) -> None:
    """An auditor of the installation looks; an organization's owner does not even see the list."""
    everywhere = role is Role.AUDITOR
    desk.sign_in(desk.hire(role, None if everywhere else "default"))
    page = desk.open("/admin/organizations")

    if everywhere:
        expect(page.get_by_role("heading", level=1)).to_have_text("Organizations")
        expect(page.get_by_role("button", name="Actions")).to_have_count(0)
        expect(page.get_by_role("link", name="Add Organization")).to_have_count(0)
        page = desk.open("/admin/organizations/default/suspend")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not for you to do")


def test_the_switcher_says_which_organization_is_looked_at(desk: Desk) -> None:
    """It is there for who may look at several, and is remembered."""
    name = f"beta-{id(desk)}"
    desk.sign_in()
    page = desk.open("/admin/organizations/new")
    page.get_by_label("Name").fill("Beta")
    page.get_by_label("ID", exact=True).fill(name)
    page.get_by_role("button", name="Add Organization").click()
    desk.server.installation.create_client("customers:read", name="Of Beta", organization=name)
    desk.server.installation.create_client("customers:read", name="Of default")

    page.get_by_label("Organization", exact=True).select_option(name)
    page.get_by_role("link", name="API Clients").click()
    expect(page.get_by_text("Of Beta")).to_be_visible()
    expect(page.get_by_text("Of default")).to_have_count(0)
    page.get_by_label("Organization", exact=True).select_option("")
    expect(page.get_by_text("Of default").first).to_be_visible()


@pytest.mark.parametrize(
    "context", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]
)
def test_the_pages_keep_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """axe finds nothing on any of them."""
    desk = new_desk(**context)
    desk.sign_in()
    for path in ("", "/new", "/default/edit", "/default/suspend"):
        page = desk.open(f"/admin/organizations{path}")
        desk.axe()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
