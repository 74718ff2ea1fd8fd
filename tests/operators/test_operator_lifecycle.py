"""Inviting, roles, removing, resetting, setting up: rows and events, on both databases."""

from datetime import datetime, timedelta

import pytest
from people import OTHER_PASSWORD, PASSWORD, Office, acting

from hourpass.server.audit.events import Origin
from hourpass.server.operators import lifecycle, lookup, store
from hourpass.server.operators.credentials.passwords import Password
from hourpass.server.operators.lifecycle import DeadLink, OneTimeLink
from hourpass.server.operators.model import NotAllowed, NotFound, Operator, Role
from hourpass.server.operators.sessions import operations
from hourpass.server.operators.sessions.sign_in import SignInRefused
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput, Conflict
from support.hashing import HASHING
from support.installation import TESTER, Installation


@pytest.fixture
def office(installation: Installation) -> Office:
    """Nobody is there yet."""
    return Office(installation)


def invite(office: Office, email: str, role: Role, organization: str | None = None) -> OneTimeLink:
    """Somebody new; the link."""
    made = lifecycle.set_role(office.database, email, organization, role, TESTER)
    assert made.link is not None
    return made.link


def use(office: Office, link: OneTimeLink, **more: str) -> Operator:
    """Sign up, or back in."""
    return lifecycle.use_link(office.database, HASHING, link.token, PASSWORD, TESTER, **more)


def test_an_invited_person_signs_up_by_the_link(office: Office) -> None:
    """Then the password signs in; every step left its event."""
    link = invite(office, "Ana@Example.com", Role.ADMIN, "default")
    before = office.read("ana@example.com")
    shown = lifecycle.look_at_link(office.database, link.token)
    operator = use(office, link)

    assert before is not None
    assert before.activated_at is None
    assert shown.email == "ana@example.com"
    assert operator.activated_at is not None
    assert operator.roles == {"default": Role.ADMIN}
    assert office.sign_in("ANA@example.com").operator == office.read("ana@example.com")
    invited, created, signed_in = office.events()
    assert [e["event"] for e in (invited, created, signed_in)] == [
        "operator.invited",
        "operator.created",
        "operator.signed_in",
    ]
    assert invited["actor"]["name"] == "Tester"
    assert invited["organization"] == "default"
    assert invited["detail"]["role"] == "admin"
    assert created["actor"] == {
        "type": "operator",
        "id": operator.operator_id,
        "name": "ana@example.com",
    }


def test_the_token_is_in_the_fragment_and_stored_nowhere(office: Office) -> None:
    """No server's log ever sees it; the database has a digest; a repr hides it."""
    link = invite(office, "ana@example.com", Role.OWNER)
    token = link.token.reveal()

    assert link.url("https://id.example.com") == f"https://id.example.com/admin/invitation#{token}"
    assert len(token) >= 43
    assert token not in repr(link)
    with office.database.read() as connection:
        rows = connection.exec_driver_sql("select * from operator_link").all()
    assert len(rows) == 1
    assert token not in str(rows)
    assert token not in str(office.installation.events())


def test_a_link_works_once(office: Office) -> None:
    """Whoever uses it again is told, and the password stays."""
    link = invite(office, "ana@example.com", Role.OWNER)
    use(office, link)

    with pytest.raises(DeadLink):
        lifecycle.use_link(office.database, HASHING, link.token, OTHER_PASSWORD, TESTER)
    office.sign_in("ana@example.com")


@pytest.mark.parametrize(("hours", "good"), [(71.9, True), (72.1, False)])
def test_an_invitation_is_good_for_three_days(office: Office, hours: float, good: bool) -> None:
    """And then it is not."""
    link = invite(office, "ana@example.com", Role.OWNER)
    office.database.pass_time(hours=hours)

    if good:
        use(office, link)
    else:
        with pytest.raises(DeadLink):
            use(office, link)


def test_a_made_up_link_is_refused_before_any_hashing(office: Office) -> None:
    """It costs a read and no more."""
    for text in ("", "x", "\0", "\ud800", "A" * 43):
        with pytest.raises(DeadLink):
            lifecycle.use_link(office.database, HASHING, Token(text), Password("x"), TESTER)


def test_a_weak_password_does_not_use_the_link_up(office: Office) -> None:
    """The person tries another."""
    link = invite(office, "ana@example.com", Role.OWNER)

    with pytest.raises(BadInput, match="at least 15"):
        lifecycle.use_link(office.database, HASHING, link.token, Password("short"), TESTER)
    use(office, link)


def test_inviting_again_kills_the_older_link(office: Office) -> None:
    """One open link a person."""
    first = invite(office, "ana@example.com", Role.AUDITOR)
    second = invite(office, "ana@example.com", Role.OWNER)

    with pytest.raises(DeadLink):
        use(office, first)
    assert use(office, second).roles == {None: Role.OWNER}


