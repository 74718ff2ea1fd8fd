"""Records > Audit log: what was done, filtered, followed as it happens, and exported."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from hourpass.server.admin.live import LiveTail
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.sentences import Sentence, detail, sentence
from hourpass.server.admin.visit import Visit
from hourpass.server.audit import export, store
from hourpass.server.audit.events import Event, StoredEvent, printable
from hourpass.server.audit.store import EventFilter, Position
from hourpass.server.clients import store as clients
from hourpass.server.cursors import BadCursor
from hourpass.server.operators import store as operators
from hourpass.server.refused import BadInput
from hourpass.server.rights import AUDIT_READ, CLIENTS_READ

router = Pages()
_PAGE = 50
_LIMITS = {"client_id": 100, "event": 40, "actor": 300, "since": 20, "until": 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event as a row of the table."""

    event: StoredEvent
    sentence: Sentence
    facts: list[tuple[str, str]]
    is_linked: bool
    """Whether its client still is, and may be looked at."""


@router.get("/audit", needs=AUDIT_READ)
def list_(visit: Visit) -> Response:
    """A page of events, newest first."""
    filters = _filters(visit.query)
    wanted, fault = _wanted(visit, filters)
    about: dict[str, object] = {"page": "audit", "organization": visit.organization, **filters}
    cursors = visit.context.cursors()
    before = None
    if visit.query.get("cursor"):
        try:
            before = Position.from_json(cursors.read(about, visit.query["cursor"]))
        except (BadCursor, ValueError):  # the filters are others now: from the beginning
            return visit.redirect(f"/admin/audit?{_query(filters)}")
    with visit.database.read() as connection:
        newest = store.newest_id(connection)
        found = store.page(connection, wanted, limit=_PAGE + 1, before=before)
    shown = found[:_PAGE]
    cursor = cursors.write(about, Position.of(shown[-1]).as_json()) if len(found) > _PAGE else None
    return visit.page(
        "audit/list.html",
        rows=tell(visit, shown),
        events=[event.value for event in Event],
        filters=filters,
        filtered=any(filters.values()),
        fault=fault,
        first=before is None,
        older=None if cursor is None else _query({**filters, "cursor": cursor}),
        newest=_query(filters),
        tail=_query({**filters, "after": str(newest)}) if wanted.until is None else None,
        status=422 if fault else 200,
    )


@router.get("/audit/live", needs=AUDIT_READ)
def live(visit: Visit) -> Response:
    """Server-sent events: rows of the table as they happen."""
    wanted, _ = _wanted(visit, _filters(visit.query))
    after = visit.query.get("after", "")
    with visit.database.read() as connection:
        begin = store.newest_id(connection)
    if after.isascii() and after.isdigit() and len(after) < 19:
        begin = min(begin, int(after))
    return LiveTail(visit, wanted, begin, AUDIT_READ, lambda found: _rows(visit, found))


@router.post("/audit/export", needs=AUDIT_READ)
def export_(visit: Visit) -> Response:
    """A file of what is filtered, oldest first. That it was exported is an event."""
    chosen = visit.value("format")
    if chosen not in export.FORMATS:
        raise BadInput("format", "choose CSV or JSON lines")
    wanted, fault = _wanted(visit, _filters({name: visit.value(name) for name in _LIMITS}))
    if fault:
        raise BadInput("since", fault)
    form = export.FORMATS[chosen]
    headers = {"Content-Disposition": f"attachment; filename=audit-log.{chosen}"}
    pieces = export.pieces(
        form, visit.database, wanted, visit.origin, organization=visit.organization
    )
    return StreamingResponse(pieces, media_type=form.media_type, headers=headers)


def tell(visit: Visit, found: list[StoredEvent]) -> list[Told]:
    """Events as rows, each with its sentence."""
    there = frozenset[str]()
    if visit.rights.may(CLIENTS_READ):
        with visit.database.read() as connection:
            there = clients.existing(connection, {e.client_id for e in found if e.client_id})
    return [
        Told(
            event=event,
            sentence=sentence(event),
            facts=detail(event),
            is_linked=event.client_id in there,
        )
        for event in found
    ]


def _rows(visit: Visit, found: list[StoredEvent]) -> str:
    values = {"rows": tell(visit, found), "visit": visit, "now": visit.now, "fresh": True}
    return visit.site.templates.render("audit/rows.html", values)


def _filters(given: Mapping[str, str]) -> dict[str, str]:
    return {name: printable(given.get(name, "").strip(), limit) for name, limit in _LIMITS.items()}


def _wanted(visit: Visit, filters: Mapping[str, str]) -> tuple[EventFilter, str]:
    """What to look for, and what is wrong with the filters (nothing is found by half of them)."""
    wanted = EventFilter(
        client_id=filters["client_id"] or None,
        event=filters["event"] or None,
        actor=_actor(visit, filters["actor"]) or None,
        organization=visit.organization,
    )
    try:
        since, until = _moment(filters["since"]), _moment(filters["until"])
    except ValueError:
        return wanted, "Give a day and a time, such as 2026-11-24T09:30. Both times are left out."
    return replace(wanted, since=since, until=until), ""


def _actor(visit: Visit, text: str) -> str:
    """The trail names people by their ID; people know them by their address."""
    if "@" not in text:
        return text
    with visit.database.read() as connection:
        operator = operators.by_email(connection, text.casefold())
    return text if operator is None else operator.operator_id


def _moment(text: str) -> datetime | None:
    """What a browser sends of a day and a time; without a zone it is UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if not 1970 < moment.year < 9000:
        raise ValueError
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _query(parameters: Mapping[str, str]) -> str:
    return urlencode({name: value for name, value in parameters.items() if value})
