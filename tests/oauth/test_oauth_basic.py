"""Client credentials in a Basic header (RFC 6749 section 2.3.1)."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth import basic

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


def header(pair: bytes, scheme: str = "Basic") -> str:
    """A header value with these octets."""
    return f"{scheme} {base64.b64encode(pair).decode()}"


@pytest.mark.spec("RFC 6749", "2.3.1", "client ID and secret are form-encoded, then Basic")
@given(texts, texts)
def test_credentials_come_out_as_they_went_in(client_id: str, client_secret: str) -> None:
    """Colons, percent signs, spaces and any script included."""
    value = basic.encode(client_id, client_secret)

    assert value.isascii()
    assert basic.decode(value) == (client_id, client_secret)


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "bAsIc"])
def test_the_scheme_has_no_case(scheme: str) -> None:
    """RFC 9110 section 11.1."""
    assert basic.decode(header(b"m2m_a:hps_b", scheme)) == ("m2m_a", "hps_b")


def test_clients_that_encode_nothing_or_everything_are_both_understood() -> None:
    """Neither alphabet of ours holds a percent sign or a plus."""
    everything = "".join(f"%{ord(character):02X}" for character in "m2m_a-b")

    assert basic.decode(header(b"m2m_a-b:x")) == ("m2m_a-b", "x")
    assert basic.decode(header(f"{everything}:x".encode())) == ("m2m_a-b", "x")
    assert basic.decode(header(b"a+b%20c:%2B")) == ("a b c", "+")


def test_octets_may_be_utf_8_or_latin_1() -> None:
    """Raw or escaped."""
    assert basic.decode(header("é:ü".encode())) == ("é", "ü")
    assert basic.decode(header("é:ü".encode("latin-1"))) == ("é", "ü")
    assert basic.decode(header(f"{quote('é')}:%FC".encode())) == ("é", "ü")


def test_only_the_first_colon_parts() -> None:
    """A secret may hold more of them; an empty half is an empty text."""
    assert basic.decode(header(b"a:b:c")) == ("a", "b:c")
    assert basic.decode(header(b":")) == ("", "")


@pytest.mark.parametrize(
    "value",
    [
        *("", "Basic", "Basic ", "Bearer abc", "Basic a", "Basic !!!!", "Basic YTpi YTpi"),
        *("BasicYTpi", "Basic\tYTpi", "Basic YTpi\n", "Basic Y=pi", "Basic YTpi==="),
        *(header(b"no colon"), header(b"a%:b"), header(b"a:%2"), header(b"a:%zz"), header(b"")),
    ],
)
def test_what_is_malformed_is_a_value_error(value: str) -> None:
    """And never another error."""
    with pytest.raises(ValueError, match=r"."):
        basic.decode(value)


@given(st.text(max_size=60) | st.binary(max_size=60).map(header))
def test_any_header_gives_credentials_or_a_value_error(value: str) -> None:
    """Total over every text and every octet string."""
    try:
        client_id, client_secret = basic.decode(value)
    except ValueError:
        return
    assert isinstance(client_id, str)
    assert isinstance(client_secret, str)
