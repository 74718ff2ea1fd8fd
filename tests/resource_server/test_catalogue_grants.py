"""`catalogue_grants`: the server's catalogue file, read for an API's door."""

from pathlib import Path

import pytest
from door_apps import catalogue

from hourpass.oauth.errors import InsufficientScope
from hourpass.resource_server import catalogue_grants

ONE = '[[api]]\nkey = "a"\n[[api.scope]]\nname = "a:read"\n'


def test_the_grants_of_one_api_are_read(tmp_path: Path) -> None:
    """Those of the other API are not."""
    grants = catalogue_grants(catalogue(tmp_path), api="bookings")

    assert grants.scopes == {"customers:read", "bookings:read", "profile:write"}
    assert grants.scopes_for("GET", "/customer/1/bookings") == {"bookings:read"}
    assert grants.scopes_for("GET", "/invoices") == set()


def test_the_only_api_need_not_be_named(tmp_path: Path) -> None:
    """Settings of the server may stand in the same file."""
    file = tmp_path / "hourpass.toml"
    file.write_text("[hourpass]\nport = 80\n" + ONE + 'grants = ["GET /a"]')

    assert catalogue_grants(str(file)).scopes_for("GET", "/a") == {"a:read"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"has no \[\[api\]\]"),
        ("api = 1", r"has no \[\[api\]\]"),
        ("api = [1]", r"\[\[api\]\] has to be a table"),
        ("[[api", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        ('[[api]]\nkey = "a"', r"has no \[\[api.scope\]\]"),
        ('[[api]]\nkey = "b"\n[[api.scope]]\nname = "b:r"', "has no API 'a': name one of b"),
        (ONE + ONE, "has the API 'a' 2 times"),
        (ONE, "no scope of this API grants a request"),
        (ONE + "grants = 1", "grants has to be a list"),
        (ONE + 'grants = ["/a"]', "is not of the form"),
        (ONE + "grants = [1]", "is not of the form"),
        (ONE + '[[api.scope]]\nname = "a:read"', "has the scope a:read twice"),
        ('[[api]]\nkey = "a"\n[[api.scope]]\nname = "a b"', "a scope has the name 'a b'"),
        ('[[api]]\nkey = "a"\n[[api.scope]]', "a scope has the name None"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, text: str, words: str
) -> None:
    """It names the file and what to mend."""
    file = tmp_path / "hourpass.toml"
    file.write_text(text)

    with pytest.raises(ValueError, match=words) as fault:
        catalogue_grants(file, api="a")

    assert str(fault.value).startswith(f"{file}: ")


def test_a_file_that_is_not_there_is_a_clear_line(tmp_path: Path) -> None:
    """Nor is one that is no text."""
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        catalogue_grants(tmp_path / "none.toml")
    (tmp_path / "octets").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="is not TOML"):
        catalogue_grants(tmp_path / "octets")


def test_one_of_several_apis_has_to_be_named(tmp_path: Path) -> None:
    """A guess could open the wrong requests."""
    with pytest.raises(ValueError, match="has the APIs bookings, billing: say which with api="):
        catalogue_grants(catalogue(tmp_path))


def test_any_of_several_scopes_opens_a_request(tmp_path: Path) -> None:
    """A refusal names them all, and what a token holds comes back."""
    file = tmp_path / "hourpass.toml"
    file.write_text(
        ONE + 'grants = ["GET /a"]\n[[api.scope]]\nname = "a:all"\ngrants = ["GET /a", "PUT /a"]'
    )
    grants = catalogue_grants(file)

    assert grants.authorize(frozenset(("a:all", "x:y")), "GET", "/a") == {"a:all"}
    with pytest.raises(InsufficientScope, match="one of the scopes a:all a:read") as refusal:
        grants.authorize(frozenset(("x:y",)), "GET", "/a")
    assert refusal.value.scopes == ("a:all", "a:read")
