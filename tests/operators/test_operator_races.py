"""Two deeds on operators at once leave one truth: real threads, both databases."""

import pytest
from people import OTHER_PASSWORD, PASSWORD, Office, at_once

from hourpass.server.operators import lifecycle
from hourpass.server.operators.lifecycle import DeadLink, Invited
from hourpass.server.operators.model import NotFound, Operator, Role
from hourpass.server.refused import Conflict
from support.hashing import HASHING
from support.installation import TESTER, Installation

TWO = ("ana@example.com", "ben@example.com")


@pytest.fixture
def office(installation: Installation) -> Office:
    """Nobody is there yet."""
    return Office(installation)


def owners(office: Office) -> list[str]:
    """Who owns the installation."""
    people = [office.read(email) for email in TWO]
    return [person.email for person in people if person and person.owns_installation]


@pytest.mark.parametrize("again", range(5))
@pytest.mark.parametrize("how", ["remove", "take", "lower"])
def test_two_owners_who_go_at_once_leave_one(office: Office, how: str, again: int) -> None:
    """One deed is done, the other is told of the conflict."""
    for email in TWO:
        office.hire(email)

    def go(email: str) -> None:
        if how == "remove":
            lifecycle.remove(database, email, TESTER)
        elif how == "take":
            lifecycle.take_role(database, email, None, TESTER)
        else:
            lifecycle.set_role(database, email, None, Role.ADMIN, TESTER)

    with office.meeting(2) as database:
        results = at_once(*[lambda email=email: go(email) for email in TWO])

    assert len(owners(office)) == 1
    assert len([result for result in results if isinstance(result, Conflict)]) == 1
    assert len(office.events("operator.removed", "operator.updated")) == 1


@pytest.mark.parametrize("parties", [2, 5])
def test_a_link_used_by_several_at_once_works_for_one(office: Office, parties: int) -> None:
    """One password is set, and it signs in; the others are told."""
    made = lifecycle.set_role(office.database, TWO[0], None, Role.OWNER, TESTER)
    assert made.link is not None
    token = made.link.token
    words = [PASSWORD, OTHER_PASSWORD]

    with office.meeting(parties) as database:
        results = at_once(
            *[
                lambda word=words[number % 2]: (
                    word,
                    lifecycle.use_link(database, HASHING, token, word, TESTER),
                )
                for number in range(parties)
            ]
        )

    (winner,) = [result for result in results if isinstance(result, tuple)]
    assert len([result for result in results if isinstance(result, DeadLink)]) == parties - 1
    assert len(office.events("operator.created")) == 1
    office.sign_in(TWO[0], winner[0])


@pytest.mark.parametrize("again", range(3))
def test_a_set_up_link_used_by_two_at_once_makes_one_owner(office: Office, again: int) -> None:
    """Never two."""
    token = lifecycle.make_set_up_link(office.database, TESTER).token

    with office.meeting(2) as database:
        results = at_once(
            *[
                lambda email=email: lifecycle.use_link(
                    database, HASHING, token, PASSWORD, TESTER, email=email
                )
                for email in TWO
            ]
        )

    assert len([result for result in results if isinstance(result, Operator)]) == 1
    assert len([result for result in results if isinstance(result, DeadLink)]) == 1
    assert len(owners(office)) == 1


def test_the_same_person_invited_by_several_at_once_is_one(office: Office) -> None:
    """One row, and one link that works: the last."""
    with office.meeting(4) as database:
        results = at_once(
            *[lambda: lifecycle.set_role(database, TWO[0], None, Role.OWNER, TESTER)] * 4
        )

    invited = [result for result in results if isinstance(result, Invited)]
    assert len(invited) == 4
    assert len({made.operator.operator_id for made in invited}) == 1
    used = at_once(
        *[
            lambda made=made: lifecycle.use_link(
                office.database, HASHING, made.link.token, PASSWORD, TESTER
            )
            for made in invited
        ]
    )
    assert len([result for result in used if isinstance(result, Operator)]) == 1


def test_removing_against_using_a_link_leaves_no_half_person(office: Office) -> None:
    """Either the person signed up and is removed, or the link is dead."""
    office.hire("boss@example.com")
    made = lifecycle.set_role(office.database, TWO[0], None, Role.ADMIN, TESTER)
    assert made.link is not None
    token = made.link.token

    with office.meeting(2) as database:
        removed, used = at_once(
            lambda: lifecycle.remove(database, TWO[0], TESTER),
            lambda: lifecycle.use_link(database, HASHING, token, PASSWORD, TESTER),
        )

    assert removed is None
    assert isinstance(used, Operator | DeadLink | NotFound)
    assert office.read(TWO[0]) is None
