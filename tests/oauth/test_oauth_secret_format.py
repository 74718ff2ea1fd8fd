"""The written form of a client secret: a prefix, 43 digits and a checksum."""

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth import secret_format

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ZEROS = "hps_" + "0" * 43
bodies = st.text(alphabet=DIGITS, min_size=43, max_size=43).map("hps_{}".format)


def test_the_checksum_vector() -> None:
    """The one that other implementations can test against."""
    assert secret_format.checksum(ZEROS) == "2jdc8S"
    assert secret_format.is_well_formed(ZEROS + "2jdc8S")


@given(bodies)
def test_the_checksum_is_crc_32_in_base_62(body: str) -> None:
    """Worked out backwards: the digits, read as a number, are the CRC."""
    number = 0
    for digit in secret_format.checksum(body):
        number = number * 62 + DIGITS.index(digit)

    assert number == zlib.crc32(body.encode())
    assert secret_format.is_well_formed(body + secret_format.checksum(body))


@given(bodies, st.integers(0, 52), st.sampled_from(DIGITS))
def test_one_changed_character_is_noticed(body: str, at: int, digit: str) -> None:
    """Anywhere in it."""
    secret = body + secret_format.checksum(body)
    changed = secret[:at] + digit + secret[at + 1 :]

    assert secret_format.is_well_formed(changed) == (changed == secret)


@pytest.mark.parametrize(
    "text",
    [
        *("", "hps_", ZEROS, ZEROS + "2jdc8", ZEROS + "2jdc8S0", ZEROS + "2jdc8S\n"),
        *("HPS_" + "0" * 43 + "2jdc8S", " " + ZEROS + "2jdc8S", ZEROS + "2jdc8s", "é" * 53),
        *("hps-" + "0" * 43 + "2jdc8S", "hps_" + "٠" * 43 + "2jdc8S", "hps_" + "-" * 49),
    ],
)
def test_what_only_looks_alike_is_not_well_formed(text: str) -> None:
    """Truncated, lengthened, another case, other digits."""
    assert not secret_format.is_well_formed(text)


@given(st.text(max_size=80))
def test_any_text_can_be_asked_about(text: str) -> None:
    """The answer is yes or no, never an error."""
    assert secret_format.is_well_formed(text) in (True, False)


def test_generated_secrets_are_well_formed_and_differ() -> None:
    """With 256 random bits none comes twice, and all digits occur."""
    secrets = {secret_format.generate() for _ in range(500)}

    assert len(secrets) == 500
    assert all(secret_format.is_well_formed(secret) for secret in secrets)
    assert all(re.fullmatch(r"hps_[0-9A-Za-z]{49}", secret) for secret in secrets)
    assert {digit for secret in secrets for digit in secret[5:47]} == set(DIGITS)
