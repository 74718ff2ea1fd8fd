"""Authenticator apps and recovery codes: each code is accepted once, also in parallel."""

import pyotp
import pytest
from people import OTHER_PASSWORD, PASSWORD, Office, at_once
from sqlalchemy import select

from hourpass.server.db.schema import sealed_key
from hourpass.server.keys import operations as keys
from hourpass.server.keys.master import MasterKeys, generate
from hourpass.server.operators import lifecycle
from hourpass.server.operators.credentials import store as credentials
from hourpass.server.operators.credentials import totp
from hourpass.server.operators.model import NotFound, Operator
from hourpass.server.operators.sessions import operations, sign_in
from hourpass.server.operators.sessions.model import Method, Stage
from hourpass.server.operators.sessions.sign_in import SignedIn, SignInRefused, TooManyFailures
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput, Conflict
from support.hashing import HASHING
from support.installation import TESTER, Installation

EMAIL = "ana@example.com"


@pytest.fixture
def office(installation: Installation) -> Office:
    """Nobody is there yet."""
    return Office(installation)


class App:
    """Somebody's authenticator app, by the office's clock."""

    def __init__(self, office: Office, secret: str) -> None:
        self.office = office
        self._app = pyotp.TOTP(secret)

    def code(self, steps: int = 0) -> str:
        """What it shows, or showed or will show so many steps away."""
        with self.office.database.read() as connection:
            now = self.office.database.now(connection)
        return self._app.generate_otp(int(now.timestamp()) // 30 + steps)


@pytest.fixture
def ana(office: Office) -> Operator:
    """Who has signed up."""
    return office.hire(EMAIL)


def enrol(office: Office, operator: Operator) -> tuple[App, list[Token]]:
    """An app, confirmed, whose code of now is used; and recovery codes."""
    made = totp.begin(office.database, office.master, operator)
    app = App(office, made.secret.reveal())
    codes = totp.confirm(office.database, office.master, operator, app.code(), TESTER)
    office.database.pass_time(seconds=90)
    return app, codes


def give(office: Office, half: SignedIn, code: str) -> SignedIn:
    """The second step."""
    return sign_in.give_code(office.database, office.master, half.token, code, TESTER)


def test_with_an_app_the_password_alone_opens_nothing(office: Office, ana: Operator) -> None:
    """The code does, with a token that nobody had before."""
    app, _ = enrol(office, ana)
    half = office.sign_in(EMAIL)

    assert half.session.stage is Stage.CODE
    assert operations.current(office.database, half.token) is None
    assert operations.live_sessions(office.database, ana.operator_id) == []
    assert office.events("operator.signed_in") == []
    whole = give(office, half, app.code())
    assert whole.token.reveal() != half.token.reveal()
    assert operations.current(office.database, half.token) is None
    assert office.current(whole.token).session.method is Method.TOTP
    with pytest.raises(SignInRefused):
        give(office, half, app.code(1))


@pytest.mark.spec("threats", "17", "a code is accepted once, also in parallel")
def test_a_code_is_accepted_once(office: Office, ana: Operator) -> None:
    """Nor is an older one afterwards."""
    app, _ = enrol(office, ana)
    code, older = app.code(), app.code(-1)
    give(office, office.sign_in(EMAIL), code)

    for used in (code, older):
        with pytest.raises(SignInRefused):
            give(office, office.sign_in(EMAIL), used)
    give(office, office.sign_in(EMAIL), app.code(1))


@pytest.mark.spec("threats", "17", "a code is accepted once, also in parallel")
@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_a_code_given_twice_at_once_is_accepted_once(
    office: Office, ana: Operator, kind: str
) -> None:
    """From two browsers that both know the password."""
    app, codes = enrol(office, ana)
    code = app.code() if kind == "totp" else codes[0].reveal()
    halves = [office.sign_in(EMAIL) for _ in range(3)]

    with office.meeting(3) as database:
        results = at_once(
            *[
                lambda half=half: sign_in.give_code(
                    database, office.master, half.token, code, TESTER
                )
                for half in halves
            ]
        )

    assert len([result for result in results if isinstance(result, SignedIn)]) == 1
    assert len([result for result in results if isinstance(result, SignInRefused)]) == 2


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_clocks_may_differ_by_one_step(
    office: Office, ana: Operator, steps: int, good: bool
) -> None:
    """Half a minute either way."""
    app, _ = enrol(office, ana)
    half = office.sign_in(EMAIL)

    if good:
        give(office, half, app.code(steps))
    else:
        with pytest.raises(SignInRefused):
            give(office, half, app.code(steps))


def test_a_code_is_read_as_people_type_it(office: Office, ana: Operator) -> None:
    """With blanks and dashes, in any case."""
    app, codes = enrol(office, ana)
    code = app.code()

    give(office, office.sign_in(EMAIL), f" {code[:3]} {code[3:]} ")
    give(office, office.sign_in(EMAIL), codes[0].reveal().upper().replace("-", " "))


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "\0" * 6, "x" * 9999])
def test_what_is_no_code_is_refused(office: Office, ana: Operator, code: str) -> None:
    """Never an error of another kind."""
    enrol(office, ana)

    with pytest.raises(SignInRefused):
        give(office, office.sign_in(EMAIL), code)


