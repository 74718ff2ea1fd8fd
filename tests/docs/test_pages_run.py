"""Every command, file and output that is marked on a page, done as a reader would do it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_runner import ROOT, Reader, blocks_of

_PAGES = [
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "audit",
            "getting-started",
            "keys",
            "management-api",
            "online-checks",
            "operate",
            "rate-limits",
            "scopes",
        )
    ),
]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody in an empty folder, with a shell."""
    somebody = Reader(tmp_path)
    yield somebody
    somebody.leave()


@pytest.mark.parametrize("page", _PAGES)
def test_a_page_can_be_followed(page: str, reader: Reader) -> None:
    """All marked commands succeed, in order, and print what the page says."""
    assert any(block.mark.startswith("run") for block in blocks_of(ROOT / page))

    reader.follow(ROOT / page)


def test_an_api_is_protected_as_the_page_says(reader: Reader, tmp_path: Path) -> None:
    """The three programs on the page run, and answer as its table and examples say."""
    catalogue = (ROOT / "src/hourpass/demo/hourpass.toml").read_text()
    set_up = tmp_path / "set_up.md"
    set_up.write_text(
        f"<!-- file: hourpass.toml -->\n```toml\n{catalogue}```\n"
        "<!-- run in background: 8080 -->\n```bash\nhourpass serve\n```\n"
        "<!-- run -->\n```bash\n"
        "token_of() {\n"
        '  hourpass clients create --name Reader --scope "$1" --json > client.json\n'
        '  curl -sf http://localhost:8080/token -H "Content-Type: application/json" \\\n'
        '    -d @client.json | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\'\n'
        "}\n"
        "TOKEN=$(token_of customers:read)\nOTHER_TOKEN=$(token_of events:read)\n```\n"
    )
    after = tmp_path / "after.md"
    after.write_text(
        '<!-- run -->\n```bash\npython check.py "$TOKEN"; python check.py nonsense\n'
        "python -c 'import plain_api; print(callable(plain_api.app))'\n```\n"
        "<!-- prints -->\n```\n"
        "['customers:read'] True\n401 the access token is malformed\nTrue\n```\n"
    )

    for page in (set_up, ROOT / "docs/protect-an-api.md", after):
        reader.follow(page)


def test_every_page_with_commands_is_followed() -> None:
    """No page has marked commands that no test runs."""
    pages = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    with_commands = {
        str(page.relative_to(ROOT))
        for page in pages
        if any(block.mark.startswith("run") for block in blocks_of(page))
    }

    assert with_commands == {*_PAGES, "docs/protect-an-api.md"}
