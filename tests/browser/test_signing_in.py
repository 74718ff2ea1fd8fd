"""The first run, signing in by every way, and out."""

from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import Page, expect

from hourpass.server.operators import lifecycle
from hourpass.server.operators.model import Role
from hourpass.server.organizations import operations
from support.desk import PASSWORD, Desk, visitor
from support.installation import TESTER, Server

OWNER = "first@example.com"
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def _sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def _heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


@pytest.mark.spec("threats", "19", "Fresh installs have no default login: a one-time set-up link")
@pytest.mark.main_flow
def test_from_nothing_to_a_working_client(server: Server, new_desk: Callable[..., Desk]) -> None:
    """The link makes the owner, who adds a client at once; the link is dead then."""
    desk = new_desk(server)
    link = lifecycle.make_set_up_link(desk.database, TESTER).url(server.url)
    page = desk.open(link)
    _heading(page, "Welcome to Hourpass")
    desk.axe()
    assert "#" not in page.url
    page.get_by_label("E-mail").fill(OWNER)
    page.get_by_label("Password").fill("too short")
    page.get_by_label("Password").evaluate("field => field.removeAttribute('minlength')")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("alert")).to_contain_text("at least 15 characters")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()

    expect(page).to_have_url(f"{server.url}/admin/")
    page.get_by_role("link", name="API Clients").click()
    page.get_by_role("link", name="Add").first.click()
    page.get_by_label("Name").fill("CRM sync")
    page.get_by_role("checkbox", name="customers:read").check()
    page.get_by_role("button", name="Add Client").click()
    _heading(page, "CRM sync is ready")
    other = new_desk(server)
    page = other.open(link)
    expect(page.get_by_role("alert")).to_contain_text("not good any more")


@pytest.mark.main_flow
def test_an_invited_person_signs_up_and_out_and_in(desk: Desk) -> None:
    """Signing out is done on the server: a copy of the cookie is worth nothing."""
    made = lifecycle.set_role(desk.database, "ben@example.com", "default", Role.ADMIN, TESTER)
    assert made.link is not None
    page = desk.open("/admin/invitation#an-older-link")
    expect(page.get_by_role("alert")).to_be_visible()
    page = desk.open(made.link.url(desk.server.url))  # in the same tab
    _heading(page, "Join Hourpass")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(page).to_have_url(f"{desk.server.url}/admin/")
    cookie = next(c for c in desk.context.cookies() if c.get("name") == "hourpass")

    page.get_by_role("button", name="Sign out").click()
    _heading(page, "Sign in")
    desk.take(str(cookie.get("value")))
    page = desk.open("/admin/clients?status=active")
    _heading(page, "Sign in")
    _sign_in(page, "BEN@example.com ")
    expect(page).to_have_url(f"{desk.server.url}/admin/clients?status=active")
    row = desk.open("/admin/account").locator("tr", has_text="This browser")
    expect(row).to_contain_text("Chrome on Linux 127.0.0.1")


@pytest.mark.spec("threats", "17", "no enumeration by text, status or time")
def test_wrong_passwords_are_told_alike_and_delayed(desk: Desk) -> None:
    """An address that is nobody's and one that is somebody's."""
    somebody = desk.hire().email
    for email in (somebody, "nobody-at-all@example.com"):
        page = desk.open("/admin/sign-in")
        for _ in range(6):
            _sign_in(page, email, "something else, all wrong")
            expect(page.get_by_role("alert")).to_contain_text("That does not sign you in")
            expect(page.get_by_label("E-mail")).to_have_value(email)
        _sign_in(page, email, "something else, all wrong")
        expect(page.get_by_role("alert")).to_contain_text("Too many attempts failed")


@pytest.mark.spec("threats", "16", "session fixation")
def test_a_planted_session_is_not_adopted(desk: Desk) -> None:
    """Signing in gives another one."""
    person = desk.hire()
    desk.take("planted-by-somebody-else")
    page = desk.open("/admin/sign-in")
    _sign_in(page, person.email)
    expect(page).to_have_url(f"{desk.server.url}/admin/")

    cookie = next(c for c in desk.context.cookies() if c.get("name") == "hourpass")
    assert cookie.get("value") != "planted-by-somebody-else"
    assert cookie.get("httpOnly") is True
    assert cookie.get("sameSite") == "Lax"


@pytest.mark.spec("threats", "16", "open redirect in `next`")
@pytest.mark.parametrize(
    "where",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/admin//evil",
        "/token",
        "x",
        "/admin/../token",
    ],
)
def test_signing_in_leads_to_pages_of_ours_only(shared_server: Server, where: str) -> None:
    """Whatever `next` says."""
    with visitor(shared_server) as http:
        answer = http.get("/admin/sign-in", params={"next": where})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/admin/"


