"""`hourpass audit`: what was done, by whom."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hourpass.cli import paging
from hourpass.cli.installation import by_command, opened
from hourpass.cli.output import AsJson, print_json, print_table, refuse, when
from hourpass.server.audit import export as audit_export
from hourpass.server.audit import store
from hourpass.server.audit.events import Event, printable
from hourpass.server.audit.store import EventFilter, Position
from hourpass.server.cursors import BadCursor

app = typer.Typer(help="The audit trail.", no_args_is_help=True)

_ClientId = Annotated[str | None, typer.Option(help="Only events of this client.")]
_Event = Annotated[str | None, typer.Option(help="Only this event, such as client.created.")]
_Actor = Annotated[str | None, typer.Option(help="Only what this actor (ID) did.")]
_Organization = Annotated[str | None, typer.Option(help="Only this organization's.")]
_Since = Annotated[str | None, typer.Option(help="From this time on, such as 2026-01-31T08:00Z.")]
_Until = Annotated[str | None, typer.Option(help="Before this time.")]


@app.command("list")
def list_(
    client_id: _ClientId = None,
    event: _Event = None,
    actor: _Actor = None,
    organization: _Organization = None,
    since: _Since = None,
    until: _Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    cursor: paging.After = None,
    as_json: AsJson = False,
) -> None:
    """List audit events, newest first."""
    wanted = _filter(client_id, event, actor, organization, since, until)
    with opened() as context:
        before = _position(paging.position(context, wanted, cursor))
        with context.database.read() as connection:
            found = store.page(connection, wanted, limit=limit + 1, before=before)
        events = found[:limit]
        more = Position.of(events[-1]).as_json() if len(found) > limit else None
        next_cursor = paging.next_cursor(context, wanted, more)
    if as_json:
        items = [stored.as_json() for stored in events]
        print_json({"items": items, "next_cursor": next_cursor})
        return
    rows = [
        (
            when(stored.time),
            stored.event,
            stored.actor.name,
            stored.client_name or "–",
            stored.client_id or "–",
            _detail(stored.detail),
        )
        for stored in events
    ]
    columns = ("Time", "Event", "By", "Client", "Client ID", "Detail")
    print_table(columns, rows, "No events fit.", wraps="Detail")
    paging.say_if_cut(len(rows), next_cursor)


@app.command()
def export(
    client_id: _ClientId = None,
    event: _Event = None,
    actor: _Actor = None,
    organization: _Organization = None,
    since: _Since = None,
    until: _Until = None,
    as_json: AsJson = False,  # JSON lines is what it prints anyway
) -> None:
    """Print audit events as JSON lines, oldest first."""
    wanted = _filter(client_id, event, actor, organization, since, until)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,} events"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=sys.stdout.isatty() or not sys.stderr.isatty(),
        transient=True,
    )
    with opened() as context, progress:
        task = progress.add_task("export", total=None)
        for line in audit_export.json_lines(context.database, wanted, by_command()):
            sys.stdout.write(line + "\n")
            progress.advance(task)
        sys.stdout.flush()


def _filter(
    client_id: str | None,
    event: str | None,
    actor: str | None,
    organization: str | None,
    since: str | None,
    until: str | None,
) -> EventFilter:
    if event is not None and event not in set(Event):
        refuse(f"there is no event {event!r}; there are {', '.join(sorted(Event))}", status=2)
    return EventFilter(
        client_id=None if client_id is None else printable(client_id, 100),
        event=event,
        actor=None if actor is None else printable(actor, 300),
        organization=None if organization is None else printable(organization, 100),
        since=_moment("--since", since),
        until=_moment("--until", until),
    )


def _position(of_cursor: object) -> Position | None:
    try:
        return None if of_cursor is None else Position.from_json(of_cursor)
    except ValueError:  # written by a version that had another order
        raise BadCursor from None


def _moment(option: str, text: str | None) -> datetime | None:
    """An RFC 3339 time or a date; without a zone it is UTC."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        refuse(f"{option}: give a time such as 2026-01-31T08:00Z or a date", status=2)


def _detail(detail: dict[str, object]) -> str:
    parts = []
    for name, value in detail.items():
        if value in (None, "", []):
            continue
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        parts.append(f"{name}={text}")
    return printable("  ".join(parts), 400)
