"""Pages made from code and tests are up to date, and the other pages keep up with the code."""

import re

from generated_docs import CONFORMANCE, ROOT, SETTINGS, conformance_page, marks_of, settings_page

from hourpass.oauth import errors
from hourpass.oauth.errors import InsufficientScope, InvalidToken, OAuthError, RateLimited
from hourpass.server.audit.events import Event
from hourpass.server.keys import model

_STALE = "the page is out of date: run `make docs`"
_ONLY_AUTHORIZE = errors.UnsupportedResponseType
_PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")


def test_the_settings_page_is_made_from_the_settings() -> None:
    """One row a setting, with its default and its help text."""
    assert SETTINGS.read_text("utf-8") == settings_page(), _STALE


def test_the_conformance_page_has_every_mark_of_the_tests() -> None:
    """One row a sentence, with the tests that prove it; none that no test proves any more."""
    marks = list(marks_of(ROOT / "tests"))

    assert len(marks) > 100
    assert CONFORMANCE.read_text("utf-8") == conformance_page(), _STALE


def _subclasses(kind: type[OAuthError]) -> set[type[OAuthError]]:
    return {kind}.union(*(_subclasses(child) for child in kind.__subclasses__()))


def test_every_error_of_the_token_endpoint_is_explained() -> None:
    """Each has a row with its status, its code and, where there is one, its reason."""
    page = (ROOT / "docs/errors.md").read_text("utf-8")
    of_an_api = _subclasses(InvalidToken) | _subclasses(InsufficientScope) | {RateLimited}
    kinds = {
        kind
        for kind in _subclasses(OAuthError) - of_an_api - {OAuthError, _ONLY_AUTHORIZE}
        if kind.__module__ == errors.__name__
    }

    assert len(kinds) >= 13
    for kind in kinds:
        reason = f", reason `{kind.reason}`" if kind.reason else ""
        assert f"| {kind.status} | `{kind.code}`{reason} | " in page, kind


def test_every_audit_event_is_explained() -> None:
    """Each has a row, and no row is of an event that is none."""
    page = (ROOT / "docs/audit.md").read_text("utf-8")

    explained = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", page, re.MULTILINE)
    assert sorted(explained) == sorted(Event)


def test_the_timetable_of_keys_is_the_codes() -> None:
    """Minutes and states on the page are those of the model."""
    page = (ROOT / "docs/keys.md").read_text("utf-8")
    before, after = model.PUBLISHED_BEFORE_USE, model.PUBLISHED_AFTER_USE

    assert f"at least {before.total_seconds() / 60:.0f} minutes before it signs" in page
    assert f"for {after.total_seconds() / 60:.0f} minutes: until its last token" in page
    assert f"max-age={model.JWKS_MAX_AGE.total_seconds():.0f}" in page
    states = re.findall(r"^\| `([a-z]+)` \|", page, re.MULTILINE)
    assert states == [state.value for state in model.KeyState]


def test_the_layout_names_every_room() -> None:
    """Each package of the source, down to those of the server, has a line."""
    page = (ROOT / "docs/layout.md").read_text("utf-8")
    source = ROOT / "src/hourpass"
    rooms = [*source.glob("*/__init__.py"), *(source / "server").glob("*/__init__.py")]

    assert len(rooms) >= 14
    for room in rooms:
        assert re.search(rf"^ +{room.parent.name}/ ", page, re.MULTILINE), room


def test_links_lead_somewhere() -> None:
    """Every link to a file of ours is to one that is there, and to a heading that it has."""
    seen = 0
    for page in _PAGES:
        for target, heading in _LINK.findall(page.read_text("utf-8")):
            file = page.parent / target if target else page
            assert file.exists(), f"{page}: {target}"
            if heading:
                assert heading[1:] in _headings(file.read_text("utf-8")), f"{page}: {heading}"
            seen += 1
    assert seen > 50


def _headings(text: str) -> set[str]:
    lines = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in lines}


def test_every_make_target_that_is_named_is_there() -> None:
    """No page tells its readers to make something that cannot be made."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = {
        target
        for page in _PAGES
        for target in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }

    assert named >= {"run", "test", "check", "docs"}
    for target in named:
        assert f"\n{target}: " in makefile, target
