"""`/api/v1/audit-events`: the audit trail."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from hourpass.server.api import given, shapes
from hourpass.server.api.call import Call, needs
from hourpass.server.api.document import PREFIX, described
from hourpass.server.audit import export, store
from hourpass.server.audit.events import printable
from hourpass.server.audit.store import EventFilter, Position
from hourpass.server.cursors import BadCursor
from hourpass.server.rights import AUDIT_READ

router = APIRouter(prefix=PREFIX, tags=["Audit trail"])

Reader = Annotated[Call, needs(AUDIT_READ)]


@router.get(
    "/audit-events",
    operation_id="list_audit_events",
    summary="List audit events, newest first",
    response_model=shapes.EventPage,
    **described(AUDIT_READ, 404, 422),
)
def list_(call: Reader, query: Annotated[given.EventsWanted, Query()]) -> Response:
    """Those of the caller's organization; with `hourpass.organizations:read`, all."""
    filters: dict[str, object] = {"list": "events", **query.model_dump(exclude={"limit", "cursor"})}
    position = call.position(filters, query.cursor)
    try:
        before = None if position is None else Position.from_json(position)
    except ValueError:  # written by a version that had another order
        raise BadCursor from None
    wanted = _filter(call, query)
    with call.database.read() as connection:
        found = store.page(connection, wanted, limit=query.limit + 1, before=before)
    shown = found[: query.limit]
    more = Position.of(shown[-1]).as_json() if len(found) > query.limit else None
    return call.page([stored.as_json() for stored in shown], filters, more)


@router.get(
    "/audit-events/export",
    operation_id="export_audit_events",
    summary="Export audit events, oldest first",
    response_class=StreamingResponse,
    **described(
        AUDIT_READ,
        *(404, 422),
        content={"application/jsonl": "One event a line.", "text/csv": "A line of names first."},
    ),
)
def export_(call: Reader, query: Annotated[given.EventsExported, Query()]) -> Response:
    """JSON lines, or CSV in which no cell is a formula. That it was exported is an event."""
    wanted = _filter(call, query)
    home = None if call.rights.sees_every_organization else call.client.organization
    form = export.FORMATS[query.format]
    name = f"attachment; filename=audit-events.{query.format}"
    return StreamingResponse(
        export.pieces(form, call.database, wanted, call.origin, organization=home),
        media_type=form.media_type,
        headers={"Content-Disposition": name},
    )


def _filter(call: Call, query: given.EventFilters) -> EventFilter:
    return EventFilter(
        client_id=None if query.client_id is None else printable(query.client_id, 100),
        event=query.event,
        actor=None if query.actor is None else printable(query.actor, 300),
        organization=call.visible(query.organization),
        since=query.since,
        until=query.until,
    )
