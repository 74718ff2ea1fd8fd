"""Whatever people type is text: in pages, attributes, menus and dialogs."""

import pytest
from playwright.sync_api import expect

from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.organizations import operations
from support.desk import Desk
from support.installation import TESTER

NAUGHTY = (
    "<script>alert(1)</script> \"><img src=x onerror=alert(1)> '-alert(1)-' {{ 7*7 }}{% raise %}",
    "=HYPERLINK('http://x') javascript:alert(1) </title></textarea><svg/onload=alert(1)>",
)


@pytest.mark.spec("threats", "18", "Text is data")
@pytest.mark.parametrize("text", NAUGHTY)
def test_names_and_descriptions_are_shown_as_they_are(desk: Desk, text: str) -> None:
    """On every page where they stand; nothing runs, and nothing is loaded."""
    organization = f"naughty-{id(desk)}-{NAUGHTY.index(text)}"
    operations.create(desk.database, organization, text, TESTER)
    context = desk.server.installation.context
    new = NewClient(
        name=text,
        description=text,
        scopes=frozenset({"customers:read"}),
        organization=organization,
    )
    made = lifecycle.create(context.database, context.keyring(), new, TESTER).client
    desk.sign_in()
    desk.page.on("dialog", lambda dialog: desk.complaints.append(dialog.message))
    one = f"/admin/clients/{made.client_id}"

    for path in ("/admin/clients", one, f"{one}/edit", f"{one}/scopes", f"{one}/delete"):
        page = desk.open(path)
        expect(page.locator("body")).to_contain_text(text)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Delete {text}?")
    page = desk.open(f"{one}/edit")
    expect(page.get_by_label("Name")).to_have_value(text)
    expect(page.get_by_label("Description")).to_have_value(text)
    for path in ("/admin/organizations", "/admin/audit", "/admin/"):
        page = desk.open(path)
    page = desk.open("/admin/clients")
    page.get_by_role("searchbox").fill(text)
    page.wait_for_timeout(400)
    assert page.locator("img").count() == 0


def test_what_turns_or_hides_text_is_refused(desk: Desk) -> None:
    """No name can show as another, and the form says so."""
    desk.sign_in()
    page = desk.open("/admin/clients/new")
    page.get_by_label("Name").fill("CRM \u202ecnys")
    page.get_by_role("checkbox", name="customers:read").check()
    page.get_by_role("button", name="Add Client").click()

    expect(page.get_by_role("alert")).to_contain_text("direction marks")
