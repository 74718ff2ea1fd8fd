"""Settings > Signing keys."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from hourpass.server.keys import store
from hourpass.server.operators.model import Role
from support.desk import PASSWORD, Desk
from support.installation import Server


@pytest.mark.main_flow
def test_the_next_key_is_let_sign(server: Server, new_desk: Callable[..., Desk]) -> None:
    """An old sign-in takes the password; the table says when."""
    desk = new_desk(server)
    desk.let_sign_in_grow_old(desk.sign_in())
    page = desk.open("/admin/keys")
    expect(page.locator("tbody tr")).to_have_count(2)
    before = page.locator("tbody tr", has_text="Next").inner_text()
    page.get_by_role("link", name="Rotate now").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("stay good until they expire")
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Rotate key").click()

    expect(page.get_by_role("status").first).to_contain_text("Rotating")
    assert page.locator("tbody tr", has_text="Next").first.inner_text() != before


def test_an_auditor_looks_and_rotates_nothing(desk: Desk) -> None:
    """Nor does an organization's owner: the keys are the installation's."""
    for role, organization in ((Role.AUDITOR, None), (Role.OWNER, "default")):
        desk.sign_in(desk.hire(role, organization))
        page = desk.open("/admin/keys")
        expect(page.locator("tbody tr").first).to_contain_text("ES256")
        expect(page.get_by_role("link", name="Rotate now")).to_have_count(0)
        page = desk.open("/admin/keys/rotate")
        expect(page.get_by_role("heading", level=1)).to_have_text("Not for you to do")


@pytest.mark.parametrize(
    "context", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]
)
def test_the_page_keeps_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """axe finds nothing, and nothing sticks out."""
    desk = new_desk(**context)
    desk.sign_in()
    for path in ("/admin/keys", "/admin/keys/rotate"):
        page = desk.open(path)
        desk.axe()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_form_from_before_somebody_rotated_rotates_nothing(desk: Desk) -> None:
    """The second of two people is told, and no key takes over twice."""
    desk.sign_in()
    page = desk.open("/admin/keys/rotate")
    page.evaluate("document.querySelector('[name=coming]').value = 'the-one-before'")
    with desk.database.read() as connection:
        before = store.version(connection)

    page.get_by_role("button", name="Rotate").click()

    expect(page.get_by_role("alert")).to_contain_text("rotated meanwhile")
    with desk.database.read() as connection:
        assert store.version(connection) == before