def test_wrong_codes_count_and_the_password_does_not_reset_them(
    office: Office, ana: Operator
) -> None:
    """Who has the password guesses no code."""
    app, _ = enrol(office, ana)
    half = office.sign_in(EMAIL)
    for _ in range(5):
        with pytest.raises(SignInRefused):
            give(office, half, "000000")

    with pytest.raises(TooManyFailures):
        give(office, half, app.code())
    with pytest.raises(TooManyFailures):
        office.sign_in(EMAIL)


def test_the_second_step_must_come_soon(office: Office, ana: Operator) -> None:
    """Within five minutes."""
    app, _ = enrol(office, ana)
    half = office.sign_in(EMAIL)
    office.database.pass_time(minutes=5, seconds=1)

    with pytest.raises(SignInRefused):
        give(office, half, app.code())


def test_an_app_is_asked_for_once_it_was_confirmed(office: Office, ana: Operator) -> None:
    """A wrong code confirms nothing; until then the password is enough."""
    made = totp.begin(office.database, office.master, ana)
    with pytest.raises(BadInput, match="code"):
        totp.confirm(office.database, office.master, ana, "000000", TESTER)

    assert office.sign_in(EMAIL).session.stage is Stage.OPEN
    again = totp.begin(office.database, office.master, ana)
    app = App(office, again.secret.reveal())
    totp.confirm(office.database, office.master, ana, app.code(), TESTER)
    assert made.secret.reveal() != again.secret.reveal()
    assert office.sign_in(EMAIL).session.stage is Stage.CODE
    with pytest.raises(Conflict):
        totp.begin(office.database, office.master, ana)
    with pytest.raises(Conflict):
        totp.confirm(office.database, office.master, ana, app.code(1), TESTER)


def test_the_uri_is_what_apps_read(office: Office, ana: Operator) -> None:
    """And the secret shows in no repr."""
    made = totp.begin(office.database, office.master, ana)
    read = pyotp.parse_uri(made.uri.reveal())

    assert isinstance(read, pyotp.TOTP)
    assert (read.issuer, read.name) == ("Hourpass", EMAIL)
    assert read.secret == made.secret.reveal()
    assert made.secret.reveal() not in repr(made)


def test_the_secret_is_sealed_and_recovery_codes_are_digests(office: Office, ana: Operator) -> None:
    """A copy of the database shows no code, ever."""
    made = totp.begin(office.database, office.master, ana)
    app = App(office, made.secret.reveal())
    codes = totp.confirm(office.database, office.master, ana, app.code(), TESTER)

    assert len({code.reveal() for code in codes}) == 10
    with office.database.read() as connection:
        stored = [
            *connection.exec_driver_sql("select * from operator_totp").all(),
            *connection.exec_driver_sql("select * from operator_recovery_code").all(),
        ]
        sealed = [bytes(row[0]) for row in connection.execute(select(sealed_key.c.sealed))]
    everything = str(stored) + str(office.installation.events())
    assert not any(made.secret.reveal().encode() in content for content in sealed)
    for token in (made.secret, *codes):
        assert token.reveal() not in everything
        assert token.reveal().replace("-", "") not in everything


