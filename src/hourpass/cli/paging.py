"""Lists that may be longer than what is shown: a cursor for scripts, a line for people."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from hourpass.cli.output import say
from hourpass.server.context import Context
from hourpass.server.cursors import Made, made_as_json, made_from_json

_T = TypeVar("_T")
_AT_ONCE = 500
Limit = Annotated[int, typer.Option(min=1, help="How many, newest first.")]

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


def newest(
    context: Context,
    wanted: object,
    cursor: str | None,
    limit: int,
    page: Callable[[int, Made | None], tuple[list[_T], Made | None]],
) -> tuple[list[_T], str | None]:
    """Up to `limit` things, and the cursor that leads on; `page` reads so many before that one."""
    found: list[_T] = []
    more = made_from_json(position(context, wanted, cursor))
    while len(found) < limit:
        some, more = page(min(_AT_ONCE, limit - len(found)), more)
        found += some
        if more is None:
            break
    return found, next_cursor(context, wanted, made_as_json(more))


def say_if_cut(shown: int, cursor: str | None) -> None:
    """Tell a person that a list goes on."""
    if cursor is not None:
        say(f"Shown: {shown}. There are more: --limit N shows more.")


def _about(wanted: object) -> dict[str, object]:
    """A cursor of a command belongs to its filter, whose repr names the list as well."""
    return {"command": repr(wanted)}
