"""Sessions: both limits, ending them, proving again who one is."""

import pytest
from people import OTHER_PASSWORD, PASSWORD, Office

from hourpass.server.operators.model import NotFound
from hourpass.server.operators.sessions import operations, sign_in
from hourpass.server.operators.sessions.model import MAX_SESSIONS
from hourpass.server.operators.sessions.sign_in import SignInRefused
from hourpass.server.operators.tokens import Token
from support.hashing import HASHING
from support.installation import TESTER, Installation

EMAIL = "ana@example.com"


@pytest.fixture
def office(installation: Installation) -> Office:
    """Nobody is there yet."""
    return Office(installation)


@pytest.fixture(autouse=True)
def _ana(office: Office) -> None:
    office.hire(EMAIL)


@pytest.mark.parametrize(("minutes", "live"), [(29, True), (31, False)])
def test_a_session_ends_when_it_is_idle(office: Office, minutes: int, live: bool) -> None:
    """After half an hour without a request."""
    token = office.sign_in(EMAIL).token
    office.database.pass_time(minutes=minutes)

    assert (operations.current(office.database, token) is not None) is live


def test_each_use_starts_the_half_hour_anew_for_twelve_hours(office: Office) -> None:
    """But no longer, however busy."""
    token = office.sign_in(EMAIL).token
    for _ in range(12 * 3 - 1):
        office.database.pass_time(minutes=20)
        assert operations.current(office.database, token) is not None
    office.database.pass_time(minutes=20)

    assert operations.current(office.database, token) is None


def test_a_page_that_asks_by_itself_keeps_no_session_alive(office: Office) -> None:
    """Somebody left a live page open and went home."""
    token = office.sign_in(EMAIL).token
    office.database.pass_time(minutes=20)
    assert operations.current(office.database, token, is_use=False) is not None
    office.database.pass_time(minutes=11)

    assert operations.current(office.database, token, is_use=False) is None


def test_signing_out_is_done_on_the_server(office: Office) -> None:
    """A copy of the cookie is worth nothing; doing it twice does nothing."""
    token = office.sign_in(EMAIL).token
    for _ in range(2):
        operations.sign_out(office.database, token, TESTER)

    assert operations.current(office.database, token) is None
    (event,) = office.events("operator.signed_out")
    assert event["actor"]["name"] == EMAIL


def test_sessions_are_listed_and_ended_one_or_all(office: Office) -> None:
    """Only one's own: somebody else's ID is not found."""
    tokens = [office.sign_in(EMAIL).token for _ in range(4)]
    ben = office.hire("ben@example.com")
    who = office.current(tokens[0])
    listed = operations.live_sessions(office.database, who.operator.operator_id)
    assert len(listed) == 4

    with pytest.raises(NotFound):
        operations.end_session(office.database, ben, who.session.session_id, TESTER)
    other = office.current(tokens[1]).session.session_id
    operations.end_session(office.database, who.operator, other, TESTER)
    assert operations.current(office.database, tokens[1]) is None
    ended = operations.end_every_session(
        office.database, who.operator, TESTER, but=who.session.session_id
    )

    assert ended == 2
    assert [operations.current(office.database, token) is None for token in tokens] == [
        False,
        True,
        True,
        True,
    ]


def test_a_person_has_a_bounded_number_of_sessions(office: Office) -> None:
    """The oldest one ends."""
    tokens = [office.sign_in(EMAIL).token for _ in range(MAX_SESSIONS + 1)]

    assert operations.current(office.database, tokens[0]) is None
    assert operations.current(office.database, tokens[1]) is not None
    assert operations.current(office.database, tokens[-1]) is not None


def test_what_is_no_token_opens_nothing(office: Office) -> None:
    """Nor does the stored digest."""
    office.sign_in(EMAIL)
    with office.database.read() as connection:
        digest = bytes(
            connection.exec_driver_sql("select digest from operator_session").scalar_one()
        )

    for text in ("", "\0", "\ud800", "x" * 10_000, digest.hex(), digest.decode("latin-1")):
        assert operations.current(office.database, Token(text)) is None


def test_a_session_is_fresh_for_a_quarter_of_an_hour_and_again_when_proved(office: Office) -> None:
    """Dangerous deeds ask for it."""
    token = office.sign_in(EMAIL).token

    def fresh() -> bool:
        with office.database.read() as connection:
            now = office.database.now(connection)
        return office.current(token).session.is_fresh(now)

    assert fresh()
    office.database.pass_time(minutes=14)
    assert fresh()
    office.database.pass_time(minutes=2)
    assert not fresh()
    who = office.current(token)
    with pytest.raises(SignInRefused):
        sign_in.reauthenticate(
            office.database, HASHING, office.master, who, OTHER_PASSWORD, "", TESTER
        )
    assert not fresh()
    sign_in.reauthenticate(office.database, HASHING, office.master, who, PASSWORD, "", TESTER)
    assert fresh()
    assert office.events("operator.signed_in")[-1]["detail"]["again"] is True


def test_proving_again_on_a_session_that_ended_is_refused(office: Office) -> None:
    """It opens nothing that was closed."""
    token = office.sign_in(EMAIL).token
    who = office.current(token)
    operations.sign_out(office.database, token, TESTER)

    with pytest.raises(SignInRefused):
        sign_in.reauthenticate(office.database, HASHING, office.master, who, PASSWORD, "", TESTER)
    assert operations.current(office.database, token) is None
