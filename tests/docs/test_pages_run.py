"""Every command, file and output that is marked on a page, done as a reader would do it."""

import re
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
            "backup",
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

_PROTECTING = [
    f"docs/protect-{name}.md"
    for name in (
        "an-api",
        "fastapi",
        "starlette",
        "flask",
        "django",
        "django-rest-framework",
        "asgi",
        "wsgi",
    )
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


@pytest.fixture(scope="module")
def protector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody with a server and the tokens of two clients, who will protect an API."""
    folder = tmp_path_factory.mktemp("protector")
    catalogue = (ROOT / "src/hourpass/demo/hourpass.toml").read_text()
    set_up = folder / "set_up.md"
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
    somebody = Reader(folder)
    somebody.follow(set_up)
    yield somebody
    somebody.leave()


@pytest.mark.xdist_group("protector")  # one server for all of them
@pytest.mark.parametrize("page", _PROTECTING)
def test_an_api_is_protected_as_the_page_says(page: str, protector: Reader) -> None:
    """The programs on the page run, and answer as its examples say."""
    protector.follow(ROOT / page)


@pytest.mark.parametrize("page", _PROTECTING[1:])
def test_a_page_on_a_framework_begins_with_five_lines(page: str) -> None:
    """Marked from 1 to 5 in its first program, and no more than those."""
    program = next(block for block in blocks_of(ROOT / page) if block.mark.startswith("file"))

    marks = [int(number) for number in re.findall(r"  # (\d)$", program.text, re.MULTILINE)]
    assert sorted(marks) == [1, 2, 3, 4, 5]


def test_every_page_with_commands_is_followed() -> None:
    """No page has marked commands that no test runs."""
    pages = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    with_commands = {
        str(page.relative_to(ROOT))
        for page in pages
        if any(block.mark.startswith("run") for block in blocks_of(page))
    }

    # docs/integrate.md has a test module of its own.
    assert with_commands == {*_PAGES, *_PROTECTING, "docs/integrate.md"}