def test_a_role_for_somebody_who_has_signed_up_needs_no_link(office: Office) -> None:
    """It counts at once; nothing changes when it is the same."""
    office.hire("ana@example.com", Role.AUDITOR, "default")
    made = lifecycle.set_role(office.database, "ana@example.com", "default", Role.ADMIN, TESTER)
    again = lifecycle.set_role(office.database, "ana@example.com", "default", Role.ADMIN, TESTER)

    assert made.link is None
    assert again.link is None
    (updated,) = office.events("operator.updated")
    assert updated["detail"]["role_before"] == "auditor"
    assert updated["detail"]["role"] == "admin"


def test_an_unknown_organization_is_refused(office: Office) -> None:
    """Also one that no database could hold."""
    for organization in ("nowhere", "", "a\0", "\ud800"):
        with pytest.raises(BadInput, match="no such organization"):
            lifecycle.set_role(office.database, "ana@example.com", organization, Role.ADMIN, TESTER)
    assert office.read("ana@example.com") is None


def test_an_owner_of_an_organization_invites_only_there(office: Office) -> None:
    """And gives nothing that an owner there lacks."""
    office.add_organization("acme")
    owner = acting(office.hire("ana@example.com", Role.OWNER, "acme"))
    made = lifecycle.set_role(office.database, "ben@example.com", "acme", Role.OWNER, owner)

    assert made.link is not None
    for organization in (None, "default"):
        with pytest.raises(NotAllowed):
            lifecycle.set_role(office.database, "c@example.com", organization, Role.AUDITOR, owner)
    assert office.read("c@example.com") is None


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMIN])
def test_who_may_not_write_operators_changes_none(office: Office, role: Role) -> None:
    """Neither invites, nor takes, nor removes, nor resets."""
    weak = acting(office.hire("ana@example.com", role))
    office.hire("ben@example.com", Role.AUDITOR)

    for deed in (
        lambda: lifecycle.set_role(office.database, "c@example.com", None, Role.AUDITOR, weak),
        lambda: lifecycle.take_role(office.database, "ben@example.com", None, weak),
        lambda: lifecycle.remove(office.database, "ben@example.com", weak),
        lambda: lifecycle.reset(office.database, "ben@example.com", weak),
    ):
        with pytest.raises(NotAllowed):
            deed()
    assert office.read("ben@example.com") is not None


def test_what_an_operator_holds_is_read_when_the_deed_is_done(office: Office) -> None:
    """A page that was opened as an owner invites nobody once the role is gone."""
    office.hire("boss@example.com")
    ana = acting(office.hire("ana@example.com"))
    lifecycle.set_role(office.database, "ana@example.com", None, Role.AUDITOR, TESTER)

    with pytest.raises(NotAllowed):
        lifecycle.set_role(office.database, "c@example.com", None, Role.AUDITOR, ana)


@pytest.mark.spec("threats", "15", "no crossing of organizations")
def test_people_of_another_organization_do_not_exist(office: Office) -> None:
    """404 for an owner elsewhere; what is not there gives the same answer."""
    office.add_organization("acme")
    owner = acting(office.hire("ana@example.com", Role.OWNER, "acme"))
    office.hire("ben@example.com", Role.AUDITOR, "default")

    for email in ("ben@example.com", "nobody@example.com", "no address"):
        with pytest.raises(NotFound):
            lifecycle.remove(office.database, email, owner)
        with pytest.raises(NotFound):
            lifecycle.reset(office.database, email, owner)
    seen, _ = lookup.page(office.database, owner, "acme", limit=9)
    assert [operator.email for operator in seen] == ["ana@example.com"]
    everyone, _ = lookup.page(office.database, TESTER, None, limit=9)
    assert len(everyone) == 2


def paged(office: Office, by: Origin, organization: str | None, limit: int) -> list[str]:
    """The addresses on all pages; each page but the last is full."""
    found: list[str] = []
    more: tuple[datetime, str] | None = None
    while True:
        people, more = lookup.page(office.database, by, organization, limit=limit, before=more)
        found += [operator.email for operator in people]
        if more is None:
            return found
        assert len(people) == limit


