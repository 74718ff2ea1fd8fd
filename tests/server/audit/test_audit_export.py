"""The trail as JSON lines: every event once, each on a line of its own."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from dated import DatedDatabase

from hourpass.server.audit import store
from hourpass.server.audit.events import AuditEvent, Event, rfc3339
from hourpass.server.audit.export import json_lines
from hourpass.server.audit.store import EventFilter
from hourpass.server.clients import lifecycle
from support.audit_trail import as_written
from support.installation import TESTER, Installation, Server


def exported(installation: Installation, wanted: EventFilter) -> list[dict[str, object]]:
    """The lines, read back."""
    lines = list(json_lines(installation.context.database, wanted, TESTER))
    return [json.loads(line) for line in lines]


def test_the_lines_are_the_events_oldest_first(installation: Installation) -> None:
    """In the management API's shape, the export itself being the last of them."""
    made = installation.create_client("customers:read")
    lifecycle.suspend(installation.context.database, made.client_id, TESTER)

    lines = exported(installation, EventFilter())

    assert lines == installation.events()
    assert [line["event"] for line in lines[-3:]] == [
        "client.created",
        "client.suspended",
        "audit.exported",
    ]


def test_an_export_is_on_record_with_its_filters(installation: Installation) -> None:
    """Who looked, and at what; filters that were not set are left out."""
    made = installation.create_client("customers:read")
    wanted = EventFilter(client_id=made.client_id, event="client.created", actor="tester")

    lines = exported(installation, wanted)

    assert [line["client_id"] for line in lines] == [made.client_id]
    (event,) = installation.events(event="audit.exported")
    assert event["actor"] == {"type": "cli", "id": "tester", "name": "Tester"}
    assert event["detail"] == {
        "client_id": made.client_id,
        "event": "client.created",
        "actor": "tester",
    }


def test_the_times_of_a_filter_are_on_record_too(installation: Installation) -> None:
    """As RFC 3339."""
    (created, *_) = installation.events()
    with installation.context.database.read() as connection:
        first = as_written(connection, EventFilter())[0]

    exported(installation, EventFilter(since=first.time, until=first.time))

    (event,) = installation.events(event="audit.exported")
    assert event["detail"] == {"since": created["time"], "until": created["time"]}


@pytest.mark.spec("threats", "18", "names with markup, RTL override, CR/LF or escape codes")
@pytest.mark.parametrize(
    "words", ['"quoted"', "a\\b", "line\u2028separator", "\x85", "</script>", "予約 \U0001f550"]
)
def test_a_line_is_one_line_whatever_is_in_it(installation: Installation, words: str) -> None:
    """Text that slipped into a detail can end neither the line nor the JSON."""
    event = AuditEvent(event=Event.CLIENT_UPDATED, origin=TESTER, detail={"name": words + "\n\r"})
    with installation.context.database.write() as connection:
        store.record(connection, [event], installation.context.database.now(connection))

    wanted = EventFilter(event="client.updated")
    (line,) = json_lines(installation.context.database, wanted, TESTER)

    assert json.loads(line)["detail"] == {"name": words + "\n\r"}
    assert "\n" not in line
    assert "\r" not in line


def test_nothing_is_exported_without_being_on_record(installation: Installation) -> None:
    """The event is there before the first line is."""
    lines = json_lines(installation.context.database, EventFilter(), TESTER)
    assert installation.events(event="audit.exported") == []

    next(lines)

    assert len(installation.events(event="audit.exported")) == 1
    lines.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_range_while_tokens_are_issued_is_exactly_that_range(server: Server) -> None:
    """Two and a half thousand events among others; and up to now, each that was there before."""
    installation = server.installation
    database = DatedDatabase.of(installation.context.database)
    since = database.clock[0] - timedelta(days=40)
    moments = [since + number * timedelta(seconds=1) for number in range(2600)]
    database.write_at(moments)
    credentials = installation.create_client("customers:read")
    over = threading.Event()

    def ask() -> int:
        count = 0
        while not over.is_set():
            assert server.token(credentials).status_code == 200
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            wanted = EventFilter(since=moments[50], until=moments[2550])
            lines = list(json_lines(database, wanted, TESTER))
            before = [number for number, _ in database.issued()]
            open_end = EventFilter(since=moments[2550])
            later = list(json_lines(installation.context.database, open_end, TESTER))
        finally:
            over.set()
        assert asking.result(30) > 0

    assert [json.loads(line)["time"] for line in lines] == [
        rfc3339(moment) for moment in moments[50:2550]
    ]
    exported = [int(json.loads(line)["id"]) for line in later]
    assert len(set(exported)) == len(exported)
    assert set(exported) >= {number for number in before if number > max(before[:2600])}
    assert "audit.exported" in {json.loads(line)["event"] for line in later}


def test_an_export_holds_no_transaction_between_its_reads(installation: Installation) -> None:
    """However slowly somebody reads, nothing in the database waits for them."""
    database = DatedDatabase.of(installation.context.database)
    database.write_at([database.clock[0]] * 1500)
    lines = json_lines(database, EventFilter(), TESTER)

    next(lines)

    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue's
    assert len(list(lines)) > 1500
