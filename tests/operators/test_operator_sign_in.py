"""Signing in with a password: no enumeration, growing delays, rehashing, on both databases."""

import hashlib
import itertools
import time
from datetime import timedelta

import people
import pytest
from argon2 import PasswordHasher
from people import OTHER_PASSWORD, PASSWORD, Office, at_once
from sqlalchemy import event, select, update

from hourpass.server.db.operator_schema import operator as operator_table
from hourpass.server.db.operator_schema import sign_in_failure
from hourpass.server.db.schema import organization
from hourpass.server.operators import lifecycle
from hourpass.server.operators.credentials.passwords import Password, Passwords
from hourpass.server.operators.model import Role
from hourpass.server.operators.sessions import operations, sign_in, store
from hourpass.server.operators.sessions.model import Method, Stage, delay_after
from hourpass.server.operators.sessions.operations import NoAccess
from hourpass.server.operators.sessions.sign_in import SignedIn, SignInRefused, TooManyFailures
from support.hashing import HASHING
from support.installation import TESTER, Installation

WRONG = Password("not the password at all")
EMAIL = "ana@example.com"


@pytest.fixture
def office(installation: Installation) -> Office:
    """Nobody is there yet."""
    return Office(installation)


def fail(office: Office, email: str, times: int) -> list[type[Exception]]:
    """Try a wrong password so often; what came of each."""
    outcomes: list[type[Exception]] = []
    for _ in range(times):
        try:
            office.sign_in(email, WRONG)
        except (SignInRefused, TooManyFailures) as refused:
            outcomes.append(type(refused))
    return outcomes


def use_up(office: Office, email: str) -> None:
    """So many attempts that the next one has to wait for longer than any test takes."""
    for _ in range(14):
        assert fail(office, email, 1) == [SignInRefused]
        office.database.pass_time(minutes=15)
    fail(office, email, 1)
    assert fail(office, email, 1) == [TooManyFailures]


def try_addresses(office: Office, count: int) -> None:
    """What so many attempts on addresses that are nobody's leave behind, without their work."""
    with office.database.write() as connection:
        for number in range(count):
            account = store.account_of_nobody(f"{number}@example.org", b"key")
            before = store.hold_failures(connection, account)
            now = office.database.now(connection)
            store.set_failures(connection, account, before.with_attempt(now))


def test_who_signs_in_has_a_session_and_leaves_an_event(office: Office) -> None:
    """With the powers of the role, and the address it came from."""
    office.hire(EMAIL, Role.ADMIN, "default")
    signed_in = office.sign_in(EMAIL)
    who = office.current(signed_in.token)

    assert who.operator.email == EMAIL
    assert who.session.stage is Stage.OPEN
    assert who.session.ip == "192.0.2.1"
    assert who.powers.within("default") == Role.ADMIN.scopes("default")
    assert who.powers.within(None) == frozenset()
    (event,) = office.events("operator.signed_in")
    assert event["actor"]["name"] == EMAIL
    assert event["detail"]["method"] == "password"
    assert event["ip"] == "192.0.2.1"


def test_a_session_is_stored_as_a_digest(office: Office) -> None:
    """The token is nowhere: not in the table, the trail, or a repr."""
    office.hire(EMAIL)
    signed_in = office.sign_in(EMAIL)
    token = signed_in.token.reveal()

    assert token not in repr(signed_in)
    with office.database.read() as connection:
        rows = connection.exec_driver_sql("select * from operator_session").all()
    assert len(rows) == 1
    assert token not in str(rows)
    assert token not in str(office.installation.events())


@pytest.mark.spec("threats", "17", "no enumeration by text, status or time")
def test_every_reason_gives_the_same_answer(office: Office) -> None:
    """Unknown address, wrong password, and somebody who has yet to sign up."""
    office.hire(EMAIL)
    lifecycle.set_role(office.database, "pending@example.com", None, Role.OWNER, TESTER)

    texts = set()
    for email in (EMAIL, "pending@example.com", "nobody@example.com", "no address", "\0", ""):
        with pytest.raises(SignInRefused) as refused:
            office.sign_in(email, WRONG)
        texts.add(str(refused.value))
    assert len(texts) == 1


