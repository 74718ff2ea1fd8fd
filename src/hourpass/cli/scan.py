"""`hourpass scan`: are there client secrets in these files?"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from hourpass.cli.output import REFUSED, USAGE, AsJson, print_json, refuse, say
from hourpass.client.scan import Found, files_below, scan_files, scan_stream

_MANY = 200


def scan(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Files and folders; - is standard input.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find client secrets in files. Exit status 1 when there are any.

    A secret is told by its form and checksum, also in Basic credentials, and never printed whole.
    """
    if not paths:
        refuse("name a file or folder to look into: hourpass scan .", status=USAGE)
    found: list[Found] = []
    unread = 0
    for outcome in _outcomes(paths):
        if isinstance(outcome, OSError):
            unread += 1
            say(f"hourpass: cannot read {outcome.filename}: {outcome.strerror}")
            continue
        found.append(outcome)
        if not as_json:
            sys.stdout.write(f"{_visible(str(outcome))}\n")
    if as_json:
        print_json([{"path": each.path, "line": each.line, "shown": each.shown} for each in found])
    if found:
        count = "a client secret is" if len(found) == 1 else f"{len(found)} client secrets are"
        refuse(f"{count} in these files: rotate each now, then take it out (also of the history)")
    if unread:
        raise typer.Exit(REFUSED)


def _outcomes(paths: list[str]) -> Iterator[Found | OSError]:
    for name in paths:
        if name == "-":
            yield from scan_stream(sys.stdin.buffer, "-")
            continue
        try:
            files = list(files_below(Path(name)))
        except OSError as fault:
            yield fault
            continue
        shows = sys.stderr.isatty() and len(files) > _MANY
        if shows:
            console = Console(stderr=True)
            yield from scan_files(track(files, f"scanning {name}", console=console, transient=True))
        else:
            yield from scan_files(files)


def _visible(text: str) -> str:
    """A file's name may hold anything but a NUL; no escape code of its gets to a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
