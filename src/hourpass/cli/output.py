"""What commands print: tables for people, JSON for scripts; refusals on stderr, one line each."""

import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

REFUSED, USAGE = 1, 2
_PIPE_WIDTH = 2000

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class ReaderGone(BaseException):
    """Whoever read our output has seen enough: end quietly.

    No BrokenPipeError: Typer and Rich turn those into exit status 1.
    """


class _Output(io.TextIOWrapper):
    """stdout, in UTF-8 unless a terminal wants another encoding; such a terminal sees escapes."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            raise ReaderGone from None

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            raise ReaderGone from None


def set_up() -> None:
    """Make stdout one that all text can be written to and that tells when its reader is gone."""
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  (open until we end)
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        terminal = stdout.isatty()
        encoding = stdout.encoding if terminal else "utf-8"
        sys.stdout = _Output(
            stdout.detach(),
            encoding=encoding,
            errors="backslashreplace",
            line_buffering=terminal,
        )


def drop_output() -> None:
    """The reader is gone: let what is still buffered go nowhere, so that Python can exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: object) -> None:
    """One JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str, *, wraps: str = ""
) -> None:
    """A table, or the sentence `empty`. Cells are text, never markup.

    Only the column named `wraps` is broken to fit a terminal: what people copy stays whole.
    In a pipe nothing is broken.
    """
    console = Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column != wraps)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if table.row_count:
        console.print(table)
    else:
        console.print(Text(empty))


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line; a value is never wrapped, so that it can be copied."""
    lines = list(facts)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        sys.stdout.write(f"{name.ljust(width)}  {value}\n")


def say(message: str) -> None:
    """A sentence for the person at the terminal; out of the way of what a pipe reads.

    It may hold words from a file or from another server: no escape code of theirs gets through.
    """
    if sys.stdout is not None:
        sys.stdout.flush()  # what was printed before is read before
    visible = "".join(c if c.isprintable() else "\ufffd" for c in message)
    sys.stderr.write(visible + "\n")


def refuse(message: str, status: int = REFUSED) -> NoReturn:
    """End with one clear line on stderr."""
    say("hourpass: " + " ".join(message.split()))
    raise typer.Exit(status)


def when(value: datetime | None, *, never: str = "–") -> str:
    """A moment, to the second, in UTC."""
    return never if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
