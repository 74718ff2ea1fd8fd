"""Lists that may be longer than what is shown: a cursor for scripts, a line for people."""

from typing import Annotated, Any

import typer

from hourpass.cli.output import say
from hourpass.server.context import Context

After = Annotated[
    str | None,
    typer.Option(
        "--cursor", help="Begin at this `next_cursor` of --json; the other options stay the same."
    ),
]


def position(context: Context, wanted: object, cursor: str | None) -> Any:
    """Where the list that `wanted` filters is to begin; None: at its beginning.

    Raises BadCursor for one that was not made for this list and these filters.
    """
    return None if cursor is None else context.cursors().read(_about(wanted), cursor)


def next_cursor(context: Context, wanted: object, position: object) -> str | None:
    """The cursor that leads to a position (JSON); None, for none, when there is no more."""
    return None if position is None else context.cursors().write(_about(wanted), position)


def say_if_cut(shown: int, cursor: str | None) -> None:
    """Tell a person that a list goes on."""
    if cursor is not None:
        say(f"Shown: {shown}. There are more: --limit N shows more.")


def _about(wanted: object) -> dict[str, object]:
    """A cursor of a command belongs to its filter, whose repr names the list as well."""
    return {"command": repr(wanted)}