def test_a_suspended_organization_lets_nobody_in(desk: Desk) -> None:
    """Who is signed in is told, and can sign out."""
    name = f"shut-{id(desk)}"
    operations.create(desk.database, name, "Shut", TESTER)
    person = desk.sign_in(desk.hire(Role.OWNER, name))
    operations.suspend(desk.database, name, TESTER)

    page = desk.open("/admin/clients")

    _heading(page, "You have no access at the moment")
    page.get_by_role("button", name="Sign out").click()
    _sign_in(page, person.email)
    _heading(page, "You have no access at the moment")


@pytest.mark.main_flow
def test_an_app_is_set_up_and_asked_for(desk: Desk) -> None:
    """A code works once; a recovery code helps who has no phone; then the app is removed."""
    person = desk.sign_in()
    page = desk.open("/admin/account")
    page.get_by_role("link", name="Set up an app").click()
    page.get_by_role("button", name="Begin").click()
    desk.axe()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    app = pyotp.TOTP(page.locator(".secret span").inner_text().replace(" ", ""))
    page.get_by_label("Six digits").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("alert")).to_contain_text("not what the app shows")
    page.get_by_label("Six digits").fill(app.now())
    page.get_by_role("button", name="Turn it on").click()
    _heading(page, "Keep these recovery codes")
    codes = page.locator(".codes code").all_inner_texts()
    assert len(set(codes)) == 10
    desk.axe()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("10 recovery codes are left")).to_be_visible()

    page.get_by_role("button", name="Sign out", exact=True).click()
    _sign_in(page, person.email)
    _heading(page, "One more step")
    page = desk.open("/admin/clients")
    _heading(page, "Sign in")
    _sign_in(page, person.email)
    page.get_by_label("Code").fill(codes[3])
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(f"{desk.server.url}/admin/clients")
    page = desk.open("/admin/account")
    expect(page.get_by_text("9 recovery codes are left")).to_be_visible()
    page.get_by_role("link", name="Remove app").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove app").click()
    expect(page.get_by_role("link", name="Set up an app")).to_be_visible()


@pytest.mark.main_flow
def test_a_passkey_signs_in_alone_and_proves_again(desk: Desk) -> None:
    """With the browser's own virtual authenticator."""
    devices = desk.context.new_cdp_session(desk.page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    person = desk.sign_in()
    client = desk.server.installation.create_client("customers:read", name="CRM sync")
    page = desk.open("/admin/account")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Work laptop")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_text("Work laptop")).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()

    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(f"{desk.server.url}/admin/")
    desk.let_sign_in_grow_old(person)
    page = desk.open(f"/admin/clients/{client.client_id}/rotate")
    page.get_by_role("button", name="Use a passkey instead").click()
    _heading(page, "The new secret of CRM sync")
    page.get_by_role("link", name="I have stored the secret").click()
    page = desk.open("/admin/account")
    page.get_by_role("link", name="Remove Work laptop").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove passkey").click()
    expect(page.get_by_text("Work laptop")).to_have_count(0)


def test_the_account_shows_where_one_is_signed_in(
    desk: Desk, new_desk: Callable[..., Desk]
) -> None:
    """Other browsers are signed out from there, also by another password."""
    person = desk.sign_in()
    other = new_desk()
    other.sign_in(person)
    page = desk.open("/admin/account")
    expect(
        page.locator("section", has_text="Where you are signed in").locator("tbody tr")
    ).to_have_count(2)
    expect(page.get_by_text("This browser")).to_have_count(1)
    page.get_by_role("button", name="Sign out all others").click()
    _heading(other.open("/admin/clients"), "Sign in")
    other.sign_in(person)

    page.get_by_role("link", name="Change password").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("The password you have now").fill(PASSWORD)
    dialog.get_by_label("New password").fill("nine quiet boats by the pier")
    dialog.get_by_role("button", name="Change password").click()
    expect(page).to_have_url(f"{desk.server.url}/admin/account#password")
    _heading(other.open("/admin/clients"), "Sign in")
    _sign_in(other.page, person.email, "nine quiet boats by the pier")
    _heading(other.page, "API Clients")


@pytest.mark.parametrize(
    "context", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]
)
def test_the_pages_keep_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """axe finds nothing, signed in or not."""
    desk = new_desk(**context)
    for path in ("/admin/sign-in", "/admin/sign-in/code", "/admin/invitation"):
        page = desk.open(path)
        desk.axe()
    desk.let_sign_in_grow_old(desk.sign_in())
    paths = ("", "/password", "/authenticator", "/passkeys/new")
    for path in (f"/admin/account{each}" for each in paths):
        page = desk.open(path)
        desk.axe()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    if "viewport" in context:  # a short page leaves no gap below the navigation
        page = desk.open("/admin/account/password")
        assert page.evaluate("document.querySelector('.nav').offsetHeight") < 80
