"""The audit trail as JSON lines: one event a line, oldest first (the API's shape)."""

import json
from collections.abc import Iterator

from hourpass.server.audit import store
from hourpass.server.audit.events import AuditEvent, Event, Origin, rfc3339
from hourpass.server.audit.store import EventFilter
from hourpass.server.db.engine import Database


def json_lines(database: Database, wanted: EventFilter, by: Origin) -> Iterator[str]:
    """Lines without their line end; that somebody exported them is an event of its own."""
    with database.write() as connection:
        detail = {
            "client_id": wanted.client_id,
            "event": wanted.event,
            "actor": wanted.actor,
            "since": rfc3339(wanted.since) if wanted.since else None,
            "until": rfc3339(wanted.until) if wanted.until else None,
        }
        filters = {name: value for name, value in detail.items() if value is not None}
        event = AuditEvent(event=Event.AUDIT_EXPORTED, origin=by, detail=filters)
        store.record(connection, [event], database.now(connection))
    with database.read() as connection:
        for stored in store.oldest_first(connection, wanted):
            yield json.dumps(stored.as_json(), ensure_ascii=False, separators=(",", ":"))
