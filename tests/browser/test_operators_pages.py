"""Settings > Operators: who may do what where, and links that are shown once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from hourpass.server import identifiers
from hourpass.server.operators import lifecycle, store
from hourpass.server.operators.lifecycle import DeadLink
from hourpass.server.operators.model import Operator, Role
from hourpass.server.operators.tokens import Token
from hourpass.server.organizations import operations
from support.desk import PASSWORD, Desk
from support.forms import send
from support.installation import TESTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Acme:
    """An organization with its owner, who is signed in, and an auditor."""

    id: str
    owner: Operator
    auditor: Operator


@pytest.fixture
def acme(desk: Desk) -> Acme:
    """Its owner has signed in."""
    name = f"people-{id(desk)}"
    operations.create(desk.database, name, "Acme", TESTER)
    owner = desk.sign_in(desk.hire(Role.OWNER, name))
    return Acme(id=name, owner=owner, auditor=desk.hire(Role.AUDITOR, name))


def _read(desk: Desk, email: str) -> Operator | None:
    with desk.database.read() as connection:
        return store.by_email(connection, email)


def _invite(desk: Desk, email: str, role: str) -> None:
    page = desk.open("/admin/operators")
    page.get_by_role("link", name="Invite somebody").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("radio", name=role).check()
    page.get_by_role("button", name="Make the link").click()


def _url(desk: Desk) -> str:
    desk.page.get_by_role("button", name="Reveal").click()
    return desk.page.locator("[data-secret]").inner_text()


@pytest.mark.main_flow
def test_an_invitation_is_a_link_that_is_shown_once(desk: Desk, acme: Acme) -> None:
    """It works; the form sent again, as a reload does, makes no other and shows none."""
    email = f"new-{id(desk)}@example.com"
    _invite(desk, email, "Admin")

    page = desk.page
    expect(page.get_by_role("main")).to_contain_text(f"It is for {email}, admin of Acme.")
    url = _url(desk)
    assert "/admin/invitation#" in url
    token = Token(url.partition("#")[2])
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("has a role there already")
    assert url not in page.content()
    assert lifecycle.look_at_link(desk.database, token).email == email  # still the same one

    page.goto("/admin/operators")
    row = page.get_by_role("row").filter(has_text=email)
    expect(row).to_contain_text("Invited")
    expect(row).to_contain_text("Admin · Acme")


def test_a_new_link_takes_the_place_of_the_old_one(desk: Desk, acme: Acme) -> None:
    """Once: the same form sent again is told that a link was made meanwhile."""
    email = f"lost-{id(desk)}@example.com"
    _invite(desk, email, "Auditor")
    page, first = desk.page, Token(_url(desk).partition("#")[2])
    page.get_by_role("link", name="I have passed it on").click()

    page.get_by_role("link", name="New link").click()
    page.get_by_role("dialog").get_by_role("button", name="Make the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pass this link on")
    second = Token(_url(desk).partition("#")[2])
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()

    expect(page.get_by_role("alert")).to_contain_text("A link was made meanwhile")
    assert lifecycle.look_at_link(desk.database, second).email == email
    with pytest.raises(DeadLink):
        lifecycle.look_at_link(desk.database, first)


@pytest.mark.main_flow
def test_roles_change_and_go_and_who_has_none_is_removed(desk: Desk, acme: Acme) -> None:
    """Each is shown on the person's page, or on the list when nobody is left."""
    auditor = acme.auditor
    page = desk.open(f"/admin/operators/{auditor.operator_id}")

    page.get_by_role("link", name="Change the role").click()
    page.get_by_role("dialog").get_by_role("radio", name="Admin").check()
    page.get_by_role("dialog").get_by_role("button", name="Change role").click()
    expect(page.get_by_role("row").filter(has_text="Acme")).to_contain_text("Admin")

    page.get_by_role("link", name="Take the role away").click()
    expect(page.get_by_role("dialog")).to_contain_text("Whoever has none left is removed")
    page.get_by_role("dialog").get_by_role("button", name="Take role away").click()
    expect(page).to_have_url(f"{desk.server.url}/admin/operators")
    assert _read(desk, auditor.email) is None


def test_removing_asks_who_it_is_again(desk: Desk, acme: Acme) -> None:
    """A wrong password removes nobody."""
    desk.let_sign_in_grow_old(acme.owner)
    page = desk.open(f"/admin/operators/{acme.auditor.operator_id}/remove")

    page.get_by_label("Your password").fill("something else entirely")
    page.get_by_role("button", name="Remove person").click()
    expect(page.get_by_role("alert")).to_contain_text("did not prove that it is you")
    assert _read(desk, acme.auditor.email) is not None

    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Remove person").click()
    expect(page).to_have_url(f"{desk.server.url}/admin/operators")
    assert _read(desk, acme.auditor.email) is None


