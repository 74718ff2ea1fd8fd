"""Client secrets: digested under the pepper, compared whole, never shown by accident."""

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth import secret_format
from hourpass.server.clients import lifecycle, secrets
from hourpass.server.clients.secrets import ClientCredential, Secret
from support.installation import TESTER, Installation

PEPPER = bytes(range(32))
PEPPERS = {1: PEPPER}


def credential(secret: Secret, pepper: bytes = PEPPER, version: int = 1) -> ClientCredential:
    """What is stored of a secret."""
    return ClientCredential(secrets.digest(secret, pepper), version)


@pytest.mark.spec("contract", "Credentials", "stored as HMAC-SHA-256(pepper, secret)")
def test_the_digest_is_hmac_sha256() -> None:
    """Computed another way, from the definition of HMAC."""
    secret = secrets.new()
    key = PEPPER.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(x ^ 0x36 for x in key) + secret.reveal().encode()).digest()
    outer = hashlib.sha256(bytes(x ^ 0x5C for x in key) + inner).digest()

    assert secrets.digest(secret, PEPPER) == outer


@given(pepper=st.binary(min_size=32, max_size=32).filter(lambda pepper: pepper != PEPPER))
def test_without_the_pepper_there_is_no_digest(pepper: bytes) -> None:
    """Another pepper gives another digest, and does not prove the secret."""
    secret = secrets.new()

    assert secrets.digest(secret, pepper) != secrets.digest(secret, PEPPER)
    assert secrets.digest(secret, PEPPER) != hashlib.sha256(secret.reveal().encode()).digest()
    assert not secrets.proves(secret, (credential(secret),), {1: pepper})


@pytest.mark.spec("threats", "4", "One character more, less or truncated fails")
def test_every_change_of_one_character_fails() -> None:
    """Replaced, left out, added, and every truncation: none proves the secret."""
    secret = secrets.new()
    text, stored = secret.reveal(), (credential(secret),)
    assert secrets.proves(secret, stored, PEPPERS)
    others = {text[:at] for at in range(len(text))}
    for at in range(len(text) + 1):
        others.add(text[:at] + text[at + 1 :])
        for letter in string.ascii_letters + string.digits + "_ \0é":
            others.add(text[:at] + letter + text[at:])
            others.add(text[:at] + letter + text[at + 1 :])
    others |= {text.swapcase(), text.lower(), text + "\n", " " + text, text * 2}
    others.discard(text)

    assert len(others) > 5000
    assert [other for other in others if secrets.proves(Secret(other), stored, PEPPERS)] == []


@pytest.mark.spec("threats", "4", "the stored hash is not accepted as the secret")
def test_the_stored_digest_is_no_secret() -> None:
    """In hex, or as octets read as text."""
    stored = credential(secrets.new())

    for text in (stored.digest.hex(), stored.digest.decode("latin-1")):
        assert not secrets.proves(Secret(text), (stored,), PEPPERS)


@given(text=st.text(st.characters()))
def test_any_text_can_be_compared(text: str) -> None:
    """Lone surrogates and NUL included: the answer is no, not an exception."""
    assert not secrets.proves(Secret(text), (credential(secrets.new()),), PEPPERS)


def test_nobody_is_proved_by_nothing() -> None:
    """An unknown client has no credentials: every secret is wrong."""
    assert not secrets.proves(secrets.new(), (), PEPPERS)


def test_the_pepper_that_a_credential_names_is_the_one_that_counts() -> None:
    """After a new pepper the old secrets still prove themselves, each under its own."""
    old, new = secrets.new(), secrets.new()
    peppers = {1: PEPPER, 2: bytes(32)}
    of_old, of_new = credential(old), credential(new, peppers[2], 2)

    assert secrets.proves(old, (of_old,), peppers)
    assert secrets.proves(new, (of_new,), peppers)
    assert secrets.proves(new, (of_old, of_new), peppers)
    assert not secrets.proves(old, (of_new,), peppers)
    assert not secrets.proves(old, (ClientCredential(of_old.digest, 2),), peppers)


def test_a_credential_under_a_pepper_that_is_gone_proves_nothing() -> None:
    """It is a refusal, not an exception."""
    secret = secrets.new()

    assert not secrets.proves(secret, (credential(secret, bytes(32), 7),), PEPPERS)


def test_a_digest_counts_to_its_last_bit() -> None:
    """A stored digest that differs in any one bit is not proved."""
    secret = secrets.new()
    digest = secrets.digest(secret, PEPPER)
    for bit in range(256):
        other = (int.from_bytes(digest, "big") ^ 1 << bit).to_bytes(32, "big")
        assert not secrets.proves(secret, (ClientCredential(other, 1),), PEPPERS)


def test_new_secrets_are_well_formed_and_all_different() -> None:
    """256 random bits each."""
    made = [secrets.new() for _ in range(500)]

    assert all(secrets.is_well_formed(secret) for secret in made)
    assert len({secret.reveal() for secret in made}) == 500


def test_a_secret_hides_in_every_text_that_is_made_of_it() -> None:
    """repr, str, f-string, and inside containers; format refuses what would pad or cut it."""
    secret = secrets.new()
    texts = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>60}",
        f"{[secret]}",
    ]

    assert not [text for text in texts if secret_format.PREFIX in text]
    with pytest.raises(TypeError):
        format(secret, ">60")


@pytest.mark.spec("threats", "14", "A secret appears in one answer only")
def test_no_repr_shows_a_secret_or_what_is_stored_of_it(installation: Installation) -> None:
    """Of a credential, a client, and a client with its secret: nor the digest in any spelling."""
    made = installation.create_client("customers:read")
    context = installation.context
    rotated = lifecycle.rotate_secret(context.database, context.keyring(), made.client_id, TESTER)
    (stored,) = rotated.client.credentials
    shown = "".join(map(repr, (stored, rotated.client, rotated, rotated.secret)))

    assert rotated.client.client_id in shown
    assert rotated.secret.reveal() not in shown
    assert made.secret not in shown
    for spelling in (repr(stored.digest), stored.digest.hex(), str(list(stored.digest))):
        assert spelling not in shown
