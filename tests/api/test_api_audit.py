"""The audit trail over HTTP: who, from where, under which request; filters and exports."""

import csv
import io
import json
from datetime import datetime, timedelta

import pytest
from api_caller import EVERY_SCOPE, WITHIN_ONE, Caller, new_organization, problem

from hourpass.server.audit import export
from support.installation import Server


@pytest.fixture
def caller(shared_server: Server) -> Caller:
    """A back office in an organization of its own."""
    home = new_organization(shared_server.installation)
    return Caller(shared_server, *WITHIN_ONE, organization=home)


def rows(text: str) -> list[dict[str, str]]:
    """A CSV export, read back."""
    return list(csv.DictReader(io.StringIO(text)))


def test_a_deed_over_the_api_is_on_record(caller: Caller) -> None:
    """With the client as actor, the address, and the request ID of the answer."""
    answer = caller("POST", "/clients", json={"name": "x", "scopes": ["customers:read"]})

    (event,) = caller.every("/audit-events", event="client.created", actor=_id(caller))
    assert event["actor"] == {"type": "client", "id": _id(caller), "name": "Back office"}
    assert event["request_id"] == answer.headers["x-request-id"]
    assert event["ip"].startswith("127.0.")
    assert event["client_id"] == answer.json()["client_id"]
    assert event["organization"] == caller.organization


def _id(caller: Caller) -> str:
    return caller.credentials.client_id


def test_the_trail_is_filtered_and_paged(caller: Caller) -> None:
    """Newest first; `since` is inclusive, `until` exclusive; every page once."""
    made = caller.create("customers:read")
    for deed in ("suspend", "activate", "revoke-tokens"):
        caller("POST", f"/clients/{made.client_id}/{deed}")

    events = caller.every("/audit-events", client_id=made.client_id, limit=1)

    assert [event["event"] for event in events] == [
        "client.tokens_revoked",
        "client.activated",
        "client.suspended",
        "client.created",
    ]
    middle = events[1]["time"]
    wanted = {"client_id": made.client_id}
    assert caller.every("/audit-events", **wanted, since=middle) == events[:2]
    assert caller.every("/audit-events", **wanted, until=middle) == events[2:]
    assert caller.every("/audit-events", **wanted, event="client.suspended") == [events[2]]
    assert caller.every("/audit-events", **wanted, actor="nobody") == []
    zoned = datetime.fromisoformat(middle) + timedelta(0)
    local = zoned.isoformat().replace("+00:00", "+00:00")
    assert caller.every("/audit-events", **wanted, since=local) == events[:2]


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"since": "2026-01-01"},
        {"since": "2026-01-01T00:00:00"},
        {"since": "2026-13-01T00:00:00Z"},
        {"until": "1767225600"},
        {"event": "client.exploded"},
        {"actor": ""},
        {"client_id": "x" * 101},
        {"limit": "-1"},
    ],
)
def test_a_filter_that_means_nothing_is_refused(query: dict[str, str], caller: Caller) -> None:
    """A time needs a zone, an event a name that exists."""
    for path in ("/audit-events", "/audit-events/export"):
        assert problem(caller("GET", path, params=query)) == (422, "invalid-input")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_moment_beyond_all_events_is_no_error(moment: str, caller: Caller) -> None:
    """Nothing is older or younger than what there is."""
    for name in ("since", "until"):
        assert caller("GET", "/audit-events", params={name: moment}).status_code == 200


@pytest.mark.parametrize("text", ["a\x00b", "\u202e", "' or 1=1 --", "%"])
def test_a_filter_is_only_text(text: str, caller: Caller) -> None:
    """Whatever is in it, it finds nothing and harms nothing."""
    for name in ("actor", "client_id"):
        answer = caller("GET", "/audit-events", params={name: text})
        assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_json_lines_are_the_events_oldest_first(caller: Caller) -> None:
    """The same shape as in the list; the export itself is the last line."""
    caller.create("customers:read")

    answer = caller("GET", "/audit-events/export")

    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.headers["content-disposition"] == "attachment; filename=audit-events.jsonl"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == list(reversed(caller.every("/audit-events")))
    assert lines[-1]["event"] == "audit.exported"
    assert lines[-1]["organization"] == caller.organization


@pytest.mark.spec("threats", "18", "names with markup, RTL override, CR/LF")
@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "|calc", "\uff1d1", '="a",b\''])
def test_no_cell_of_a_csv_is_a_formula(name: str, caller: Caller) -> None:
    """What begins like one has a quote before it; everything else is as it was."""
    made = caller.create("customers:read", name=name, description="x,\ny")
    path = f"/audit-events/export?format=csv&client_id={made.client_id}"

    answer = caller("GET", path)

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = rows(answer.text)
    assert row["client_name"] == "'" + name
    assert row["actor_name"] == "Back office"
    assert tuple(row) == export.COLUMNS
    assert row["event"] == "client.created"
    assert json.loads(row["detail"])["scopes"] == ["customers:read"]


def test_an_export_goes_on_over_many_batches(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event twice and none left out, also when others write meanwhile."""
    monkeypatch.setattr(export, "_AT_ONCE", 3)
    for _ in range(8):
        caller.create("customers:read")
    from hourpass.server.audit.store import EventFilter
    from support.installation import TESTER

    wanted = EventFilter(organization=caller.organization)
    database = caller.server.installation.context.database

    lines = export.json_lines(database, wanted, TESTER)
    first = json.loads(next(lines))
    caller.create("customers:read", name="Late")
    numbers = [int(first["id"]), *(int(json.loads(line)["id"]) for line in lines)]

    assert numbers == sorted(set(numbers))
    events = [int(event["id"]) for event in reversed(caller.every("/audit-events"))]
    assert numbers == [number for number in events if number <= numbers[-1]]
    assert len(events) > len(numbers) >= 8


def test_what_belongs_to_no_organization_is_for_those_who_see_all(shared_server: Server) -> None:
    """A signing key's events are not shown within one organization."""
    everywhere = Caller(shared_server, *EVERY_SCOPE)
    home = new_organization(shared_server.installation)
    within = Caller(shared_server, *WITHIN_ONE, organization=home)
    for caller, seen in ((everywhere, True), (within, False)):
        events = caller.every("/audit-events", event="key.created")
        assert bool(events) is seen
