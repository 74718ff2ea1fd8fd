"""What has to be so on every page there is, whoever makes the next one."""

import re
import warnings

import html5lib
import httpx
import pytest

from hourpass.server.admin.pages import ALL
from support.desk import hire, visitor
from support.installation import Server

MAX_BYTES = 150_000
_INLINE = re.compile(
    r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", re.IGNORECASE
)
_ELSEWHERE = re.compile(r"(?:src|href|action)=\"(?:https?:)?//", re.IGNORECASE)
_STATIC = re.compile(r"(?:src|href)=\"([^\"]*/admin/static/[^\"]+)\"")
PATHS = sorted({page.route.path for page in ALL if page.method == "GET"})


def address(server: Server, path: str) -> str:
    """A page's address with something that is there in the place of each name."""
    client = server.installation.create_client("customers:read", name="A client")
    names = {"client_id": client.client_id, "organization_id": "default"}
    if "{operator_id}" in path:
        names["operator_id"] = hire(server.installation).operator_id
    return re.sub(r"{(\w+)(?::\w+)?}", lambda name: names.get(name[1], "nothing"), path)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_whole_html_without_anything_inline_or_from_elsewhere(
    path: str, shared_server: Server
) -> None:
    """It parses without an error, and with all its files is small."""
    http = visitor(shared_server)
    try:
        with http.stream("GET", address(shared_server, path)) as answer:
            if not answer.headers.get("content-type", "").startswith("text/html"):
                return  # a stream of events, or a file to keep
            html = answer.read().decode()
        assert answer.status_code < 500
        _parses(html)
        assert not _INLINE.search(html)
        assert not _ELSEWHERE.search(html)
        files = [http.get(url) for url in dict.fromkeys(_STATIC.findall(html))]
        assert all(file.status_code == 200 for file in files)
        assert all("immutable" in file.headers["cache-control"] for file in files)
        assert len(html) + sum(len(file.content) for file in files) < MAX_BYTES
    finally:
        http.close()


@pytest.mark.spec("threats", "16", "strict CSP without unsafe-inline, frame-ancestors 'none'")
@pytest.mark.parametrize("path", [*PATHS, "/admin/nothing-here", "/admin/static/hourpass.css"])
def test_every_answer_has_the_headers_that_stop_a_browser_from_harm(
    path: str, shared_server: Server
) -> None:
    """Signed in or not: pages, redirects, errors and files."""
    for http in (visitor(shared_server), httpx.Client(base_url=shared_server.url, trust_env=False)):
        with http, http.stream("GET", address(shared_server, path)) as answer:
            csp = answer.headers["content-security-policy"]
            assert "default-src 'none'" in csp
            assert "frame-ancestors 'none'" in csp
            assert "unsafe" not in csp
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert "access-control-allow-origin" not in answer.headers
            if "/static/" not in path:
                assert answer.headers["cache-control"] == "no-store"


def test_every_page_but_those_of_signing_in_needs_a_session(shared_server: Server) -> None:
    """Without one there is the way to sign in, and nothing else."""
    with httpx.Client(base_url=shared_server.url, trust_env=False) as http:
        for page in ALL:
            if page.is_open or page.method != "GET":
                continue
            answer = http.get(address(shared_server, page.route.path))
            assert answer.status_code == 303, page.route.path
            assert answer.headers["location"].startswith("/admin/sign-in"), page.route.path


def _parses(html: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # html5lib's own, of what it is built on
        html5lib.HTMLParser(strict=True).parse(html)
