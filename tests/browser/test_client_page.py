"""A client's page, and each deed of its action menu."""

import contextlib
from collections.abc import Callable

import pytest
from playwright.sync_api import Error, Page, expect

from hourpass.server.clients import lifecycle
from hourpass.server.operators.model import Role
from hourpass.server.organizations import operations
from support.desk import PASSWORD, Desk
from support.forms import send
from support.installation import TESTER, Credentials


@pytest.fixture
def client(desk: Desk) -> Credentials:
    """A client to work on, and an owner signed in."""
    desk.sign_in()
    return desk.server.installation.create_client("customers:read", name="CRM sync")


def _open(desk: Desk, client: Credentials, deed: str | None = None) -> Page:
    page = desk.open(f"/admin/clients/{client.client_id}")
    if deed is not None:
        page.get_by_role("button", name="Actions").click()
        page.get_by_role("link", name=deed, exact=True).click()
    return page


def _status(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text("CRM sync")


@pytest.mark.main_flow
def test_suspend_and_re_activate(desk: Desk, client: Credentials) -> None:
    """Each in a dialog that says what will happen, and the page says what was done."""
    page = _open(desk, client, "Suspend")
    dialog = page.get_by_role("dialog", name="Suspend CRM sync?")
    expect(dialog).to_contain_text("Tokens already issued stay valid for up to 1 hour.")
    dialog.get_by_label("Also revoke live tokens now").check()
    dialog.get_by_role("button", name="Suspend").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Suspended")
    expect(page.get_by_role("status").first).to_contain_text("its live tokens are revoked")
    assert desk.server.token(client).json()["reason"] == "suspended"
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("link", name="Re-activate").click()
    page.get_by_role("dialog").get_by_role("button", name="Re-activate").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Active")
    assert desk.server.token(client).status_code == 200


def test_a_dialog_can_be_left(desk: Desk, client: Credentials) -> None:
    """By its button and by Escape; nothing is done, and focus goes back to the menu."""
    page = _open(desk, client, "Suspend")
    page.get_by_role("dialog").get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("link", name="Suspend").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    assert desk.server.token(client).status_code == 200


@pytest.mark.main_flow
def test_rotating_shows_the_new_secret_once(desk: Desk, client: Credentials) -> None:
    """With a warning when the client is in use; a reload shows it no more."""
    assert desk.server.token(client).status_code == 200
    page = _open(desk, client, "Rotate Secret")
    page.get_by_role("dialog").get_by_role("button", name="Rotate secret").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The new secret of CRM sync")
    page.get_by_role("button", name="Reveal").click()
    secret = page.locator("[data-secret]").inner_text()
    page.get_by_role("link", name="I have stored the secret").click()

    assert desk.server.token(client).status_code == 401
    assert desk.server.token(Credentials(client.client_id, secret)).status_code == 200
    with contextlib.suppress(Error):  # the browser kept no copy of it
        page.go_back()
    expect(page.locator("body")).not_to_contain_text(secret)
    expect(page.locator(f"[data-copy*={secret}]")).to_have_count(0)
    assert desk.server.token(Credentials(client.client_id, secret)).status_code == 200


def test_a_reload_of_the_secrets_page_rotates_nothing(desk: Desk, client: Credentials) -> None:
    """The form's nonce is remembered, though the client is another by now."""
    desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = _open(desk, client, "Rotate Secret")
    page.get_by_role("dialog").get_by_role("button", name="Rotate secret").click()
    page.get_by_role("button", name="Reveal").click()
    secret = page.locator("[data-secret]").inner_text()
    page.get_by_role("button", name="Copy secret").click()

    page.reload()

    expect(page.get_by_role("heading", level=1)).to_contain_text("was shown already")
    assert desk.server.token(Credentials(client.client_id, secret)).status_code == 200


@pytest.mark.main_flow
def test_deleting_takes_the_name_and_an_old_sign_in_takes_the_password(desk: Desk) -> None:
    """What is wrong is said, and nothing is done."""
    operator = desk.sign_in()
    client = desk.server.installation.create_client("customers:read", name="CRM sync")
    desk.let_sign_in_grow_old(operator)
    page = _open(desk, client, "Delete")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Type the name").fill("crm")
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Delete client").click()
    expect(page.get_by_role("alert")).to_contain_text("exactly as it is")
    page.get_by_label("Type the name").fill("CRM sync")
    page.get_by_label("Your password").fill("something else, all wrong")
    page.get_by_role("button", name="Delete client").click()
    expect(page.get_by_role("alert")).to_contain_text("did not prove that it is you")
    assert desk.server.token(client).status_code == 200

    page.get_by_label("Type the name").fill("CRM sync")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Delete client").click()

    expect(page.get_by_role("status").first).to_contain_text("Deleted")
    assert desk.server.token(client).status_code == 401


@pytest.mark.main_flow
def test_scopes_name_and_limit_are_changed(desk: Desk, client: Credentials) -> None:
    """The next token has the new scopes."""
    page = _open(desk, client, "Update Scopes")
    page.get_by_role("checkbox", name="customers:read").uncheck()
    page.get_by_role("checkbox", name="invoices:read").check()
    page.get_by_role("button", name="Save scopes").click()
    expect(page.get_by_role("status").first).to_contain_text("Its next token has them")
    assert desk.server.token(client).json()["scope"] == "invoices:read"
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Name").fill("CRM <b>sync</b> & more")
    page.get_by_label("Requests a minute").fill("1200")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_label("Facts")).to_contain_text("up to 1,200 requests a minute")
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_label("Requests a minute")).to_have_value("1200")
    page.get_by_label("Requests a minute").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Facts")).to_contain_text("the API’s own")
    expect(page.get_by_role("heading", level=1)).to_contain_text("CRM <b>sync</b> & more")