@pytest.mark.parametrize("deed", ["new", "role", "take", "reset"])
def test_every_deed_on_people_asks_who_it_is_again(desk: Desk, acme: Acme, deed: str) -> None:
    """A form without the proof does nothing."""
    desk.let_sign_in_grow_old(acme.owner)
    page, email = desk.open("/admin/operators"), f"sly-{id(desk)}@example.com"
    path = "new" if deed == "new" else f"{acme.auditor.operator_id}/{deed}"

    status = send(
        page, f"/admin/operators/{path}", email=email, organization=acme.id, role="owner", known=""
    )

    assert status == 403
    after = _read(desk, acme.auditor.email)
    assert after is not None
    assert after.roles == {acme.id: Role.AUDITOR}
    assert _read(desk, email) is None
    with desk.database.read() as connection:
        now = desk.database.now(connection)
        assert store.open_link(connection, after.operator_id, now) is None


def test_people_of_other_places_are_not_there(desk: Desk, acme: Acme) -> None:
    """Not in the list, not by their address; nor can a role be given elsewhere."""
    stranger = desk.hire(Role.AUDITOR, "default")
    page = desk.open("/admin/operators")

    expect(page.get_by_role("row").filter(has_text=acme.auditor.email)).to_be_visible()
    expect(page.get_by_text(stranger.email)).to_have_count(0)
    page.goto(f"/admin/operators/{stranger.operator_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not here")
    page.goto("/admin/operators/new")
    expect(page.get_by_label("Where").get_by_role("option")).to_have_text(["Acme"])
    email = f"far-{id(desk)}@example.com"
    elsewhere = {"default": 404, "no-such-place": 404, "*": 403, "": 422}
    for organization, status in elsewhere.items():
        answer = send(
            page, "/admin/operators/new", email=email, organization=organization, role="auditor"
        )
        assert answer == status, organization
    for deed in ("remove", "reset", "role", "take"):
        path = f"/admin/operators/{stranger.operator_id}/{deed}"
        assert send(page, path, organization="default", role="admin", known="") == 404
    assert _read(desk, email) is None
    assert _read(desk, stranger.email) is not None
    # Who has an account elsewhere that the owner cannot answer for is not brought in.
    assert (
        send(page, "/admin/operators/new", email=stranger.email, organization=acme.id, role="admin")
        == 409
    )


def test_who_may_only_look_has_no_buttons(desk: Desk, acme: Acme) -> None:
    """An auditor sees people and roles, and changes none by any door."""
    desk.sign_in(acme.auditor)
    page = desk.open(f"/admin/operators/{acme.owner.operator_id}")

    expect(page.get_by_role("row").filter(has_text="Acme")).to_contain_text("Owner")
    main = page.get_by_role("main")
    for words in ("Change", "Take", "Reset", "Remove", "Give a role"):
        expect(main.get_by_role("link", name=words)).to_have_count(0)
    page.goto("/admin/operators")
    expect(page.get_by_role("link", name="Invite somebody")).to_have_count(0)
    for deed in ("new", *(f"{acme.owner.operator_id}/{d}" for d in ("role", "take", "remove"))):
        fields = {"email": "x@example.com", "organization": acme.id, "role": "auditor"}
        assert send(page, f"/admin/operators/{deed}", **fields) == 403
    after = _read(desk, acme.owner.email)
    assert after is not None
    assert after.roles == {acme.id: Role.OWNER}


@pytest.mark.main_flow
def test_a_long_list_of_people_has_pages(desk: Desk, acme: Acme) -> None:
    """The newest first, each once; a cursor of another list begins this one."""
    with desk.database.write() as connection:
        now = desk.database.now(connection)
        for number in range(50):
            person = Operator(
                operator_id=identifiers.new_id("opr_"),
                email=f"p{number}-{id(desk)}@example.com",
                roles={acme.id: Role.AUDITOR},
                created_at=now + timedelta(seconds=number),
                created_by=TESTER.actor,
            )
            store.add(connection, person)
    page = desk.open("/admin/operators")
    names = page.locator("td.first .name")

    expect(page.get_by_role("main")).to_contain_text("50 people on this page")
    assert names.all_inner_texts() == [f"p{n}-{id(desk)}@example.com" for n in reversed(range(50))]
    page.get_by_role("link", name="Older").click()
    expect(names).to_have_text([acme.auditor.email, acme.owner.email])
    cursor = page.url.partition("?")[2]
    page.get_by_role("link", name="Newest").click()
    expect(names).to_have_count(50)

    page.goto(f"/admin/operators?{cursor[:-1]}")
    expect(page).to_have_url(f"{desk.server.url}/admin/operators")


@pytest.mark.parametrize(
    "context", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 700}}]
)
def test_the_pages_of_people_keep_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """axe finds nothing, in light, dark and on a narrow phone, where nothing sticks out."""
    desk = new_desk(**context)
    desk.let_sign_in_grow_old(desk.sign_in())
    auditor = desk.hire(Role.AUDITOR, "default").operator_id
    deeds = ("", "/role", "/take?organization=default", "/reset", "/remove")
    for path in ("", "/new", *(f"/{auditor}{deed}" for deed in deeds)):
        page = desk.open(f"/admin/operators{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        desk.axe()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_without_scripts_an_invitation_is_made_and_shown(new_desk: Callable[..., Desk]) -> None:
    """The link stands there to be selected."""
    desk = new_desk(java_script_enabled=False)
    desk.sign_in()
    _invite(desk, f"plain-{id(desk)}@example.com", "Auditor")

    expect(desk.page.locator("[data-secret]")).to_contain_text("/admin/invitation#")
