"""Add Client: the form, and the one page that shows the secret."""

import contextlib
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Error, Page, expect

from hourpass.server.operators.model import Role
from support.desk import PASSWORD, Desk
from support.installation import Credentials


@pytest.fixture
def page(desk: Desk) -> Page:
    """The form, in front of an owner."""
    desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.sign_in()
    return desk.open("/admin/clients/new")


def _fill(page: Page, name: str = "Reporting dashboard") -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_role("checkbox", name="customers:read").check()


def _add(page: Page) -> None:
    page.get_by_role("button", name="Add Client").click()


@pytest.mark.main_flow
def test_from_the_form_to_a_token(desk: Desk, page: Page) -> None:
    """What is copied from the page works."""
    _fill(page)
    page.get_by_label("Description").fill("Nightly figures\nfor the finance team.")
    page.get_by_label("Expires after (days)").fill("90")
    expect(page.locator("#expires-on")).to_contain_text("Expires on")
    _add(page)

    expect(page.get_by_role("heading", level=1)).to_have_text("Reporting dashboard is ready")
    expect(page.locator("[data-secret]")).to_have_text("hps_" + "•" * 24)
    page.get_by_role("button", name="Reveal").click()
    secret = page.locator("[data-secret]").inner_text()
    page.get_by_role("button", name="Copy secret").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.get_by_role("button", name="Copy all").click()
    copied = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert copied[0] == f"HOURPASS_ISSUER={desk.server.url}"
    assert copied[2] == f"HOURPASS_CLIENT_SECRET={secret}"
    expect(page.get_by_text("https://api.example.com")).to_be_visible()
    desk.axe()
    page.get_by_role("link", name="I have stored the secret").click()
    expect(page.get_by_text("in 90 days")).to_be_visible()
    client_id = page.url.rpartition("/")[2]
    page.go_back()  # to the form: the page with the secret gave its place up
    expect(page.get_by_role("heading", level=1)).to_have_text("Add Client")
    desk.open(f"/admin/clients/{client_id}")
    answer = desk.server.token(Credentials(client_id, secret))
    assert answer.json()["scope"] == "customers:read"


@pytest.mark.spec("threats", "14", "A secret appears in one answer only")
def test_a_secret_is_shown_once(desk: Desk, page: Page) -> None:
    """Neither a reload nor going back shows it again, nor makes another client."""
    _fill(page, name="Once only")
    _add(page)
    page.get_by_role("button", name="Reveal").click()
    secret = page.locator("[data-secret]").inner_text()
    page.get_by_role("button", name="Copy secret").click()

    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("was shown already")
    expect(page.get_by_role("link", name="Rotate Secret")).to_be_visible()
    assert secret not in page.content()
    page.get_by_role("link", name="Go to the client").click()
    assert secret not in page.content()
    with contextlib.suppress(Error):  # the browser kept no copy of it
        page.go_back()
    expect(page.locator("body")).not_to_contain_text(secret)
    expect(page.locator(f"[data-copy*={secret}]")).to_have_count(0)
    desk.open("/admin/clients?search=once+only")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_leaving_without_having_copied_asks_first(page: Page) -> None:
    """Once it was copied nothing asks any more."""
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    _fill(page)
    _add(page)
    page.get_by_role("button", name="Reveal").click()

    page.get_by_role("link", name="Overview").click()
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    expect(page.locator("[data-secret]")).to_be_visible()
    page.get_by_role("button", name="Copy secret").click()
    page.get_by_role("link", name="API Clients").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("API Clients")
    assert asked == ["beforeunload"]


def test_scopes_can_be_filtered_and_taken_by_group(page: Page) -> None:
    """Select-all takes what the filter shows."""
    page.get_by_label("Filter scopes").fill("bookings")
    expect(page.locator("[data-scope]:visible")).to_have_count(2)
    page.get_by_role("button", name="All of Bookings API").click()
    page.get_by_label("Filter scopes").fill("")

    expect(page.locator("input[name=scope]:checked")).to_have_count(1)
    page.get_by_role("button", name="All of Bookings API").click()
    expect(page.locator("input[name=scope]:checked")).to_have_count(3)


def test_what_cannot_be_is_said_beside_what_was_typed(page: Page) -> None:
    """Nothing typed is lost."""
    page.get_by_label("Name").fill("No scopes")
    page.get_by_label("Description").fill("Kept")
    page.get_by_label("Requests a minute").fill("60")
    _add(page)

    expect(page.get_by_role("alert")).to_contain_text("at least one scope")
    page.get_by_label("Requests a minute").evaluate("field => field.removeAttribute('max')")
    page.get_by_label("Requests a minute").fill("9999999")
    page.get_by_role("checkbox", name="customers:read").check()
    expect(page.locator("[data-chosen]")).to_have_text("1 chosen: customers:read")
    _add(page)
    expect(page.get_by_role("alert")).to_contain_text("Requests a minute: give 1 to 1,000,000")
    expect(page.get_by_label("Requests a minute")).to_be_focused()
    page.get_by_label("Requests a minute").fill("60")
    page.get_by_role("checkbox", name="customers:read").uncheck()
    _add(page)
    expect(page.get_by_label("Name")).to_have_value("No scopes")
    expect(page.get_by_label("Description")).to_have_value("Kept")
    expect(page.get_by_label("Requests a minute")).to_have_value("60")


def test_what_was_typed_outlives_the_session(desk: Desk) -> None:
    """It is there again after signing in, for the same person only."""
    operator = desk.sign_in()
    page = desk.open("/admin/clients/new")
    _fill(page, name="Outlives")
    page.get_by_label("Description").fill("Kept")
    page.get_by_label("Expires after (days)").fill("90")
    desk.context.clear_cookies()
    _add(page)

    expect(page.get_by_role("alert")).to_contain_text("Your session had ended")
    page.get_by_label("E-mail").fill(operator.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("What you typed is here again")
    expect(page.get_by_label("Name")).to_have_value("Outlives")
    expect(page.get_by_label("Description")).to_have_value("Kept")
    expect(page.locator("#expires-on")).to_contain_text("Expires on")
    expect(page.locator("input[name=scope]:checked")).to_have_count(1)

    desk.context.clear_cookies()
    _add(page)
    expect(page.get_by_role("alert")).to_be_visible()
    desk.sign_in()
    desk.open("/admin/clients/new")
    expect(page.get_by_label("Name")).to_have_value("")
    expect(page.get_by_role("status")).to_have_count(0)


def test_without_scripts_it_is_a_form(new_desk: Callable[..., Desk]) -> None:
    """The secret is there to be read."""
    desk = new_desk(java_script_enabled=False)
    desk.sign_in()
    page = desk.open("/admin/clients/new")

    _fill(page)
    _add(page)

    expect(page.locator("[data-secret]")).to_contain_text("hps_")
    assert len(page.locator("[data-secret]").inner_text()) == 53


@pytest.mark.parametrize(
    "context", [{"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]
)
def test_the_form_keeps_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """In the dark, and on a narrow phone."""
    desk = new_desk(**context)
    desk.sign_in()
    page = desk.open("/admin/clients/new")

    desk.axe()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    _fill(page)
    _add(page)
    desk.axe()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Copy secret").click()


@pytest.mark.spec("threats", "15", "read-only roles cannot write")
def test_an_auditor_cannot_add(desk: Desk) -> None:
    """The page is not for them."""
    desk.sign_in(desk.hire(Role.AUDITOR, "default"))

    page = desk.open("/admin/clients/new")

    expect(page.get_by_role("heading", level=1)).to_have_text("Not for you to do")
