"""Passkeys, with an authenticator in software: registering, signing in, and what is refused."""

import json

import pytest
from people import OTHER_PASSWORD, Office, at_once
from soft_authenticator import USER_PRESENT, SoftAuthenticator

from hourpass.server.operators import lifecycle
from hourpass.server.operators.credentials import passkeys
from hourpass.server.operators.credentials import store as credentials
from hourpass.server.operators.credentials.passkeys import (
    Ceremony,
    PasskeyRefused,
    RelyingParty,
)
from hourpass.server.operators.credentials.store import Passkey
from hourpass.server.operators.model import NotFound, Operator
from hourpass.server.operators.sessions import operations, sign_in
from hourpass.server.operators.sessions.model import Method
from hourpass.server.operators.sessions.sign_in import (
    SignedIn,
    SignInRefused,
    TooManyFailures,
)
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput, Conflict
from support.hashing import HASHING
from support.installation import TESTER, Installation

EMAIL = "ana@example.com"
ORIGIN = "https://id.example.com:8443"
PARTY = RelyingParty(rp_id="id.example.com", origin=ORIGIN)


@pytest.fixture
def office(installation: Installation) -> Office:
    """Nobody is there yet."""
    return Office(installation)


@pytest.fixture
def ana(office: Office) -> Operator:
    """Who has signed up."""
    return office.hire(EMAIL)


@pytest.fixture
def phone() -> SoftAuthenticator:
    """What holds the passkey."""
    return SoftAuthenticator(ORIGIN)


def register(office: Office, who: Operator, device: SoftAuthenticator) -> Passkey:
    """The whole ceremony."""
    ceremony = passkeys.begin_registration(office.database, PARTY, who)
    answer = device.create(ceremony.options)
    return passkeys.finish_registration(
        office.database, PARTY, who, ceremony.token, answer, "My phone", TESTER
    )


def begin(office: Office) -> Ceremony:
    """The first half of signing in."""
    return passkeys.begin_authentication(office.database, PARTY)


def enter(office: Office, ceremony: Ceremony, answer: str) -> SignedIn:
    """The second half."""
    return sign_in.sign_in_with_passkey(office.database, PARTY, ceremony.token, answer, TESTER)


def test_a_passkey_signs_in_alone(office: Office, ana: Operator, phone: SoftAuthenticator) -> None:
    """Without an address: the options name nobody, and are the same for everybody."""
    key = register(office, ana, phone)
    ceremony = begin(office)
    signed_in = enter(office, ceremony, phone.get(ceremony.options))

    assert ceremony.options.get("allowCredentials", []) == []
    assert ceremony.options["userVerification"] == "required"
    who = office.current(signed_in.token)
    assert who.operator.operator_id == ana.operator_id
    assert who.session.method is Method.PASSKEY
    with office.database.read() as connection:
        (stored,) = credentials.passkeys(connection, ana.operator_id)
    assert (stored.name, stored.sign_count) == ("My phone", 1)
    assert stored.last_used_at is not None
    assert stored.credential_id == key.credential_id
    (added,) = office.events("operator.credential_added")
    assert added["detail"]["name"] == "My phone"


