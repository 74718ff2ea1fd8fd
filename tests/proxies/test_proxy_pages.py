"""What the pages of the proxies show is what is shipped."""

import re

import pytest
import yaml

from support.proxies.process import DEPLOY, marked_lines, program

DOCS = DEPLOY.parent / "docs"
FILES = {
    "nginx": "nginx/hourpass.conf",
    "caddy": "caddy/Caddyfile",
    "envoy": "envoy/envoy.yaml",
    "haproxy": "haproxy/haproxy.cfg",
    "apache": "apache/hourpass.conf",
    "traefik": "traefik/hourpass.yaml",
}


def _page(name: str) -> str:
    return (DOCS / "proxies" / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize("name", FILES)
def test_a_page_starts_with_the_five_lines_that_matter(name: str) -> None:
    """Before anything else but the title and a warning; each is a line of the shipped file."""
    before, block = _page(name).split("```")[:2]
    shipped = (DEPLOY / FILES[name]).read_text("utf-8").split("\n")

    lines = block.split("\n")[1:-1]
    assert len(lines) == 5
    for line in lines:
        assert line in shipped, line
    assert before.count("\n\n") == (1 if name != "traefik" else 2)


@pytest.mark.parametrize("name", FILES)
def test_a_page_and_its_file_name_each_other(name: str) -> None:
    """And both say what is to be edited."""
    text = (DEPLOY / FILES[name]).read_text("utf-8")

    assert f"(../../deploy/{FILES[name]})" in _page(name)
    assert f"docs/proxies/{name}.md" in text
    assert len(marked_lines(text)) >= 4
    assert "`EDIT`" in _page(name)
    assert f"(proxies/{name}.md)" in (DOCS / "proxies.md").read_text("utf-8")


def test_every_page_is_of_a_shipped_configuration() -> None:
    """None that these tests forget."""
    assert {page.stem for page in (DOCS / "proxies").glob("*.md")} == set(FILES)


def test_no_header_of_hourpass_is_forgotten_where_names_are_listed() -> None:
    """nginx, Apache and Traefik cannot remove by a pattern: they list what Hourpass ever gives."""
    source = (DEPLOY.parent / "src/hourpass/server/endpoints/verify.py").read_text("utf-8")
    given = {name.lower() for name in re.findall(r"x-hourpass-[a-z-]+", source)}

    assert given == {f"x-hourpass-{n}" for n in ("client-id", "scopes", "organization", "limited")}
    for name in ("nginx", "apache"):
        text = (DEPLOY / FILES[name]).read_text("utf-8").lower()
        assert all(header in text for header in given), name


def test_the_untested_one_says_so_and_is_yaml() -> None:
    """Traefik's, in the file and first on its page."""
    text = (DEPLOY / FILES["traefik"]).read_text("utf-8")

    assert "NOT TESTED" in text
    assert _page("traefik").startswith("# Traefik\n\n**Not tested**")
    middleware = yaml.safe_load(text)["http"]["middlewares"]["hourpass"]["forwardAuth"]
    assert middleware["trustForwardHeader"] is False


def test_marks_are_found() -> None:
    """A mark is of the next line that is no comment."""
    text = "a 1\n# EDIT: this\n# and more\nb 1\n  # EDIT\n  c 1\nd 1\n# no EDIT\ne 1\n"

    assert marked_lines(text) == [3, 5]


def test_an_absent_program_skips_by_name_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to install five proxies to run the tests; CI has to."""
    monkeypatch.delenv("HOURPASS_TESTS_COMPLETE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="requires no-such-proxy"):
        program("no-such-proxy")

    monkeypatch.setenv("HOURPASS_TESTS_COMPLETE", "1")
    with pytest.raises(pytest.fail.Exception, match="requires no-such-proxy"):
        program("no-such-proxy")