@pytest.mark.spec("threats", "17", "no enumeration by text, status or time")
def test_an_unknown_account_takes_as_long(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash is worked on whether or not there is one: most of an attempt's time.

    That is CPU time of this thread, so that nothing else on the machine matters.
    """
    monkeypatch.setattr(people, "HASHING", Passwords())
    office.hire(EMAIL)
    took: dict[str, list[float]] = {EMAIL: [], "nobody@example.com": []}
    for _ in range(5):
        for email, times in took.items():
            began = time.thread_time()
            with pytest.raises(SignInRefused):
                office.sign_in(email, WRONG)
            times.append(time.thread_time() - began)
    known, unknown = min(took[EMAIL]), min(took["nobody@example.com"])

    assert 0.5 < unknown / known < 2


def test_unknown_accounts_are_delayed_as_known_ones_are(office: Office) -> None:
    """So the delay tells nothing either."""
    office.hire(EMAIL)

    assert fail(office, EMAIL, 8) == fail(office, "nobody@example.com", 8)


@pytest.mark.spec("threats", "17", "one counter per account whatever the spelling")
def test_one_counter_an_account_whatever_the_spelling(office: Office) -> None:
    """Case and composition are no way around the delay."""
    office.hire("zoë@example.com")
    spellings = ["zoë@example.com", "ZOË@example.com", "zoe\u0308@EXAMPLE.com", " Zoë@example.com"]
    for number in range(6):
        with pytest.raises(SignInRefused):
            office.sign_in(spellings[number % 4], WRONG)

    for spelling in spellings:
        with pytest.raises(TooManyFailures):
            office.sign_in(spelling)


def test_the_delay_grows_and_ends(office: Office) -> None:
    """Never for good: after the wait the right password signs in and all is forgotten."""
    office.hire(EMAIL)
    assert fail(office, EMAIL, 6) == [SignInRefused] * 6

    waits = []
    for _ in range(12):
        with pytest.raises(TooManyFailures) as refused:
            office.sign_in(EMAIL)
        waits.append(refused.value.wait)
        office.database.pass_time(seconds=refused.value.wait.total_seconds() + 1)
        assert fail(office, EMAIL, 1) == [SignInRefused]
    seconds = [round(wait.total_seconds()) for wait in waits]
    assert seconds == sorted(seconds)
    assert waits[0] < timedelta(seconds=3)
    assert timedelta(minutes=14) < waits[-1] <= timedelta(minutes=15)

    office.database.pass_time(minutes=15)
    office.sign_in(EMAIL)
    assert fail(office, EMAIL, 5) == [SignInRefused] * 5


def test_delays_are_bounded_whatever_the_count() -> None:
    """No overflow, no longer than a quarter of an hour, never shorter than before."""
    delays = [delay_after(count) for count in range(2000)]

    assert delays[:6] == [timedelta(0)] * 6
    assert delays == sorted(delays)
    assert delays[-1] == timedelta(minutes=15)


def test_an_attempt_within_the_delay_is_not_looked_at_and_costs_nothing(office: Office) -> None:
    """It does not make the wait longer, nor a row in the trail."""
    office.hire(EMAIL)
    fail(office, EMAIL, 6)
    with pytest.raises(TooManyFailures) as first:
        office.sign_in(EMAIL)
    fail(office, EMAIL, 20)
    with pytest.raises(TooManyFailures) as last:
        office.sign_in(EMAIL)

    assert last.value.wait <= first.value.wait
    assert len(office.events("operator.sign_in_failed")) == 6


def test_guesses_at_once_are_not_free(office: Office) -> None:
    """Each is counted before it is looked at: after one, of twelve at once five are."""
    office.hire(EMAIL)
    fail(office, EMAIL, 1)

    with office.meeting(12) as database:

        def attempt() -> SignedIn:
            return sign_in.sign_in(database, HASHING, office.master, EMAIL, WRONG, TESTER)

        results = at_once(*[attempt] * 12)

    kinds = [type(result) for result in results]
    assert kinds.count(SignInRefused) == 5
    assert kinds.count(TooManyFailures) == 7


@pytest.mark.spec("threats", "17", "no enumeration by text, status or time")
def test_no_two_unknown_accounts_share_a_counter(office: Office) -> None:
    """Nor do names that anybody could work out begin alike: whoever found two addresses with one
    counter could use up the attempts of the other, which an operator's address would not feel."""
    office.hire(EMAIL)
    seen: dict[str, str] = {}
    for number in itertools.count():
        address = f"{number}@example.com"
        other = seen.setdefault(hashlib.sha256(address.encode()).hexdigest()[:4], address)
        if other != address:
            break
    use_up(office, other)

    assert fail(office, address, 6) == fail(office, EMAIL, 6) == [SignInRefused] * 6


@pytest.mark.spec("threats", "17", "no enumeration by text, status or time")
def test_a_flood_makes_known_and_unknown_accounts_forgotten_alike(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or what is left of the counters would tell which address is known."""
    monkeypatch.setattr(store, "MAX_ACCOUNTS", 20)
    monkeypatch.setattr(store, "_FORGOTTEN_AT_ONCE", 5)
    office.hire(EMAIL)
    both = (EMAIL, "nobody@example.com")
    for email in both:
        use_up(office, email)
    assert [fail(office, email, 2)[-1] for email in both] == [TooManyFailures] * 2

    try_addresses(office, 40)

    assert fail(office, EMAIL, 1) == fail(office, "nobody@example.com", 1) == [SignInRefused]


@pytest.mark.spec("threats", "17", "no enumeration by text, status or time")
def test_the_database_works_as_much_for_an_unknown_account(office: Office) -> None:
    """The same statements, of which the last one writes: a commit that had nothing to write would
    be quicker. Within the wait not one is another, since that can be timed without end."""
    office.hire(EMAIL)
    fail(office, "somebody@example.com", 1)  # the event of this minute
    done: dict[str, list[list[str]]] = {EMAIL: [], "nobody@example.com": []}
    statements: list[str] = []

    def note(_1: object, _2: object, statement: str, *_3: object) -> None:
        statements.append(" ".join(statement.split()[:3]))

    for engine in (office.database.engine, office.database.reader):
        event.listen(engine, "before_cursor_execute", note)

    def keep(email: str) -> None:
        statements.clear()
        fail(office, email, 1)
        done[email].append(list(statements))

    for email in done:
        for _ in range(6):
            keep(email)
    known, unknown = done.values()
    assert [len(each) for each in known] == [len(each) for each in unknown]
    assert all("INSERT" in each[-1] for each in known)
    assert all("UPDATE" in each[-1] for each in unknown)

    office.database.pass_time(minutes=15)  # the sixth attempt made the next one wait
    for email in done:
        use_up(office, email)
        keep(email)
    assert known[6] == unknown[6]


def test_what_is_kept_of_failures_is_bounded(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many counters and no more, and of addresses that are nobody's one event a minute."""
    monkeypatch.setattr(store, "MAX_ACCOUNTS", 20)
    monkeypatch.setattr(store, "_FORGOTTEN_AT_ONCE", 5)
    try_addresses(office, 300)
    for number in range(3):
        fail(office, f"{number}@example.com", 1)

    with office.database.read() as connection:
        accounts = connection.scalars(select(sign_in_failure.c.account)).all()
    assert len(accounts) <= 21
    assert "example" not in str(accounts)
    (written,) = office.events("operator.sign_in_failed")
    assert written["actor"]["type"] == "system"
    assert "example.com" not in str(written["detail"])
    office.database.pass_time(minutes=1)
    fail(office, "4@example.com", 1)
    assert len(office.events("operator.sign_in_failed")) == 2


def test_what_was_typed_cannot_be_tried_by_who_reads_the_table() -> None:
    """People type passwords into the field of the address: its name is another under each key."""
    names = {store.account_of_nobody("a password", bytes([number]) * 32) for number in range(9)}

    assert len(names) == 9


def test_a_failure_is_written_down_for_whom_it_was_tried(office: Office) -> None:
    """Not as that person's deed: nobody was proved to be anybody."""
    person = office.hire(EMAIL)
    fail(office, EMAIL, 1)

    (event,) = office.events("operator.sign_in_failed")
    assert event["actor"]["type"] == "system"
    assert event["detail"]["operator_id"] == person.operator_id
    assert event["ip"] == "192.0.2.1"
    assert WRONG.reveal() not in str(event)


def test_an_older_hash_is_made_anew(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the password is at hand; it still signs in afterwards."""
    monkeypatch.setattr(people, "HASHING", Passwords())
    office.hire(EMAIL)
    older = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
    with office.database.write() as connection:
        stored = older.hash(PASSWORD.reveal().encode())
        connection.execute(update(operator_table).values(password_hash=stored))
    office.sign_in(EMAIL)

    person = office.read(EMAIL)
    assert person is not None
    assert person.password_hash is not None
    assert "m=19456,t=2,p=1" in person.password_hash
    office.sign_in(EMAIL)


def test_nobody_of_a_suspended_organization_signs_in(office: Office) -> None:
    """Who has a session is out as well, until it is activated again."""
    office.add_organization("acme")
    office.hire(EMAIL, Role.OWNER, "acme")
    signed_in = office.sign_in(EMAIL)
    with office.database.write() as connection:
        now = office.database.now(connection)
        connection.execute(
            update(organization).where(organization.c.id == "acme").values(suspended_at=now)
        )

    with pytest.raises(NoAccess):
        operations.current(office.database, signed_in.token)
    with pytest.raises(NoAccess):
        office.sign_in(EMAIL)
    assert len(operations.live_sessions(office.database, signed_in.operator.operator_id)) == 1
    with office.database.write() as connection:
        connection.execute(update(organization).values(suspended_at=None))
    office.current(signed_in.token)


def test_a_password_changed_while_it_was_verified_signs_nobody_in(office: Office) -> None:
    """Of a reset and a sign-in with the old password at once, no old session is left."""
    office.hire(EMAIL)
    link = lifecycle.reset(office.database, EMAIL, TESTER).link
    assert link is not None
    token = link.token

    with office.meeting(2) as database:
        results = at_once(
            lambda: sign_in.sign_in(database, HASHING, office.master, EMAIL, PASSWORD, TESTER),
            lambda: lifecycle.use_link(database, HASHING, token, OTHER_PASSWORD, TESTER),
        )

    if isinstance(results[0], SignedIn):
        assert operations.current(office.database, results[0].token) is None
    with pytest.raises(SignInRefused):
        office.sign_in(EMAIL)
    office.sign_in(EMAIL, OTHER_PASSWORD)


def test_changing_the_password_ends_every_other_session(office: Office) -> None:
    """The own one stays; the old password is dead; a wrong one changes nothing."""
    office.hire(EMAIL)
    here, elsewhere = office.sign_in(EMAIL), office.sign_in(EMAIL)
    who = office.current(here.token)

    with pytest.raises(SignInRefused):
        sign_in.change_password(office.database, HASHING, who, WRONG, OTHER_PASSWORD, TESTER)
    assert operations.current(office.database, elsewhere.token) is not None
    sign_in.change_password(office.database, HASHING, who, PASSWORD, OTHER_PASSWORD, TESTER)

    assert operations.current(office.database, elsewhere.token) is None
    office.current(here.token)
    with pytest.raises(SignInRefused):
        office.sign_in(EMAIL)
    assert office.sign_in(EMAIL, OTHER_PASSWORD).session.method is Method.PASSWORD
    (event,) = office.events("operator.updated")
    assert event["detail"]["password"] == "changed"
