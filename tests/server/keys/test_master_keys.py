"""The master key: which texts are one, and what it seals stays sealed."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hourpass.server.keys import master
from hourpass.server.keys.master import MasterKeys, WrongMasterKey

KEYS = st.binary(min_size=32, max_size=32)
KEY = bytes(range(200, 232))  # its base64 has both characters in which the two alphabets differ
PLAIN, URL_SAFE = base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode()


def opens(text: str, key: bytes = KEY) -> bool:
    """Whether `text` is read as this key: it opens what the key seals."""
    sealed = MasterKeys((key,)).seal("signing", "k", b"private")
    return MasterKeys.parse(text).unseal("signing", "k", sealed) == b"private"


@pytest.mark.spec("contract", "Keys at rest", "32 random bytes in base64 or base64url")
@pytest.mark.parametrize(
    "text",
    [
        *(PLAIN, URL_SAFE, PLAIN.rstrip("="), URL_SAFE.rstrip("=")),
        *(PLAIN + "\n", f"  {URL_SAFE}\t\r\n", f"\n\n{PLAIN}\n\n"),
    ],
)
def test_every_spelling_of_a_key_is_that_key(text: str) -> None:
    """Either alphabet, with or without padding, with blanks and line ends around it."""
    assert set("+/") & set(PLAIN)
    assert set("-_") & set(URL_SAFE)
    assert opens(text)


@given(key=KEYS)
def test_any_32_octets_are_a_key(key: bytes) -> None:
    """In both alphabets."""
    assert opens(base64.b64encode(key).decode(), key)
    assert opens(base64.urlsafe_b64encode(key).decode().rstrip("="), key)


@pytest.mark.spec("contract", "Keys at rest", "anything else is refused")
@given(octets=st.binary(max_size=80).filter(lambda octets: len(octets) != 32))
@example(octets=b"")
@example(octets=bytes(31))
@example(octets=bytes(33))
@example(octets=bytes(64))
def test_no_other_number_of_octets_is_a_key(octets: bytes) -> None:
    """The refusal says how to get one, and not what was given."""
    text = base64.b64encode(octets).decode()
    with pytest.raises(ValueError, match="hourpass keys new-master") as refused:
        MasterKeys.parse(text)
    assert len(text) < 8 or text not in str(refused.value)


@given(text=st.text(max_size=60))
@example(text="correct horse battery staple")
@example(text="0" * 64)
@example(text=PLAIN[:-1] + "é")
@example(text=PLAIN[:10] + " " + PLAIN[10:])
@example(text=PLAIN[:10] + "=" + PLAIN[10:])
@example(text=PLAIN + "\0")
@example(text=f"{PLAIN}\nnonsense")
@example(text=f"{PLAIN},{PLAIN}")
def test_other_text_is_refused(text: str) -> None:
    """Passphrases, hex, a second line that is no key."""
    with pytest.raises(ValueError, match="32 random bytes"):
        MasterKeys.parse(text)


def test_a_new_master_key_is_a_key_and_never_the_same() -> None:
    """What `hourpass keys new-master` prints."""
    made = {master.generate() for _ in range(50)}

    assert len(made) == 50
    for text in made:
        assert opens(text, base64.b64decode(text))


@given(plain=st.binary(max_size=200), kind=st.text(max_size=10), name=st.text(max_size=10))
def test_what_is_sealed_is_unsealed(plain: bytes, kind: str, name: str) -> None:
    """By the same key, kind and name; each time in other octets, none of them the plain ones."""
    keys = MasterKeys((KEY,))
    once, twice = keys.seal(kind, name, plain), keys.seal(kind, name, plain)

    assert keys.unseal(kind, name, once) == keys.unseal(kind, name, twice) == plain
    assert once != twice
    assert len(plain) < 8 or plain not in once


@pytest.mark.spec("contract", "Keys at rest", "kind and ID of the row as associated data")
@pytest.mark.parametrize(
    ("kind", "name"),
    [("pepper", "2"), ("cursor", "1"), ("signing", "1"), ("pepper", ""), ("pepper\0", "1")],
)
def test_a_sealed_value_in_another_row_does_not_open(kind: str, name: str) -> None:
    """Whoever can write the database cannot pass one key off as another."""
    keys = MasterKeys((KEY,))
    sealed = keys.seal("pepper", "1", bytes(32))
    with pytest.raises(WrongMasterKey):
        keys.unseal(kind, name, sealed)


def test_every_changed_or_cut_octet_is_noticed() -> None:
    """Nonce, ciphertext and tag; whatever is left of it, the answer is WrongMasterKey."""
    keys = MasterKeys((KEY,))
    sealed = keys.seal("pepper", "1", bytes(32))
    spoiled = [sealed[:at] for at in range(len(sealed))]
    spoiled += [
        sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))
    ]
    for other in [*spoiled, sealed + b"\0", b"\0" + sealed]:
        with pytest.raises(WrongMasterKey):
            keys.unseal("pepper", "1", other)


@given(other=KEYS.filter(lambda key: key != KEY))
def test_another_key_opens_nothing(other: bytes) -> None:
    """Not even one that differs in a bit."""
    sealed = MasterKeys((KEY,)).seal("pepper", "1", bytes(32))
    near = bytes([KEY[0] ^ 1]) + KEY[1:]
    for key in (other, near):
        with pytest.raises(WrongMasterKey):
            MasterKeys((key,)).unseal("pepper", "1", sealed)


@pytest.mark.spec("contract", "Keys at rest", "the first encrypts, all decrypt")
def test_of_several_lines_the_first_seals_and_all_unseal() -> None:
    """So that a master key can change while everything goes on."""
    line = master.generate()
    old, new, both = map(MasterKeys.parse, (PLAIN, line, f"{line}\n{PLAIN}\n"))
    by_old, by_both = old.seal("pepper", "1", b"x"), both.seal("pepper", "1", b"x")

    assert both.unseal("pepper", "1", by_old) == b"x"
    assert new.unseal("pepper", "1", by_both) == b"x"
    assert both.fingerprint == new.fingerprint != old.fingerprint
    with pytest.raises(WrongMasterKey):
        old.unseal("pepper", "1", by_both)


def test_a_master_key_never_shows_itself() -> None:
    """Not in its repr, and not in its fingerprint."""
    keys = MasterKeys.parse(PLAIN)

    for spelling in (PLAIN.rstrip("="), URL_SAFE.rstrip("="), KEY.hex(), repr(KEY)):
        assert spelling not in repr(keys) + keys.fingerprint
    assert len(keys.fingerprint) == 8
    assert keys.fingerprint not in KEY.hex()
