"""Settings > Organizations."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from hourpass.server.admin.places import MENU
from hourpass.server.clients import store as clients
from hourpass.server.clients.store import ClientFilter
from hourpass.server.operators import lifecycle
from hourpass.server.operators.model import Role
from hourpass.server.organizations import operations
from support.desk import Desk
from support.installation import TESTER


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
    person = desk.hire(Role.OWNER, _made(desk, "alpha"))
    beta = _made(desk, "beta")
    lifecycle.set_role(desk.database, person.email, beta, Role.OWNER, TESTER)
    desk.server.installation.create_client("customers:read", name="Of Beta", organization=beta)
    desk.sign_in(person)
    page = desk.open("/admin/clients")

    expect(page.get_by_text("No API clients yet")).to_be_visible()
    page.get_by_label("Organization", exact=True).select_option("Beta")
    expect(page.get_by_text("Of Beta")).to_be_visible()
    page.get_by_role("link", name="Of Beta").click()
    page.get_by_label("Organization", exact=True).select_option("Alpha")
    expect(page).to_have_url(f"{desk.server.url}/admin/clients")
    expect(page.get_by_text("No API clients yet")).to_be_visible()


@pytest.mark.parametrize(
    "context", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]
)
def test_of_many_organizations_one_is_searched(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """In a dialog, by keyboard alone; what was chosen lately is offered first."""
    desk = new_desk(**context)
    for number in range(MENU):
        _made(desk, f"many{number}")
    gamma = _made(desk, "gamma")
    desk.sign_in()
    page = desk.open("/admin/clients")

    page.get_by_role("link", name="Organization: All organizations").press("Enter")
    dialog = page.get_by_role("dialog", name="Which organization do you want to look at?")
    expect(dialog.get_by_role("searchbox")).to_be_focused()
    desk.axe()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.type(gamma.upper())
    expect(dialog.get_by_role("button")).to_have_count(1)
    expect(page).to_have_url(f"{desk.server.url}/admin/clients")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Organization: Gamma")).to_be_visible()

    page = desk.open("/admin/organization?next=/admin/clients")
    expect(page.get_by_role("heading", name="Chosen lately")).to_be_visible()
    expect(page.get_by_role("button", name=f"Gamma {gamma}").first).to_have_attribute(
        "aria-current", "true"
    )
    desk.axe()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="All organizations").click()
    expect(page.get_by_role("link", name="Organization: All organizations")).to_be_visible()


def test_a_form_keeps_what_was_typed_while_an_organization_is_searched(desk: Desk) -> None:
    """The one that is picked goes into the form."""
    for number in range(MENU):
        _made(desk, f"form{number}")
    delta = _made(desk, "delta")
    desk.sign_in()
    page = desk.open("/admin/clients/new")

    page.get_by_label("Name").fill("CRM sync")
    page.get_by_role("link", name="Find another").click()
    page.get_by_role("searchbox", name="Search organizations").fill(delta)
    page.get_by_role("dialog").get_by_role("link", name=delta).click()
    expect(page.get_by_label("Organization", exact=True)).to_be_focused()
    page.get_by_role("checkbox", name="customers:read").check()
    page.get_by_role("button", name="Add Client").click()

    expect(page.get_by_role("heading", name="CRM sync is ready")).to_be_visible()
    with desk.database.read() as connection:
        found, _ = clients.page(
            connection, ClientFilter(organization=delta), desk.database.now(connection), limit=2
        )
    assert [client.name for client in found] == ["CRM sync"]
    page.on("dialog", lambda dialog: dialog.accept())


def _made(desk: Desk, name: str) -> str:
    """An organization of this test's own."""
    made = operations.create(desk.database, f"{name}-{id(desk)}", name.capitalize(), TESTER)
    return made.id


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