def test_who_guesses_passwords_does_not_lock_a_passkey_out(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """Nothing can be guessed here, so no counter stands in the way."""
    register(office, ana, phone)
    for _ in range(6):
        with pytest.raises(SignInRefused):
            office.sign_in(EMAIL, OTHER_PASSWORD)
    with pytest.raises(TooManyFailures):
        office.sign_in(EMAIL)
    ceremony = begin(office)

    enter(office, ceremony, phone.get(ceremony.options))


def test_an_answer_works_once(office: Office, ana: Operator, phone: SoftAuthenticator) -> None:
    """The challenge is used up, also in parallel and also by a failure."""
    register(office, ana, phone)
    ceremony = begin(office)
    answer = phone.get(ceremony.options)
    with office.meeting(3) as database:
        results = at_once(
            *[lambda: sign_in.sign_in_with_passkey(database, PARTY, ceremony.token, answer, TESTER)]
            * 3
        )
    assert len([result for result in results if isinstance(result, SignedIn)]) == 1

    ceremony = begin(office)
    with pytest.raises(PasskeyRefused):
        enter(office, ceremony, "{}")
    with pytest.raises(PasskeyRefused, match="not accepted"):
        enter(office, ceremony, phone.get(ceremony.options))


def test_refused_passkeys_are_on_record(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """One a minute, of nobody in particular: it was proved of nobody."""
    register(office, ana, phone)
    for _ in range(3):
        with pytest.raises(PasskeyRefused):
            enter(office, begin(office), "{}")

    (failed,) = office.events("operator.sign_in_failed")
    assert failed["detail"] == {"reason": "passkey"}
    assert failed["actor"]["type"] == "system"


def test_a_refused_passkey_of_somebody_signed_in_is_on_record(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """Whoever holds a stolen session and no passkey leaves a trace."""
    register(office, ana, phone)
    ceremony = begin(office)
    who = office.current(enter(office, ceremony, phone.get(ceremony.options)).token)
    with pytest.raises(PasskeyRefused):
        sign_in.reauthenticate_with_passkey(
            office.database, PARTY, who, begin(office).token, "{}", TESTER
        )

    (failed,) = office.events("operator.sign_in_failed")
    assert failed["detail"] == {
        "operator_id": ana.operator_id,
        "email": EMAIL,
        "reason": "passkey",
    }


def test_a_challenge_is_good_for_five_minutes(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """And for the ceremony that it was made for."""
    register(office, ana, phone)
    late, other = begin(office), begin(office)
    with pytest.raises(PasskeyRefused):
        enter(office, other, phone.get(late.options))
    office.database.pass_time(minutes=5, seconds=1)

    with pytest.raises(PasskeyRefused):
        enter(office, late, phone.get(late.options))


@pytest.mark.parametrize(
    "origin",
    ["https://id.example.com", "http://id.example.com:8443", "https://evil.example:8443"],
)
def test_another_origin_is_refused(office: Office, ana: Operator, origin: str) -> None:
    """When registering and when signing in: a page elsewhere got the answer."""
    with pytest.raises(PasskeyRefused):
        register(office, ana, SoftAuthenticator(origin))
    phone = SoftAuthenticator(ORIGIN)
    register(office, ana, phone)
    phone.origin = origin
    ceremony = begin(office)

    with pytest.raises(PasskeyRefused):
        enter(office, ceremony, phone.get(ceremony.options))


def test_another_relying_party_is_refused(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """What was signed names whom it is for."""
    register(office, ana, phone)
    ceremony = begin(office)

    with pytest.raises(PasskeyRefused):
        enter(office, ceremony, phone.get({**ceremony.options, "rpId": "evil.example"}))


def test_the_user_must_have_been_verified(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """A touch alone is one factor."""
    with pytest.raises(PasskeyRefused):
        register(office, ana, SoftAuthenticator(ORIGIN, flags=USER_PRESENT))
    register(office, ana, phone)
    phone.flags = USER_PRESENT
    ceremony = begin(office)

    with pytest.raises(PasskeyRefused):
        enter(office, ceremony, phone.get(ceremony.options))


def test_a_counter_that_goes_back_is_a_copy(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """Refused; one that never counts is fine."""
    register(office, ana, phone)
    ceremony = begin(office)
    phone.sign_count = 7
    enter(office, ceremony, phone.get(ceremony.options))
    ceremony = begin(office)
    phone.sign_count = 3
    with pytest.raises(PasskeyRefused):
        enter(office, ceremony, phone.get(ceremony.options))

    still = SoftAuthenticator(ORIGIN, counts=False)
    register(office, ana, still)
    for _ in range(2):
        ceremony = begin(office)
        enter(office, ceremony, still.get(ceremony.options))


def test_a_passkey_of_another_key_or_person_proves_nothing(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """Neither an unknown one, nor a known ID with another key, nor another's user handle."""
    register(office, ana, phone)
    strangers = [
        SoftAuthenticator(ORIGIN),
        SoftAuthenticator(
            ORIGIN, credential_id=phone.credential_id, user_handle=phone.user_handle, sign_count=9
        ),
    ]
    for stranger in strangers:
        ceremony = begin(office)
        with pytest.raises(PasskeyRefused):
            enter(office, ceremony, stranger.get(ceremony.options))
    phone.user_handle = office.hire("ben@example.com").operator_id.encode()
    ceremony = begin(office)
    with pytest.raises(PasskeyRefused):
        enter(office, ceremony, phone.get(ceremony.options))


GARBAGE = [
    *("", "null", "[]", "{}", "[" * 5000, '{"id": 1}', "x" * 20_000, "\0", "NaN"),
    '{"id": "\\ud800", "rawId": "!", "type": "public-key", "response": {}}',
]


def test_garbage_is_refused_in_the_same_words(office: Office, ana: Operator) -> None:
    """When registering and when signing in; never an error of another kind."""
    for answer in GARBAGE:
        ceremony = begin(office)
        with pytest.raises(PasskeyRefused, match=r"^this passkey was not accepted$"):
            enter(office, ceremony, answer)
        ceremony = passkeys.begin_registration(office.database, PARTY, ana)
        with pytest.raises(PasskeyRefused, match=r"^this passkey was not accepted$"):
            passkeys.finish_registration(
                office.database, PARTY, ana, ceremony.token, answer, "x", TESTER
            )


def test_a_broken_member_is_refused(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """Whichever it is, and whatever it became."""
    register(office, ana, phone)
    for member in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        for value in ("", "AAAA", "!", "A" * 3000):
            ceremony = begin(office)
            answer = phone.get(ceremony.options, **{member: value})
            with pytest.raises(PasskeyRefused):
                enter(office, ceremony, answer)
    ceremony = begin(office)
    enter(office, ceremony, phone.get(ceremony.options))


def test_a_ceremony_of_registration_is_the_persons_own(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """Nobody else finishes it, nor does it sign in; a made-up one is none."""
    ben = office.hire("ben@example.com")
    ceremony = passkeys.begin_registration(office.database, PARTY, ana)
    answer = phone.create(ceremony.options)

    for who, token in ((ben, ceremony.token), (ana, Token("made up")), (ana, begin(office).token)):
        with pytest.raises(PasskeyRefused):
            passkeys.finish_registration(office.database, PARTY, who, token, answer, "x", TESTER)
    passkeys.finish_registration(office.database, PARTY, ana, ceremony.token, answer, "x", TESTER)
    with pytest.raises(Conflict, match="registered already"):
        register(office, ben, phone)


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "a\nb", "\u202eevil"])
def test_a_passkey_has_a_name_for_people(
    office: Office, ana: Operator, phone: SoftAuthenticator, name: str
) -> None:
    """1 to 60 printable characters."""
    ceremony = passkeys.begin_registration(office.database, PARTY, ana)
    with pytest.raises(BadInput, match="name"):
        passkeys.finish_registration(
            office.database,
            PARTY,
            ana,
            ceremony.token,
            phone.create(ceremony.options),
            name,
            TESTER,
        )


def test_a_removed_passkey_proves_nothing(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """And only one's own can be removed."""
    key = register(office, ana, phone)
    ben = office.hire("ben@example.com")
    with pytest.raises(NotFound):
        passkeys.remove(office.database, ben, key.credential_id, TESTER)
    passkeys.remove(office.database, ana, key.credential_id, TESTER)

    ceremony = begin(office)
    with pytest.raises(PasskeyRefused):
        enter(office, ceremony, phone.get(ceremony.options))
    assert len(office.events("operator.credential_removed")) == 1


def test_a_passkey_proves_again_who_one_is(
    office: Office, ana: Operator, phone: SoftAuthenticator
) -> None:
    """One's own; not somebody else's."""
    register(office, ana, phone)
    ben = office.hire("ben@example.com")
    laptop = SoftAuthenticator(ORIGIN)
    register(office, ben, laptop)
    who = office.current(office.sign_in(EMAIL).token)
    office.database.pass_time(minutes=20)

    for device, good in ((laptop, False), (phone, True)):
        ceremony = begin(office)
        answer = device.get(ceremony.options)
        prove = (office.database, PARTY, who, ceremony.token, answer, TESTER)
        if good:
            sign_in.reauthenticate_with_passkey(*prove)
        else:
            with pytest.raises(PasskeyRefused):
                sign_in.reauthenticate_with_passkey(*prove)
    (session,) = operations.live_sessions(office.database, ana.operator_id)
    with office.database.read() as connection:
        assert session.is_fresh(office.database.now(connection))


def test_a_reset_clears_passkeys(office: Office, ana: Operator, phone: SoftAuthenticator) -> None:
    """The old device signs nobody in."""
    register(office, ana, phone)
    link = lifecycle.reset(office.database, EMAIL, TESTER).link
    assert link is not None
    lifecycle.use_link(office.database, HASHING, link.token, OTHER_PASSWORD, TESTER)

    ceremony = begin(office)
    with pytest.raises(PasskeyRefused):
        enter(office, ceremony, phone.get(ceremony.options))


def test_open_challenges_are_bounded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for many pushes out the oldest; expired ones are forgotten."""
    monkeypatch.setattr(credentials, "MAX_CHALLENGES", 4)
    for _ in range(9):
        begin(office)

    def count() -> int:
        with office.database.read() as connection:
            found = connection.exec_driver_sql("select count(*) from operator_challenge")
            return int(found.scalar_one())

    assert count() == 4
    office.database.pass_time(minutes=6)
    begin(office)
    assert count() == 1


@pytest.mark.parametrize(
    ("issuer", "party"),
    [
        (
            "https://id.example.com",
            RelyingParty(rp_id="id.example.com", origin="https://id.example.com"),
        ),
        (
            "https://ID.example.com/path",
            RelyingParty(rp_id="id.example.com", origin="https://id.example.com"),
        ),
        ("http://localhost:8080", RelyingParty(rp_id="localhost", origin="http://localhost:8080")),
        ("http://127.0.0.1:8080", None),
        ("https://[::1]", None),
    ],
)
def test_the_relying_party_is_the_issuers_host(issuer: str, party: RelyingParty | None) -> None:
    """Passkeys need a name: with an address there are none."""
    assert RelyingParty.of(issuer) == party


def test_the_repr_of_a_passkey_or_ceremony_shows_no_challenge(office: Office) -> None:
    """Nor the token of the ceremony."""
    ceremony = begin(office)

    assert ceremony.token.reveal() not in repr(ceremony)
    assert json.dumps(ceremony.options["challenge"]) not in repr(ceremony)
