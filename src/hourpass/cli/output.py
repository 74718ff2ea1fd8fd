"""What commands print: tables for people, JSON for scripts; refusals on stderr, one line each."""

import json
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
    """A sentence for the person at the terminal; out of the way of what a pipe reads."""
    sys.stderr.write(message + "\n")


def refuse(message: str, status: int = REFUSED) -> NoReturn:
    """End with one clear line on stderr."""
    say("hourpass: " + " ".join(message.split()))
    raise typer.Exit(status)


def when(value: datetime | None, *, never: str = "–") -> str:
    """A moment, to the second, in UTC."""
    return never if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
