"""Refusals have public words and a private detail."""

import pytest

from hourpass.oauth import errors
from hourpass.oauth.errors import InsufficientScope, InvalidScope, OAuthError


def _all(kind: type[OAuthError]) -> list[type[OAuthError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in _all(below))]


KINDS = [kind for kind in _all(OAuthError) if kind.__module__ == errors.__name__]


@pytest.mark.spec("RFC 6749", "5.2", "error and error_description hold %x20-21 %x23-5B %x5D-7E")
@pytest.mark.parametrize("kind", KINDS)
def test_every_refusal_can_be_sent_as_it_is(kind: type[OAuthError]) -> None:
    """Code and description stay within the grammar; the status is one of an error."""
    refusal = kind()

    for text in (refusal.code, refusal.description):
        assert text
        assert all(0x20 <= ord(letter) <= 0x7E and letter not in '"\\' for letter in text)
    assert 400 <= refusal.status <= 503
    assert refusal.__doc__


def test_the_detail_is_not_in_the_public_words() -> None:
    """Neither in the description nor in the text of the exception."""
    refusal = InvalidScope("public words", detail="private words")

    assert (refusal.description, str(refusal)) == ("public words", "public words")
    assert refusal.detail == "private words"


def test_a_missing_scope_is_named() -> None:
    """For the challenge and for people."""
    refusal = InsufficientScope("customers:read", "notes:read")

    assert refusal.scopes == ("customers:read", "notes:read")
    assert "customers:read notes:read" in refusal.description
