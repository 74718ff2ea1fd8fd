"""Which request a grant opens; paths that two programs could read in two ways."""

import string
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hourpass.oauth.grants import AmbiguousPath, Grant, Granted, segments

AMBIGUOUS = {
    "empty": "",
    "no slash": "customers",
    "asterisk": "*",
    "absolute": "http://evil.example/customers",
    "authority": "//evil.example/customers",
    "double slash": "/customer//1",
    "double slash at the end": "/customers//",
    "dot segment": "/customer/./1",
    "parent": "/customer/../admin",
    "parent at the end": "/customer/..",
    "encoded parent": "/customer/%2e%2E/admin",
    "half encoded parent": "/customer/.%2e/admin",
    "encoded slash": "/customer/a%2fb",
    "encoded slash, upper case": "/customer/a%2Fb",
    "backslash": "/customer\\..\\admin",
    "encoded backslash": "/customer/..%5cadmin",
    "matrix parameter": "/customers;v=1",
    "matrix parameter on a parent": "/customer/..;/admin",
    "encoded semicolon": "/customers%3bv=1",
    "fragment": "/customers#x",
    "fragment in the query": "/customers?a#b",
    "encoded fragment": "/customers%23x",
    "encoded question mark": "/customer/1%3fa",
    "NUL": "/customers\x00",
    "encoded NUL": "/customers%00",
    "encoded line feed": "/customers%0a",
    "encoded DEL": "/customers%7f",
    "double encoding": "/customer/%252e%252e/admin",
    "double encoded letter": "/%2563ustomers",
    "malformed escape": "/customer/%zz",
    "cut escape": "/customer/%2",
    "overlong UTF-8": "/customer/%c0%ae%c0%ae/admin",
    "not UTF-8": "/customer/%ff",
    "encoded surrogate": "/customer/%ed%a0%80",
    "space": "/customer/a b",
    "raw non-ASCII": "/customer/é",
    "braces": "/customer/{id}",
    "too long": "/" + "a" * 4096,
    "tab": "/customer/\t",
    "line feed": "/customers\n",
}


@pytest.mark.parametrize("target", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_could_be_read_in_two_ways_is_refused(target: str) -> None:
    with pytest.raises(AmbiguousPath):
        segments(target)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", ("",)),
        ("/customers", ("customers",)),
        ("/customers/", ("customers", "")),
        ("/customers?a=b/../c", ("customers",)),
        ("/customers??x//y", ("customers",)),
        ("/customer/a%20b/bookings", ("customer", "a b", "bookings")),
        ("/%63ustomers", ("customers",)),
        ("/customer/caf%C3%A9", ("customer", "café")),
        ("/customer/100%25", ("customer", "100%")),
        ("/customer/...", ("customer", "...")),
        ("/@me:all/a=b,c", ("@me:all", "a=b,c")),
    ],
)
def test_an_unambiguous_path_is_its_decoded_segments(target: str, expected: tuple[str]) -> None:
    assert segments(target) == expected


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=5))
@example(["..", "a"])
@example(["%41"])
def test_segments_are_those_that_were_encoded_or_the_path_is_refused(parts: list[str]) -> None:
    try:
        read = segments("/" + "/".join(quote(part, safe="") for part in parts))
    except AmbiguousPath:
        return
    assert list(read) == parts


@given(st.text(st.sampled_from("/.%2eEfF5cC;?#\\a" + string.ascii_letters), max_size=30))
def test_no_accepted_path_has_a_part_that_leads_elsewhere(target: str) -> None:
    try:
        read = segments("/" + target)
    except AmbiguousPath:
        return
    for part in read:
        assert part not in (".", "..")
        assert not set(part) & set("/\\;?#\x00")


def granted(**scopes: list[str]) -> Granted:
    return Granted({name: [Grant.parse(line) for line in lines] for name, lines in scopes.items()})


OPENED = granted(
    read=["GET /customer/{id}/bookings", "GET /customer/{id}", "GET /"],
    export=["GET /customer/export"],
    write=["PUT /customer/{id}", "DELETE /customer/{id}/"],
    all=["GET /customer/{id}"],
    odd=["GET /a/b/{x}", "GET /a/{x}/c", "GET /caf%C3%A9"],
    head=["HEAD /only-head"],
)


@pytest.mark.parametrize(
    ("method", "target", "scopes"),
    [
        ("GET", "/customer/1/bookings", {"read"}),
        ("GET", "/customer/1/bookings?page=2", {"read"}),
        ("HEAD", "/customer/1/bookings", {"read"}),
        ("POST", "/customer/1/bookings", set()),
        ("get", "/customer/1/bookings", set()),
        ("GET", "/customer/1/Bookings", set()),
        ("GET", "/customer/1/bookings/", set()),
        ("GET", "/customer/1", {"read", "all"}),
        ("GET", "/customer/export", {"export"}),
        ("GET", "/customer/%65xport", {"export"}),
        ("GET", "/customer/export/bookings", {"read"}),
        ("PUT", "/customer/export", {"write"}),
        ("HEAD", "/customer/export", {"export"}),
        ("DELETE", "/customer/1/", {"write"}),
        ("DELETE", "/customer/1", set()),
        ("GET", "/customer/", set()),
        ("GET", "/", {"read"}),
        ("GET", "/a/b/c", {"odd"}),
        ("GET", "/a/x/c", {"odd"}),
        ("GET", "/a/b/d", {"odd"}),
        ("GET", "/a/x/d", set()),
        ("GET", "/caf%c3%a9", {"odd"}),
        ("HEAD", "/only-head", {"head"}),
        ("GET", "/only-head", set()),
        ("OPTIONS", "/customer/1", set()),
        ("", "/customer/1", set()),
    ],
)
def test_the_scopes_that_open_a_request(method: str, target: str, scopes: set[str]) -> None:
    assert OPENED.scopes_for(method, target) == scopes


def test_nothing_granted_opens_nothing() -> None:
    assert granted().scopes_for("GET", "/") == set()


@pytest.mark.parametrize(
    "text", ["GET /a/../b", "GET /a/%2e%2e", "GET /a%2Fb", "GET /a;b", "GET /a//b", "GET /%zz"]
)
def test_a_grant_that_no_path_could_match_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        Grant.parse(text)