def test_a_form_that_says_nothing_of_the_limit_keeps_it(desk: Desk, client: Credentials) -> None:
    """Sent from a page of before it had the field; what is no limit is refused."""
    page = _open(desk, client, "Edit")
    path = f"/admin/clients/{client.client_id}/edit"

    def limit() -> int | None:
        return lifecycle.read(desk.database, client.client_id, TESTER).limit_per_minute

    assert send(page, path, name="CRM sync", version="1", limit_per_minute="60") == 200
    assert limit() == 60
    assert send(page, path, name="Other", version="2") == 200
    assert limit() == 60
    for wrong in ("0", "-1", "1000001", "1.5", "many", "９"):
        sent = send(page, path, name="Other", version="3", limit_per_minute=wrong)
        assert (sent, limit()) == (422, 60)
    assert send(page, path, name="Other", version="3", limit_per_minute=" ") == 200
    assert limit() is None


@pytest.mark.spec("threats", "20", "Two deeds at once leave one truth")
@pytest.mark.parametrize("deed", ["Suspend", "Rotate Secret", "Delete", "Update Scopes", "Edit"])
def test_whoever_comes_second_is_told_and_sees_the_new_state(
    desk: Desk, client: Credentials, deed: str
) -> None:
    """The client was changed while the form was open: nothing is done yet."""
    page = _open(desk, client, deed)
    submit = page.locator("main form button:not([type=button]), dialog form button").last
    expect(submit).to_be_visible()  # what the form holds is from before the change
    lifecycle.update(desk.database, client.client_id, TESTER, scopes=frozenset({"invoices:read"}))
    if deed == "Delete":
        page.get_by_label("Type the name").fill("CRM sync")
    submit.click()

    expect(page.get_by_role("alert")).to_contain_text("changed")
    now = lifecycle.read(desk.database, client.client_id, TESTER)
    assert now.scopes == {"invoices:read"}
    assert now.suspended_at is None
    assert now.secret_rotated_at is None


def test_without_scripts_dialogs_are_pages(new_desk: Callable[..., Desk]) -> None:
    """The same words, the same button."""
    desk = new_desk(java_script_enabled=False)
    desk.sign_in()
    client = desk.server.installation.create_client("customers:read", name="CRM sync")
    page = _open(desk, client, "Suspend")

    expect(page.get_by_role("heading", level=1)).to_have_text("Suspend CRM sync?")
    page.get_by_role("button", name="Suspend").click()

    _status(page)
    assert desk.server.token(client).json()["reason"] == "suspended"


@pytest.mark.parametrize(
    "context",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}],
)
def test_the_pages_keep_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """axe finds nothing on any page of a client."""
    desk = new_desk(**context)
    desk.let_sign_in_grow_old(desk.sign_in())
    client = desk.server.installation.create_client(
        "customers:read", "hourpass.introspect:bookings", name="A client"
    )
    for path in ("", "/suspend", "/delete", "/edit", "/scopes"):
        page = desk.open(f"/admin/clients/{client.client_id}{path}")
        desk.axe()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.spec("threats", "15", "no crossing of organizations")
def test_another_organizations_client_is_not_there(desk: Desk) -> None:
    """Not to be looked at, not to be changed; an auditor changes nothing of their own."""
    operations.create(desk.database, f"o-{id(desk)}", "Other", TESTER)
    theirs = desk.server.installation.create_client(
        "customers:read", name="CRM sync", organization=f"o-{id(desk)}"
    )
    ours = desk.server.installation.create_client("customers:read", name="CRM sync")
    desk.sign_in(desk.hire(Role.OWNER, "default"))
    for path in ("", "/suspend", "/edit", "/scopes", "/rotate", "/delete"):
        page = desk.open(f"/admin/clients/{theirs.client_id}{path}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Not here")
    desk.sign_in(desk.hire(Role.AUDITOR, "default"))
    page = desk.open(f"/admin/clients/{ours.client_id}")

    _status(page)
    expect(page.get_by_role("button", name="Actions")).to_have_count(0)
    for path in ("/suspend", "/edit", "/scopes", "/rotate", "/delete"):
        page = desk.open(f"/admin/clients/{ours.client_id}{path}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Not for you to do")
