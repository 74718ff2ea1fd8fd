"""Which passwords are good enough, and argon2id within bounds."""

import threading

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from people import PASSWORD

from hourpass.server.operators.credentials import passwords
from hourpass.server.operators.credentials.passwords import Password, Passwords, TooBusy
from hourpass.server.refused import BadInput

HASHING = Passwords()

EMAIL = "maria.lopez@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "seven green lamps at noon",
        "correct horse lamps stapled nine",
        "hourpass opens my little garden",
        "ñandú come aceitunas verdes",
        "пятнадцать синих слонов",
        "時計の針は静かに正午を指している",
        "x7Kq9vR2mT4pL8w",
        "maria keeps nine quiet boats",
        "q" + "w" * 3 + " e r t y lamps lantern",
        "🦀🐙🦑🐡🐠🐟🐬🐳🐋🦈🐊🐅🐆🦓🦍",
        "}%~(?;+&^=:<|$#!",
        "482615937046281",
    ],
)
def test_long_uncommon_passwords_are_accepted(text: str) -> None:
    """Whatever kinds of characters they hold or lack."""
    passwords.check_new(Password(text), EMAIL)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fourteen chars", "at least 15"),
        ("", "at least 15"),
        ("e\u0301" * 14, "at least 15"),
        ("lamp " * 52, "at most 256"),
        ("lamps at noon " * 100_000, "at most 256"),
        ("seven green \0 lamps", "cannot be typed"),
        ("seven green \ud800 lamps", "cannot be typed"),
        ("aaaaaaaaaaaaaaaaaaaa", "repeats"),
        ("abababababababababab", "repeats"),
        ("passwordpassword", "many people use"),
        ("Password1234567!", "many people use"),
        ("P@ssw0rd P@ssw0rd", "many people use"),
        ("correcthorsebatterystaple", "many people use"),
        ("qwertyuiop123456", "many people use"),
        ("abcdefghijklmnop", "many people use"),
        ("1qaz2wsx3edc4rfv", "many people use"),
        ("iloveyouprincess1", "many people use"),
        ("maria.lopez@example.com", "e-mail address"),
        ("MariaLopezExample!", "e-mail address"),
        ("hourpass-hourpass", "product"),
        ("HourpassMaria2026", "e-mail address or this product"),
    ],
)
def test_short_or_common_passwords_are_refused_with_the_reason(text: str, why: str) -> None:
    """In one line, which does not repeat the password."""
    with pytest.raises(BadInput, match=why) as refused:
        passwords.check_new(Password(text), EMAIL)
    assert refused.value.member == "password"
    assert "\n" not in refused.value.problem
    assert not text or text not in str(refused.value)


@given(st.text(max_size=300))
def test_length_is_counted_after_nfc_and_bounded(text: str) -> None:
    """Nothing that is accepted is shorter than 15 or longer than 256."""
    password = Password(text)
    try:
        passwords.check_new(password, EMAIL)
    except BadInput:
        return
    assert 15 <= len(password.reveal()) <= 256


def test_composed_and_decomposed_letters_are_one_password() -> None:
    """Keyboards differ in how they send an accent."""
    stored = HASHING.hash(Password("trois cafe\u0301s le matin"))

    assert HASHING.verify(Password("trois cafés le matin"), stored)


def test_the_whole_password_counts() -> None:
    """Case, blanks and everything up to the last character: nothing is cut off."""
    stored = HASHING.hash(Password("x" * 100 + "y" * 100))

    assert HASHING.verify(Password("x" * 100 + "y" * 100), stored)
    for other in ("x" * 100 + "y" * 99, "x" * 100 + "y" * 101, "X" + "x" * 99 + "y" * 100):
        assert not HASHING.verify(Password(other), stored)


def test_hashes_are_argon2id_with_owasp_parameters() -> None:
    """19 MiB, two passes, one lane; salted, so that two are never the same."""
    first, second = HASHING.hash(PASSWORD), HASHING.hash(PASSWORD)

    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second


def test_hashes_of_other_parameters_are_noticed() -> None:
    """So that they can be made anew when the password is at hand."""
    older = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(b"any")

    assert HASHING.needs_rehash(older)
    assert not HASHING.needs_rehash(HASHING.hash(PASSWORD))


def test_without_an_account_the_answer_is_no() -> None:
    """Whatever is tried, the stand-in's own password included."""
    assert not HASHING.verify(Password("nobody's password"), None)
    assert not HASHING.verify(PASSWORD, None)


def test_work_is_bounded() -> None:
    """Who finds every slot taken for long is told, and nothing was decided."""
    hashing = Passwords(at_once=1, patience_s=0.05)
    stored = hashing.hash(PASSWORD)

    with hashing._slot(), pytest.raises(TooBusy):
        hashing.verify(PASSWORD, stored)

    assert hashing.verify(PASSWORD, stored)


def test_who_waits_gets_a_turn() -> None:
    """A slot is given back after each verification, a wrong one too."""
    hashing = Passwords(at_once=1)
    stored = hashing.hash(PASSWORD)
    answers: list[bool] = []

    def verify(text: str) -> None:
        answers.append(hashing.verify(Password(text), stored))

    words = [PASSWORD.reveal(), "something else"] * 3
    threads = [threading.Thread(target=verify, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [False] * 3 + [True] * 3


def test_the_repr_of_a_password_hides_it() -> None:
    """Also when it is formatted by accident."""
    assert "lamps" not in f"{PASSWORD!r}{PASSWORD}"
