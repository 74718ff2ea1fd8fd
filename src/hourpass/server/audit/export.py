"""The audit trail, oldest first, as JSON lines (the API's shape) or as CSV for a spreadsheet.

It is read some events at a time, each time in a transaction of its own: however slowly somebody
reads, no connection and no lock waits for them.
"""

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hourpass.server.audit import store
from hourpass.server.audit.events import AuditEvent, Event, Origin, StoredEvent, rfc3339
from hourpass.server.audit.store import EventFilter
from hourpass.server.db.engine import Database

_AT_ONCE = 1000
_LINES_A_PIECE = 200
COLUMNS = (
    "id",
    "time",
    "event",
    "actor_type",
    "actor_id",
    "actor_name",
    "client_id",
    "client_name",
    "organization",
    "request_id",
    "ip",
    "detail",
)


def json_lines(
    database: Database, wanted: EventFilter, by: Origin, *, organization: str | None = None
) -> Iterator[str]:
    """Lines without their line end; that somebody exported them is an event of its own.

    `organization` is whose trail that event belongs to; None: the installation's.
    """
    return _exported(database, wanted, by, organization, _json_line)


def csv_lines(
    database: Database, wanted: EventFilter, by: Origin, *, organization: str | None = None
) -> Iterator[str]:
    """The same as CSV (RFC 4180), a line of names first; no cell is taken for a formula."""
    lines = _exported(database, wanted, by, organization, _csv_line)
    first = next(lines, None)  # the event is on record before anything leaves
    yield _csv(COLUMNS)
    if first is not None:
        yield first
        yield from lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """What an answer needs to know of a form of the export; `end` is what ends its lines."""

    lines: Callable[..., Iterator[str]]
    """`json_lines`, or what is called like it."""
    media_type: str
    end: str


FORMATS = {
    "jsonl": Format(lines=json_lines, media_type="application/jsonl", end="\n"),
    "csv": Format(lines=csv_lines, media_type="text/csv; charset=utf-8", end="\r\n"),
}
"""By the name that callers give."""


def pieces(
    form: Format, database: Database, wanted: EventFilter, by: Origin, *, organization: str | None
) -> Iterator[bytes]:
    """The export as an answer sends it, in pieces of many lines.

    The first line is read here and now: where the database is down, DatabaseUnavailable is raised
    while there can still be another answer.
    """
    lines = form.lines(database, wanted, by, organization=organization)
    first = list(itertools.islice(lines, 1))
    return _joined(itertools.chain(first, lines), form.end)


def _joined(lines: Iterator[str], end: str) -> Iterator[bytes]:
    while piece := list(itertools.islice(lines, _LINES_A_PIECE)):
        yield "".join(line + end for line in piece).encode()


def _exported(
    database: Database,
    wanted: EventFilter,
    by: Origin,
    organization: str | None,
    line: Callable[[StoredEvent], str],
) -> Iterator[str]:
    with database.write() as connection:
        detail = {
            "client_id": wanted.client_id,
            "event": wanted.event,
            "actor": wanted.actor,
            # Only where the event's own organization does not say it.
            "organization": None if wanted.organization == organization else wanted.organization,
            "since": rfc3339(wanted.since) if wanted.since else None,
            "until": rfc3339(wanted.until) if wanted.until else None,
        }
        filters = {name: value for name, value in detail.items() if value is not None}
        event = AuditEvent(
            event=Event.AUDIT_EXPORTED, origin=by, organization=organization, detail=filters
        )
        store.record(connection, [event], database.now(connection))
        last = store.newest_id(connection)
    read: store.Position | None = None
    while True:
        with database.read() as connection:
            batch = store.following(connection, wanted, read, newest_id=last, limit=_AT_ONCE)
        yield from map(line, batch)
        if len(batch) < _AT_ONCE:
            return
        read = store.Position.of(batch[-1])


def _json_line(stored: StoredEvent) -> str:
    return json.dumps(stored.as_json(), ensure_ascii=False, separators=(",", ":"))


def _csv_line(stored: StoredEvent) -> str:
    return _csv(
        (
            str(stored.id),
            rfc3339(stored.time),
            stored.event,
            stored.actor.type,
            stored.actor.id,
            stored.actor.name,
            stored.client_id or "",
            stored.client_name or "",
            stored.organization or "",
            stored.request_id or "",
            stored.ip or "",
            json.dumps(stored.detail, ensure_ascii=False, separators=(",", ":")),
        )
    )


def _csv(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="").writerow(map(_harmless, cells))
    return text.getvalue()


def _harmless(cell: str) -> str:
    """A spreadsheet runs what begins like a formula, after blanks too; a quote stops that."""
    first = cell.lstrip()[:1]
    return "'" + cell if first and first in _FORMULA else cell


_FORMULA = "=+-@|%\uff1d\uff0b\uff0d\uff20"
