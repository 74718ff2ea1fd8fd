"""Scopes as they travel (RFC 6749 section 3.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth import scope
from hourpass.oauth.errors import InvalidScope

CHARACTERS = [chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"\\']
names = st.text(alphabet=CHARACTERS, min_size=1, max_size=30)


@pytest.mark.spec("RFC 6749", "3.3", "scope-token = 1*( %x21 / %x23-5B / %x5D-7E )")
@given(st.lists(names, min_size=1, max_size=20))
def test_names_come_out_as_they_went_in(given_names: list[str]) -> None:
    """In their order, each once, with their case, nothing normalised."""
    assert scope.parse(" ".join(given_names)) == tuple(dict.fromkeys(given_names))


@given(st.sets(names, min_size=1, max_size=20))
def test_equal_sets_travel_as_equal_bytes(given_names: set[str]) -> None:
    """`join` has one order, and `parse` reads it."""
    joined = scope.join(given_names)

    assert joined == scope.join(sorted(given_names, reverse=True))
    assert set(scope.parse(joined)) == given_names


@given(st.text(max_size=50))
def test_any_text_is_a_scope_or_invalid(text: str) -> None:
    """What is accepted is within the grammar, octet for octet."""
    try:
        parsed = scope.parse(text)
    except InvalidScope:
        return
    assert set(text) <= {*CHARACTERS, " "}
    assert list(dict.fromkeys(text.split(" "))) == list(parsed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " a",
        "a ",
        "a  b",
        "a\tb",
        "a\nb",
        "a\n",
        'a"',
        "a\\b",
        "é",
        "a\0",
        "a\u00a0b",
        "\x7f",
    ],
)
def test_a_malformed_scope_is_refused(text: str) -> None:
    """No trimming, no other white space, no quotes."""
    with pytest.raises(InvalidScope):
        scope.parse(text)


def test_a_scope_has_a_bound() -> None:
    """4 KiB are good, one character more is not."""
    assert scope.parse("a" * 4096) == ("a" * 4096,)
    with pytest.raises(InvalidScope):
        scope.parse("a" * 4097)
