"""The pages for operators: their commands and files exist, their figures are calculated."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from bench import capacity
from page_runner import ROOT
from typer.main import get_command

from hourpass.cli import main

PAGES = ("deploy", "operate", "scale")
_FENCED = re.compile(r"^ *```bash\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(hourpass(?:-admin)? [^`]+)`")
_PROGRAM = re.compile(r"(?<![\w=.-])hourpass(?:-admin)? ([a-z][^|>)&;]*)")
# Programs whose arguments say `hourpass` for a unit or a namespace; a command may follow `--`.
_NOT_OURS = re.compile(r"^.*\b(?:kubectl|systemctl|journalctl)\b.*?( -- |$)")
_FILE = re.compile(r"(?<![\w/])(?:deploy|bench|faults|requirements|tests)/[\w./-]*\w")


def _page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def _commands(name: str) -> Iterator[list[str]]:
    """The words after `hourpass` in each command of a page, in blocks and in sentences."""
    text = _page(name)
    blocks = "\n".join(_FENCED.findall(text)).replace("\\\n", " ")
    lines = [line.partition(" #")[0] for line in blocks.splitlines()]
    for line in [*lines, *(" ".join(found.split()) for found in _INLINE.findall(text))]:
        for words in _PROGRAM.findall(_NOT_OURS.sub("", line)):
            yield shlex.split(words)


def _problem(words: list[str]) -> str | None:
    """What is wrong with a command: no such command, or no such option of it."""
    command: Any = get_command(main._build(with_server=True, only=words[0]))
    rest = list(words)
    while hasattr(command, "commands"):  # a group
        command = command.commands.get(rest.pop(0)) if rest else None
        if command is None:
            return "there is no such command"
    known = {text for parameter in command.params for text in parameter.opts}
    unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]
    return f"no option {' '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_exists(page: str) -> None:
    """With its options; what it does is tested elsewhere."""
    wrong = {
        " ".join(words): problem
        for words in _commands(page)
        if (problem := _problem(words)) is not None
    }

    assert wrong == {}


def test_a_command_that_does_not_exist_is_noticed() -> None:
    """A command, a subcommand, an option."""
    assert _problem(["clients", "suspend", "ID", "--revoke-live-tokens"]) is None
    assert _problem(["clients", "supend", "ID"]) is not None
    assert _problem(["clients", "suspend", "ID", "--revoke"]) == "no option --revoke"
    assert len(list(_commands("operate"))) > 5


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_the_page_names_exists(page: str) -> None:
    """Shipped files, by their path in this repository, and pages that it links to."""
    text = _page(page)
    named = {ROOT / path for path in _FILE.findall(text)}
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)}
    named |= {ROOT / "docs" / target for target in linked if target and "://" not in target}

    missing = {path.resolve() for path in named if not path.exists() and not _glob(path)}
    assert missing == set()


def _glob(path: object) -> bool:
    """`deploy/systemd/hourpass-backup.*` is cut before the star."""
    return any(str(file).startswith(f"{path}.") for file in ROOT.glob("deploy/*/*"))


@pytest.mark.parametrize("page", PAGES)
def test_every_heading_that_the_page_links_to_exists(page: str) -> None:
    """On itself and on the pages beside it."""
    for target, heading in re.findall(r"\]\(([\w.-]*\.md)?#([^)]+)\)", _page(page)):
        text = (ROOT / "docs" / target).read_text("utf-8") if target else _page(page)
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert heading in slugs, f"{target}#{heading}"


def test_the_table_of_machines_is_what_the_coefficients_give() -> None:
    """`python -m bench.capacity` writes it."""
    found = capacity.MARKED.search(_page("scale"))

    assert found is not None
    assert f"{found[1]}{capacity.table(capacity.Coefficients())}{found[2]}" == found[0]


def test_machines_grow_with_the_rate() -> None:
    """Twice the tokens need twice the disk, and never fewer nodes; one may always be lost."""
    per = capacity.Coefficients()
    one, two = capacity.needs(10_000, per), capacity.needs(20_000, per)

    assert two.audit_gb_day == pytest.approx(2 * one.audit_gb_day)
    assert two.wal_mb_s[2] == pytest.approx(2 * one.wal_mb_s[2])
    assert two.nodes >= one.nodes > one.server_cores / per.node_cores
    assert capacity.needs(1, per).nodes == 2