def test_a_changed_master_key_keeps_every_app(office: Office, ana: Operator) -> None:
    """`rewrap` seals the secrets of apps anew, too."""
    app, _ = enrol(office, ana)
    new = generate()
    old_and_new = MasterKeys((*MasterKeys.parse(new)._keys, *office.master._keys))
    keys.rewrap(office.database, old_and_new)

    master = MasterKeys.parse(new)
    half = sign_in.sign_in(office.database, HASHING, master, EMAIL, PASSWORD, TESTER)
    signed_in = sign_in.give_code(office.database, master, half.token, app.code(), TESTER)
    assert office.current(signed_in.token).operator.email == EMAIL


def test_each_recovery_code_works_once(office: Office, ana: Operator) -> None:
    """Ten times in all; new ones replace the older."""
    _, codes = enrol(office, ana)
    for code in codes[:2]:
        signed_in = give(office, office.sign_in(EMAIL), code.reveal())
        assert signed_in.session.method is Method.RECOVERY_CODE
        with pytest.raises(SignInRefused):
            give(office, office.sign_in(EMAIL), code.reveal())
    with office.database.read() as connection:
        assert credentials.recovery_codes_left(connection, ana.operator_id) == 8

    renewed = totp.renew_recovery_codes(office.database, ana, TESTER)
    with pytest.raises(SignInRefused):
        give(office, office.sign_in(EMAIL), codes[5].reveal())
    give(office, office.sign_in(EMAIL), renewed[5].reveal())


def test_one_persons_codes_are_nobody_elses(office: Office, ana: Operator) -> None:
    """Neither of an app nor for recovery."""
    app, codes = enrol(office, ana)
    enrol(office, office.hire("ben@example.com"))
    code = app.code()

    for wrong in (code, codes[0].reveal()):
        with pytest.raises(SignInRefused):
            give(office, office.sign_in("ben@example.com"), wrong)
    give(office, office.sign_in(EMAIL), code)


def test_removing_the_app_removes_its_codes(office: Office, ana: Operator) -> None:
    """The password is enough again; each change is in the trail."""
    enrol(office, ana)
    totp.remove(office.database, ana, TESTER)

    assert office.sign_in(EMAIL).session.stage is Stage.OPEN
    for deed in (
        lambda: totp.remove(office.database, ana, TESTER),
        lambda: totp.renew_recovery_codes(office.database, ana, TESTER),
        lambda: totp.confirm(office.database, office.master, ana, "000000", TESTER),
    ):
        with pytest.raises(NotFound):
            deed()
    changes = office.events("operator.credential_added", "operator.credential_removed")
    assert [event["detail"]["credential"] for event in changes] == ["totp", "totp"]


def test_proving_again_takes_a_code_as_well(office: Office, ana: Operator) -> None:
    """The password alone does not."""
    app, _ = enrol(office, ana)
    who = office.current(give(office, office.sign_in(EMAIL), app.code()).token)
    prove = (office.database, HASHING, office.master, who, PASSWORD)

    with pytest.raises(SignInRefused):
        sign_in.reauthenticate(*prove, "", TESTER)
    sign_in.reauthenticate(*prove, app.code(1), TESTER)


def test_a_reset_clears_app_and_recovery_codes(office: Office, ana: Operator) -> None:
    """Whoever lost them is back in with the new password alone."""
    enrol(office, ana)
    link = lifecycle.reset(office.database, EMAIL, TESTER).link
    assert link is not None
    lifecycle.use_link(office.database, HASHING, link.token, OTHER_PASSWORD, TESTER)

    assert office.sign_in(EMAIL, OTHER_PASSWORD).session.stage is Stage.OPEN
    with office.database.read() as connection:
        assert credentials.recovery_codes_left(connection, ana.operator_id) == 0
        assert credentials.totp(connection, ana.operator_id) is None
