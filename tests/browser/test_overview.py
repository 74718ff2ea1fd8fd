"""Overview: how things stand, and the first steps."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from hourpass.server.clients import lifecycle
from hourpass.server.operators.model import Role
from hourpass.server.organizations import operations
from support.desk import Desk
from support.installation import TESTER, Credentials


@pytest.fixture
def acme(desk: Desk) -> str:
    """An organization of its own, and its auditor signed in."""
    organization = f"over-{id(desk)}"
    operations.create(desk.database, organization, "Acme", TESTER)
    desk.sign_in(desk.hire(Role.AUDITOR, organization))
    return organization


def _client(desk: Desk, organization: str, name: str, **more: object) -> Credentials:
    create = desk.server.installation.create_client
    return create("customers:read", name=name, organization=organization, **more)


@pytest.mark.main_flow
def test_it_tells_how_things_stand_in_the_organization(desk: Desk, acme: str) -> None:
    """Counts, tokens, refusals, what expires, what was never used; of no other organization."""
    busy = _client(desk, acme, "Busy")
    _client(desk, acme, "Ends soon", expires_in_days=3)
    _client(desk, acme, "Ends late", expires_in_days=90)
    stopped = _client(desk, acme, "Stopped")
    lifecycle.suspend(desk.database, stopped.client_id, TESTER)
    other = _client(desk, "default", "Of somebody else", expires_in_days=2)
    for credentials in (busy, busy, other):
        assert desk.server.token(credentials).status_code == 200
    wrong = Credentials(busy.client_id, other.secret)
    assert desk.server.token(wrong).status_code == 401
    page = desk.open("/admin/")

    figures = page.locator(".figures li")
    expect(figures).to_have_text(
        ["3 Active API clients", "1 Suspended API clients", "0 Expired API clients"]
    )
    expiring = page.locator("section", has=page.get_by_role("heading", name="About to expire"))
    expect(expiring.locator("li")).to_have_count(1)
    expect(expiring.locator("li")).to_contain_text("Ends soon")
    refusals = page.locator("section", has=page.get_by_role("heading", name="Refusals"))
    expect(refusals.locator("tbody tr")).to_have_count(1)
    expect(refusals).to_contain_text("Wrong secret")
    unused = page.locator("section", has=page.get_by_role("heading", name="Never used"))
    chart = page.get_by_role("img", name="Tokens per hour")
    for _ in range(40):  # sums are added every few seconds
        if "2 issued" in (chart.get_attribute("aria-label") or ""):
            break
        page.wait_for_timeout(300)
        page.reload()
    expect(chart).to_have_accessible_name("Tokens per hour, last 24 hours: 2 issued, 1 refused")
    expect(unused.locator("li")).to_contain_text(["Ends soon", "Ends late", "Stopped"])
    expect(page.get_by_text("Of somebody else")).to_have_count(0)
    expect(page.get_by_role("heading", name="First steps")).to_have_count(0)
    expect(page.get_by_role("link", name="Add Client")).to_have_count(0)
    page.get_by_text("As a table").click()
    expect(page.locator(".numbers tbody tr")).to_have_count(24)
    figures.nth(1).get_by_role("link").click()
    expect(page).to_have_url(f"{desk.server.url}/admin/clients?status=suspended")


def test_all_that_expire_soon_are_a_click_away(desk: Desk, acme: str) -> None:
    """The overview names the first five; the list shows every one of them, and no other."""
    for number in range(6):
        _client(desk, acme, f"Ends soon {number}", expires_in_days=3 + number)
    _client(desk, acme, "Ends late", expires_in_days=90)
    page = desk.open("/admin/")

    page.get_by_role("link", name="All of them").click()

    expect(page).to_have_url(f"{desk.server.url}/admin/clients?status=expiring")
    expect(page.locator("tbody tr")).to_have_count(6)
    expect(page.get_by_text("Ends late")).to_have_count(0)
    expect(page.get_by_label("Status")).to_have_value("expiring")


def test_a_new_place_shows_the_first_steps(desk: Desk, acme: str) -> None:
    """They go on until the first token; an auditor is offered nothing that would be refused."""
    page = desk.open("/admin/")
    steps = page.locator(".steps > li")

    expect(steps).to_have_count(4)
    expect(steps.nth(0)).to_contain_text("Done")
    expect(steps.nth(1)).not_to_contain_text("Done")
    expect(page.get_by_role("link", name="Add a client")).to_have_count(0)
    desk.sign_in(desk.hire(Role.ADMIN, acme))
    desk.open("/admin/")
    expect(page.get_by_role("link", name="Add a client")).to_be_visible()
    _client(desk, acme, "First")
    page.reload()
    expect(steps.nth(1)).to_contain_text("Done")


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"color_scheme": "dark"},
        {"viewport": {"width": 320, "height": 700}},
        {"java_script_enabled": False},
    ],
)
def test_it_keeps_nobody_out(new_desk: Callable[..., Desk], context: dict[str, object]) -> None:
    """axe finds nothing, with the table open; nothing sticks out; scripts are not needed."""
    desk = new_desk(**context)
    organization = f"axe-{id(desk)}"
    operations.create(desk.database, organization, "Acme", TESTER)
    _client(desk, organization, "A name that is rather long and goes on", expires_in_days=3)
    desk.sign_in(desk.hire(Role.OWNER, organization))
    page = desk.open("/admin/")
    page.get_by_text("As a table").click()

    expect(page.locator(".numbers tbody tr")).to_have_count(24)
    if context.get("java_script_enabled") is not False:
        desk.axe()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