def test_pages_hold_each_person_once_newest_first(office: Office) -> None:
    """Also people of one moment; those of the installation are for its own people only."""
    office.add_organization("acme")
    chief = acting(office.hire("chief@example.com"))
    owner = acting(office.hire("ana@example.com", Role.OWNER, "acme"))
    with office.database.write() as connection:
        now = office.database.now(connection)
        made = [
            Operator(
                operator_id=f"opr_{number:020}",
                email=f"p{number}@example.com",
                roles={"acme": Role.AUDITOR} if number % 2 else {"default": Role.AUDITOR},
                created_at=now,
                created_by=TESTER.actor,
            )
            for number in range(6)
        ]
        for operator in made:
            store.add(connection, operator)
    newest = [operator.email for operator in reversed(made)]

    for limit in (1, 2, 3, 8, 9):
        everybody = [*newest, "ana@example.com", "chief@example.com"]
        assert paged(office, chief, None, limit) == everybody, limit
        assert paged(office, chief, "acme", limit) == [*newest[::2], "ana@example.com"], limit
        assert paged(office, owner, "acme", limit) == [*newest[::2], "ana@example.com"], limit
    people, _ = lookup.page(office.database, owner, None, limit=9)
    assert {operator.email for operator in people} == {*newest[::2], "ana@example.com"}


def test_nobody_gets_a_link_into_an_account_stronger_than_they_are(office: Office) -> None:
    """An owner elsewhere can neither reset nor re-invite somebody with roles beyond their own."""
    office.add_organization("acme")
    owner = acting(office.hire("ana@example.com", Role.OWNER, "acme"))
    pending = invite(office, "ben@example.com", Role.OWNER)

    with pytest.raises(Conflict, match="roles elsewhere"):
        lifecycle.set_role(office.database, "ben@example.com", "acme", Role.AUDITOR, owner)
    office.hire("carl@example.com", Role.ADMIN, "acme")
    lifecycle.set_role(office.database, "carl@example.com", "default", Role.AUDITOR, TESTER)
    with pytest.raises(NotAllowed):
        lifecycle.reset(office.database, "carl@example.com", owner)
    assert use(office, pending).roles == {None: Role.OWNER}


def test_an_account_made_in_one_organization_is_not_believed_in_another(office: Office) -> None:
    """Else an owner could sign up as somebody else, and wait for the invitation elsewhere."""
    for organization in ("acme", "other"):
        office.add_organization(organization)
    acme = acting(office.hire("ana@example.com", Role.OWNER, "acme"))
    other = acting(office.hire("ben@example.com", Role.OWNER, "other"))
    made = lifecycle.set_role(office.database, "ceo@example.com", "acme", Role.AUDITOR, acme)
    assert made.link is not None
    use(office, made.link)

    with pytest.raises(Conflict, match="roles elsewhere"):
        lifecycle.set_role(office.database, "ceo@example.com", "other", Role.OWNER, other)
    joined = lifecycle.set_role(office.database, "ceo@example.com", "other", Role.ADMIN, TESTER)
    assert joined.operator.roles == {"acme": Role.AUDITOR, "other": Role.ADMIN}
    changed = lifecycle.set_role(office.database, "ceo@example.com", "other", Role.OWNER, other)
    assert changed.operator.roles["other"] is Role.OWNER


def test_a_stronger_role_kills_a_reset_link_that_is_out(office: Office) -> None:
    """Else who made the link for a weak account could open a strong one."""
    office.add_organization("acme")
    owner = acting(office.hire("ana@example.com", Role.OWNER, "acme"))
    office.hire("ben@example.com", Role.AUDITOR, "acme")
    link = lifecycle.reset(office.database, "ben@example.com", owner).link
    lifecycle.set_role(office.database, "ben@example.com", None, Role.OWNER, TESTER)

    assert link is not None
    with pytest.raises(DeadLink):
        use(office, link)


def test_taking_the_last_role_removes_the_person(office: Office) -> None:
    """Nobody is left without any."""
    office.add_organization("acme")
    office.hire("ana@example.com", Role.ADMIN, "acme")
    lifecycle.set_role(office.database, "ana@example.com", "default", Role.ADMIN, TESTER)

    left = lifecycle.take_role(office.database, "ana@example.com", "acme", TESTER)
    assert left is not None
    assert left.roles == {"default": Role.ADMIN}
    with pytest.raises(NotFound):
        lifecycle.take_role(office.database, "ana@example.com", "acme", TESTER)
    assert lifecycle.take_role(office.database, "ana@example.com", "default", TESTER) is None
    assert office.read("ana@example.com") is None


def test_a_removed_person_is_signed_out_and_gone(office: Office) -> None:
    """At once; the trail remembers who it was and what they had."""
    office.hire("boss@example.com")
    office.hire("ana@example.com", Role.ADMIN)
    signed_in = office.sign_in("ana@example.com")
    lifecycle.remove(office.database, "ana@example.com", TESTER)

    assert operations.current(office.database, signed_in.token) is None
    with pytest.raises(SignInRefused):
        office.sign_in("ana@example.com")
    (removed,) = office.events("operator.removed")
    assert removed["detail"]["email"] == "ana@example.com"
    assert removed["detail"]["roles"] == ["installation: admin"]


