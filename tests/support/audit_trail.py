"""The audit trail as tests look at it: whole."""

from sqlalchemy import Connection

from hourpass.server.audit import store
from hourpass.server.audit.events import StoredEvent
from hourpass.server.audit.store import EventFilter

_ALL = 1_000_000


def as_written(connection: Connection, wanted: EventFilter) -> list[StoredEvent]:
    """Every event that fits, in the order in which they were written."""
    return sorted(store.page(connection, wanted, limit=_ALL), key=lambda stored: stored.id)
