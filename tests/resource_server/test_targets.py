"""Which target an app is taken to serve, whatever its server tells of it."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth.grants import AmbiguousPath, segments
from hourpass.resource_server.targets import UNKNOWN, of_asgi, of_django, of_wsgi


def asgi(path: str, raw: bytes | None = None, root: str = "") -> str:
    """As an ASGI server tells it."""
    return of_asgi({"path": path, "root_path": root, "raw_path": raw})


def wsgi(path: str, script: str = "", **more: Any) -> str:
    """As a WSGI server tells it: octets as Latin-1."""
    texts = {"PATH_INFO": path, "SCRIPT_NAME": script}
    return of_wsgi({name: text.encode().decode("latin-1") for name, text in texts.items()} | more)


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/customers", "/customers"),
        ("/customers", "/%63ustomers"),
        ("/a b/é", "/a%20b/%C3%A9"),
        ("/a/b", "/a%2fb"),
        ("/100%", "/100%25"),
        ("/", "/"),
    ],
)
def test_the_target_as_received_is_taken_where_it_fits(path: str, raw: str) -> None:
    """With its escapes, and without the query."""
    assert asgi(path, raw.encode()) == raw
    for name in ("RAW_URI", "REQUEST_URI"):
        assert wsgi(path, **{name: raw}) == raw
        assert wsgi(path, **{name: f"{raw}?a=/b"}) == raw
        assert of_django({"PATH_INFO": path, name: raw}) == raw


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/customers", "/nowhere"),
        ("/customers", "http://evil.example/customers"),
        ("/customers", "//customers"),
        ("/customers", "/customers/"),
        ("/customers", "/x/../customers"),
        ("/customers", "/customers#x"),
        ("/customers", "*"),
        ("/%63ustomers", "/%63ustomers"),
    ],
)
def test_a_path_that_was_changed_on_the_way_is_unknown(path: str, raw: str) -> None:
    """Nobody knows which of the two was meant, so that neither is judged."""
    assert asgi(path, raw.encode()) == UNKNOWN
    assert wsgi(path, RAW_URI=raw) == UNKNOWN
    assert of_django({"PATH_INFO": path, "REQUEST_URI": raw}) == UNKNOWN
    with pytest.raises(AmbiguousPath):
        segments(UNKNOWN)


def test_the_part_at_which_an_app_is_mounted_counts() -> None:
    """Whether a proxy has taken it off the target or not."""
    assert asgi("/api/a b", b"/api/a%20b", "/api") == "/api/a%20b"
    assert asgi("/api/a b", b"/a%20b", "/api") == "/api/a%20b"
    assert asgi("/api/a b", b"/other/a%20b", "/api") == UNKNOWN
    assert wsgi("/a b", "/api", RAW_URI="/api/a%20b") == "/api/a%20b"
    assert wsgi("/a b", "/api", RAW_URI="/a%20b") == "/api/a%20b"
    assert wsgi("/a b", "/api", RAW_URI="/other/a%20b") == UNKNOWN
    assert wsgi("/a b", "/api") == "/api/a%20b"
    assert wsgi("", "/api") == "/api"


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_without_the_target_the_path_that_the_app_sees_is_judged(parts: list[str]) -> None:
    """Encoded again it is that path or refused."""
    path = "/" + "/".join(parts)
    for target in (asgi(path), wsgi(path), of_django({"PATH_INFO": path})):
        try:
            read = segments(target)
        except AmbiguousPath:
            continue
        assert "/" + "/".join(read) == path


@given(st.text(max_size=20), st.binary(max_size=20) | st.none(), st.text(max_size=5))
def test_any_server_gives_a_target_or_none(path: str, raw: bytes | None, root: str) -> None:
    """And a target that is not refused decodes to the path that the app sees."""
    told = {} if raw is None else {"RAW_URI": raw.decode("latin-1")}
    octets = "".join(letter for letter in path if ord(letter) < 256)
    for target, seen in (
        (asgi(root + path, raw, root), root + path),
        (of_wsgi({"PATH_INFO": octets, "SCRIPT_NAME": "", **told}), None),
    ):
        try:
            read = segments(target)
        except AmbiguousPath:
            continue
        assert seen is None or "/" + "/".join(read) == seen


@pytest.mark.parametrize("path", ["/\ufffd", "/a/\ufffd/b"])
def test_a_replaced_octet_is_unknown(path: str) -> None:
    """A server that replaces what is not UTF-8 makes one path of two."""
    assert asgi(path) == UNKNOWN
    assert of_wsgi({"PATH_INFO": "/\xff"}) == UNKNOWN
    with pytest.raises(AmbiguousPath):
        segments(asgi(unquote("/%ff"), b"/%ff"))


def test_a_lone_surrogate_is_refused() -> None:
    """No server should tell one; no fault either."""
    with pytest.raises(AmbiguousPath):
        segments(asgi("/\ud800"))
