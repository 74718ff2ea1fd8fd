"""The audit table: appended to, filtered, paged, and streamed."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from hourpass.server.audit import store
from hourpass.server.audit.events import SYSTEM, Actor, AuditEvent, Event, Origin, StoredEvent
from hourpass.server.audit.export import json_lines
from hourpass.server.audit.store import EventFilter, Position
from support.audit_trail import as_written
from support.installation import Installation

NOW = datetime(2026, 2, 24, 12, 0, 0, 123456, tzinfo=UTC)
A_MICROSECOND = timedelta(microseconds=1)
ADA = Origin(actor=Actor("operator", "7", "Ada"), request_id="r-1", ip="192.0.2.1")
SYNC = Origin(actor=Actor("client", "m2m_1", "Sync"), request_id="r-2", ip="2001:db8::1")
ITSELF = Origin(actor=SYSTEM)


def about(number: int, event: Event, by: Origin, organization: str = "default") -> AuditEvent:
    """An event about the client of this number."""
    return AuditEvent(
        event=event,
        origin=by,
        client_id=f"m2m_{number}",
        client_name=f"Client {number}",
        organization=organization,
        detail={"scopes": ["a:read"], "count": number, "whole": True, "nothing": None},
    )


WRITTEN = [
    (NOW - timedelta(days=1), about(1, Event.CLIENT_CREATED, ADA)),
    (NOW - A_MICROSECOND, about(2, Event.CLIENT_CREATED, ADA, "acme")),
    (NOW, about(1, Event.TOKEN_ISSUED, SYNC)),
    (NOW, about(2, Event.TOKEN_ISSUED, SYNC, "acme")),
    (NOW + A_MICROSECOND, about(1, Event.CLIENT_SUSPENDED, ADA)),
    (NOW + timedelta(days=1), AuditEvent(event=Event.KEY_CREATED, origin=ITSELF)),
    (NOW - timedelta(days=2), about(1, Event.CLIENT_DELETED, ADA)),  # the clock was set back
]


@pytest.fixture(scope="module")
def connection(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """On an installation with exactly the events above, which these tests only read."""
    made = new_installation(tmp_path_factory.mktemp("audit"))
    with made.context.database.write() as writing:
        writing.execute(text("delete from audit_event"))
        for moment, event in WRITTEN:
            store.record(writing, [event], moment)
    with made.context.database.read() as reading:
        yield reading
    made.close()


def facts(stored: StoredEvent) -> tuple[datetime, str, str | None]:
    """What tells the events above apart."""
    return stored.time, stored.event, stored.client_id


def expected(*numbers: int) -> list[tuple[datetime, str, str | None]]:
    """The events at these places of the list above."""
    return [(WRITTEN[n][0], WRITTEN[n][1].event.value, WRITTEN[n][1].client_id) for n in numbers]


def test_an_event_reads_back_as_it_was_written(connection: Connection) -> None:
    """Time to the microsecond, actor as at the time, the detail with its types."""
    first = as_written(connection, EventFilter())[0]

    assert first.actor == Actor("operator", "7", "Ada")
    assert first.as_json() == {
        "id": str(first.id),
        "time": "2026-02-23T12:00:00.123456Z",
        "event": "client.created",
        "actor": {"type": "operator", "id": "7", "name": "Ada"},
        "client_id": "m2m_1",
        "client_name": "Client 1",
        "organization": "default",
        "request_id": "r-1",
        "ip": "192.0.2.1",
        "detail": {"scopes": ["a:read"], "count": 1, "whole": True, "nothing": None},
    }


def test_what_an_event_has_not_is_null(connection: Connection) -> None:
    """An event about no client, by nobody's request."""
    (stored,) = as_written(connection, EventFilter(event="key.created"))

    shown = stored.as_json()
    absent = ("client_id", "client_name", "organization", "request_id", "ip")
    assert [shown[name] for name in absent] == [None] * 5
    assert (shown["actor"], shown["detail"]) == (
        {"type": "system", "id": "hourpass", "name": "Hourpass"},
        {},
    )


FILTERS: dict[str, tuple[EventFilter, list[int]]] = {
    "none": (EventFilter(), [0, 1, 2, 3, 4, 5, 6]),
    "client": (EventFilter(client_id="m2m_1"), [0, 2, 4, 6]),
    "client that is the start of another": (EventFilter(client_id="m2m_"), []),
    "event": (EventFilter(event="client.created"), [0, 1]),
    "issued tokens": (EventFilter(event="token.issued"), [2, 3]),
    "actor": (EventFilter(actor="7"), [0, 1, 4, 6]),
    "actor that is a client": (EventFilter(actor="m2m_1"), [2, 3]),
    "organization": (EventFilter(organization="acme"), [1, 3]),
    "since, inclusive": (EventFilter(since=NOW), [2, 3, 4, 5]),
    "until, exclusive": (EventFilter(until=NOW), [0, 1, 6]),
    "one microsecond": (EventFilter(since=NOW, until=NOW + A_MICROSECOND), [2, 3]),
    "nothing in between": (EventFilter(since=NOW, until=NOW), []),
    "all at once": (
        EventFilter(
            client_id="m2m_1",
            event="client.suspended",
            actor="7",
            organization="default",
            since=NOW,
        ),
        [4],
    ),
    "quotes are text": (EventFilter(client_id="' or 1=1 --"), []),
    "wildcards are text": (EventFilter(event="client.%"), []),
}


@pytest.mark.parametrize("named", FILTERS)
def test_filters(connection: Connection, named: str) -> None:
    """Each alone and all together; pages are in the order of time, whatever was written when."""
    wanted, numbers = FILTERS[named]

    oldest_first = store.following(connection, wanted, None, newest_id=2**62, limit=100)

    in_time = expected(*sorted(numbers, key=lambda n: (WRITTEN[n][0], n)))
    assert [facts(stored) for stored in oldest_first] == in_time
    newest_first = store.page(connection, wanted, limit=100)
    assert [facts(stored) for stored in newest_first] == in_time[::-1]


@pytest.mark.spec("contract", "HTTP", "Lists are keyset-paged, newest first")
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_add_up(connection: Connection, limit: int) -> None:
    """Each page begins after the last event of the one before."""
    found: list[StoredEvent] = []
    for _ in range(len(WRITTEN) + 1):
        before = Position.of(found[-1]) if found else None
        found += store.page(connection, EventFilter(), limit=limit, before=before)

    assert [facts(stored) for stored in found] == expected(6, *range(6))[::-1]


def test_an_export_of_any_size_fits_in_memory(installation: Installation) -> None:
    """Its events are read some at a time, and let go again."""
    database = installation.context.database
    event = AuditEvent(event=Event.CLIENT_UPDATED, origin=ADA, detail={"description": "x" * 2000})
    with database.write() as connection:
        for _ in range(20):
            store.record(connection, [event] * 500, NOW)

    tracemalloc.start()
    try:
        lines = json_lines(database, EventFilter(event="client.updated"), ADA)
        ids = [int(json.loads(line)["id"]) for line in lines]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(ids) == 10_000
    assert ids == sorted(ids)
    assert peak < 15_000_000  # of 20 MB and their copies
