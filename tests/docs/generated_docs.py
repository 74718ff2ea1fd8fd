"""The pages that are made from the code and the tests: docs/settings.md, docs/conformance.md.

`python tests/docs/generated_docs.py` (or `make docs`) writes them; a test fails when they
differ from what this makes.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hourpass.server.config import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS, CONFORMANCE = ROOT / "docs" / "settings.md", ROOT / "docs" / "conformance.md"
_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
# What Hourpass itself has to do, by the word that the marks have for it.
_OURS = {
    "seed": "Product requirements: authentication and client management",
    "contract": "Interface: names, routes, settings and shapes",
    "threats": "Threats: what must not be possible",
}

_SETTINGS_PAGE = """\
# Settings

<!-- Made from the code by `make docs`; edit src/hourpass/server/config.py instead. -->

Each setting is an environment variable. The same name without `HOURPASS_`, in lower case, works
in the table `[hourpass]` of the configuration file; the environment wins. Settings that cannot
be used are all listed when a command starts, and it ends with exit status 2.

| setting | default | what it is |
|---|---|---|
{rows}

`HOURPASS_CONFIG` names the configuration file. Without it that is `hourpass.toml` in the current
folder, else the one in the data directory.
"""

_CONFORMANCE_PAGE = """\
# Conformance

<!-- Made from the tests by `make docs`; edit the tests' `spec` marks instead. -->

Every sentence here is proved by the tests beside it. The first three lists are what Hourpass itself
has to do; the tests' marks call them `seed`, `contract` and `threats`. Where Hourpass differs from
a standard on purpose is in [divergences.md](divergences.md).
{documents}"""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """One `@pytest.mark.spec(document, section, sentence)` and the test that carries it."""

    document: str
    section: str
    sentence: str
    path: str
    test: str


def settings_page() -> str:
    """docs/settings.md."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
        if name != "config_file"
    ]
    return _SETTINGS_PAGE.format(rows="\n".join(rows))


def _default(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return f"`{value}`" if isinstance(value, str | int) and value != "" else "–"


def conformance_page() -> str:
    """docs/conformance.md."""
    marks = sorted(set(marks_of(ROOT / "tests")), key=_order)
    documents = list(dict.fromkeys(mark.document for mark in marks))
    parts = []
    for document in documents:
        of_document = [mark for mark in marks if mark.document == document]
        title = _OURS.get(document, document)
        parts.append(f"\n## {title}\n\n| section | sentence | tests |\n|---|---|---|\n")
        for section, sentence in dict.fromkeys((m.section, m.sentence) for m in of_document):
            tests = ", ".join(
                f"[{mark.test}](../{mark.path})"
                for mark in of_document
                if (mark.section, mark.sentence) == (section, sentence)
            )
            parts.append(f"| {_cell(section)} | {_cell(sentence)} | {tests} |\n")
    return _CONFORMANCE_PAGE.format(documents="".join(parts))


def _order(mark: Mark) -> tuple[Any, ...]:
    """Our own documents first, then RFCs by number; sections as people count."""
    ours = list(_OURS)
    place = ours.index(mark.document) if mark.document in ours else len(ours)
    return (place, _natural(mark.document), _natural(mark.section), mark)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def marks_of(folder: Path) -> Iterator[Mark]:
    """Every spec mark in the test files, read without importing them."""
    for path in sorted(folder.rglob("test_*.py")):
        where = str(path.relative_to(ROOT))
        tree = ast.parse(path.read_text("utf-8"))
        of_all = [
            words
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
            for words in _specs(node.value, where)
        ]
        for test, decorators in _tests(tree.body, []):
            own = [words for decorator in decorators for words in _specs(decorator, where)]
            for document, section, sentence in (*own, *of_all):
                yield Mark(document, section, sentence, where, test)


def _tests(body: list[ast.stmt], inherited: list[ast.expr]) -> Iterator[tuple[str, list[ast.expr]]]:
    """Test functions with their decorators, those of their class included."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, [*inherited, *node.decorator_list])
        elif isinstance(node, _FUNCTION) and node.name.startswith("test_"):
            yield node.name, [*inherited, *node.decorator_list]


def _specs(expression: ast.expr, where: str) -> Iterator[tuple[str, str, str]]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.spec":
            try:
                document, section, sentence = (ast.literal_eval(word) for word in node.args)
            except ValueError:
                raise ValueError(
                    f"{where}:{node.lineno}: a spec mark has three literal words"
                ) from None
            yield document, section, sentence


def write() -> None:
    """Write the pages."""
    SETTINGS.write_text(settings_page(), "utf-8")
    CONFORMANCE.write_text(conformance_page(), "utf-8")


if __name__ == "__main__":
    write()