def test_the_last_owner_is_neither_removed_nor_lowered(office: Office) -> None:
    """By nobody, a command included; with a second one it is possible."""
    office.hire("ana@example.com")

    for deed in (
        lambda: lifecycle.remove(office.database, "ana@example.com", TESTER),
        lambda: lifecycle.take_role(office.database, "ana@example.com", None, TESTER),
        lambda: lifecycle.set_role(office.database, "ana@example.com", None, Role.ADMIN, TESTER),
    ):
        with pytest.raises(Conflict, match="last owner"):
            deed()
    office.hire("ben@example.com")
    lifecycle.remove(office.database, "ana@example.com", TESTER)
    with pytest.raises(Conflict):
        lifecycle.make_set_up_link(office.database, TESTER)


def test_a_reset_changes_nothing_until_it_is_used_then_everything(office: Office) -> None:
    """Then the old password is dead and every session over; the new one signs in."""
    office.hire("ana@example.com")
    signed_in = office.sign_in("ana@example.com")
    link = lifecycle.reset(office.database, "ana@example.com", TESTER).link
    assert link is not None
    assert operations.current(office.database, signed_in.token) is not None

    lifecycle.use_link(office.database, HASHING, link.token, OTHER_PASSWORD, TESTER)

    assert operations.current(office.database, signed_in.token) is None
    with pytest.raises(SignInRefused):
        office.sign_in("ana@example.com")
    office.sign_in("ana@example.com", OTHER_PASSWORD)
    assert [e["detail"]["step"] for e in office.events("operator.reset")] == [
        "link made",
        "link used",
    ]


@pytest.mark.parametrize(("minutes", "good"), [(59, True), (61, False)])
def test_a_reset_link_is_good_for_an_hour(office: Office, minutes: int, good: bool) -> None:
    """And then it is not."""
    office.hire("ana@example.com")
    link = lifecycle.reset(office.database, "ana@example.com", TESTER).link
    assert link is not None
    office.database.pass_time(minutes=minutes)

    if good:
        use(office, link)
    else:
        with pytest.raises(DeadLink):
            use(office, link)


@pytest.mark.spec("threats", "19", "dead once any operator exists")
def test_the_set_up_link_makes_the_first_owner(office: Office) -> None:
    """Once, within an hour; a new one kills the older."""
    older = lifecycle.make_set_up_link(office.database, TESTER)
    link = lifecycle.make_set_up_link(office.database, TESTER)
    assert timedelta(minutes=59) < link.expires_at - office_now(office) <= timedelta(hours=1)

    with pytest.raises(DeadLink):
        use(office, older, email="ana@example.com")
    with pytest.raises(BadInput, match="email"):
        use(office, link)
    operator = use(office, link, email="Ana@example.com")

    assert operator.owns_installation
    office.sign_in("ana@example.com")
    with pytest.raises(DeadLink):
        use(office, link, email="ben@example.com")
    with pytest.raises(Conflict, match="operators create"):
        lifecycle.make_set_up_link(office.database, TESTER)
    assert [e["event"] for e in office.events()] == [
        "operator.invited",
        "operator.invited",
        "operator.created",
        "operator.signed_in",
    ]


def test_the_set_up_link_dies_with_the_first_invitation(office: Office) -> None:
    """An operator exists from then on, signed up or not."""
    link = lifecycle.make_set_up_link(office.database, TESTER)
    invite(office, "ana@example.com", Role.AUDITOR, "default")

    with pytest.raises(DeadLink):
        lifecycle.look_at_link(office.database, link.token)
    with pytest.raises(DeadLink):
        use(office, link, email="ben@example.com")


def test_the_set_up_link_dies_after_an_hour(office: Office) -> None:
    """A new one can be made."""
    link = lifecycle.make_set_up_link(office.database, TESTER)
    office.database.pass_time(minutes=61)

    with pytest.raises(DeadLink):
        use(office, link, email="ana@example.com")
    use(office, lifecycle.make_set_up_link(office.database, TESTER), email="ana@example.com")


def test_open_links_are_bounded(office: Office) -> None:
    """One a person, and expired ones are forgotten with the next."""
    for number in range(5):
        invite(office, f"{number}@example.com", Role.AUDITOR, "default")
        invite(office, f"{number}@example.com", Role.AUDITOR, "default")
    assert link_count(office) == 5
    office.database.pass_time(hours=73)
    invite(office, "last@example.com", Role.AUDITOR, "default")

    assert link_count(office) == 1


def link_count(office: Office) -> int:
    """How many links are stored."""
    with office.database.read() as connection:
        count = connection.exec_driver_sql("select count(*) from operator_link").scalar_one()
    return int(count)


def office_now(office: Office) -> datetime:
    """The time by the office's clock."""
    with office.database.read() as connection:
        return office.database.now(connection)
