"""The life of a client over HTTP: every answer, and what the server does after it."""

from datetime import UTC, datetime, timedelta

import pytest
from api_caller import EVERY_SCOPE, Caller, new_organization, problem

from support.installation import Credentials, Server

CLIENT = {
    "client_id",
    "name",
    "description",
    "scopes",
    "status",
    "organization",
    "created_at",
    "created_by",
    "expires_at",
    "suspended_at",
    "secret_rotated_at",
    "last_token_at",
    "limit_per_minute",
}


@pytest.fixture
def caller(shared_server: Server) -> Caller:
    """A back office in an organization of its own."""
    home = new_organization(shared_server.installation)
    return Caller(shared_server, *EVERY_SCOPE[:3], organization=home)


@pytest.mark.spec("contract", "HTTP", "201 client + `client_secret`")
def test_a_created_client_gets_tokens(caller: Caller) -> None:
    """It has every member, and its secret works."""
    body = {
        "name": "  CRM sync ",
        "description": "Ask Ada",
        "scopes": ["customers:read", "bookings:read", "bookings:read"],
        "expires_in_days": 30,
    }

    answer = caller("POST", "/clients", json=body)

    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    made = answer.json()
    assert made.keys() == CLIENT | {"client_secret"}
    assert made["name"] == "CRM sync"
    assert made["description"] == "Ask Ada"
    assert made["scopes"] == ["bookings:read", "customers:read"]
    assert made["status"] == "active"
    assert made["organization"] == caller.organization
    assert made["created_by"] == {
        "type": "client",
        "id": caller.credentials.client_id,
        "name": "Back office",
    }
    expires = datetime.fromisoformat(made["expires_at"])
    assert expires - datetime.now(UTC) > timedelta(days=29)
    credentials = Credentials(made["client_id"], made["client_secret"])
    assert caller.server.token(credentials).status_code == 200


def test_a_limit_is_set_changed_and_taken_away(caller: Caller) -> None:
    """At creation or later; null is the API's own, and what is left out stays."""
    new = {"name": "CRM sync", "scopes": ["customers:read"]}
    made = caller("POST", "/clients", json={**new, "limit_per_minute": 60}).json()
    path = f"/clients/{made['client_id']}"

    assert made["limit_per_minute"] == caller("GET", path).json()["limit_per_minute"] == 60
    assert caller("PATCH", path, json={"name": "Other"}).json()["limit_per_minute"] == 60
    changed = caller("PATCH", path, json={"limit_per_minute": 1_000_000})
    assert changed.json()["limit_per_minute"] == 1_000_000
    assert changed.headers["etag"] == '"3"'
    assert caller("PATCH", path, json={"limit_per_minute": None}).json()["limit_per_minute"] is None
    assert caller("POST", "/clients", json=new).json()["limit_per_minute"] is None
    events = caller("GET", "/audit-events", params={"client_id": made["client_id"]}).json()["items"]
    assert [(event["event"], event["detail"].get("limit_per_minute")) for event in events] == [
        ("client.updated", None),
        ("client.updated", 1_000_000),
        ("client.updated", None),
        ("client.created", 60),
    ]
    assert "limit_per_minute" in events[0]["detail"]
    assert "limit_per_minute" not in events[2]["detail"]


@pytest.mark.spec("threats", "14", "A secret appears in one answer only")
def test_a_secret_is_in_no_other_answer(caller: Caller) -> None:
    """Not in the client, the lists, the audit trail or its export."""
    made = caller.create("customers:read")
    path = f"/clients/{made.client_id}"
    rotated = caller("POST", f"{path}/rotate-secret").json()["client_secret"]
    answers = [
        caller("GET", path),
        caller("GET", "/clients"),
        caller("PATCH", path, json={"name": "New"}),
        caller("POST", f"{path}/suspend"),
        caller("POST", f"{path}/activate"),
        caller("GET", f"{path}/usage"),
        caller("GET", "/audit-events", params={"client_id": made.client_id}),
        caller("GET", "/audit-events/export"),
        caller("GET", "/audit-events/export", params={"format": "csv"}),
    ]

    for answer in answers:
        assert answer.status_code == 200
        assert made.client_id in answer.text
        assert made.secret not in answer.text
        assert rotated not in answer.text
        assert "hps_" not in answer.text
    log = caller.server.log.read_text()
    assert made.secret not in log
    assert rotated not in log


def test_a_change_is_what_is_read_afterwards(caller: Caller) -> None:
    """What is left out stays; the ETag moves on; an empty change changes nothing."""
    made = caller.create("customers:read", description="Before")
    path = f"/clients/{made.client_id}"
    first = caller("GET", path)

    changed = caller("PATCH", path, json={"name": "Renamed"})

    assert changed.json() == {**first.json(), "name": "Renamed"}
    again = caller("GET", path)
    assert again.json() == changed.json()
    assert again.headers["etag"] == changed.headers["etag"] != first.headers["etag"]
    assert caller("PATCH", path, json={}).headers["etag"] == again.headers["etag"]


@pytest.mark.spec("contract", "HTTP", "`If-Match` required with `scopes` (428), stale is 412")
def test_two_editors_cannot_undo_each_other(caller: Caller) -> None:
    """The second one to write is told, and nothing of its change is done."""
    made = caller.create("customers:read")
    path = f"/clients/{made.client_id}"
    seen = {"If-Match": caller("GET", path).headers["etag"]}
    hers = {"scopes": ["customers:read", "bookings:read"]}
    his = {"scopes": ["profile:write"], "name": "His"}

    blind = caller("PATCH", path, json=hers)
    first = caller("PATCH", path, json=hers, headers=seen)
    second = caller("PATCH", path, json=his, headers=seen)

    assert problem(blind) == (428, "precondition-required")
    assert first.json()["scopes"] == ["bookings:read", "customers:read"]
    assert problem(second) == (412, "precondition-failed")
    now = caller("GET", path)
    assert now.json() == first.json()
    tags = f'"900", {now.headers["etag"]}'
    assert caller("PATCH", path, json=his, headers={"If-Match": tags}).status_code == 200
    assert caller("PATCH", path, json=hers, headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize("tag", ["", "1", 'W/"1"', '"x"', '"1"x', "*, *", '"9999999999999999999"'])
def test_a_tag_that_is_not_the_clients_never_matches(tag: str, caller: Caller) -> None:
    """Weak, unquoted or odd tags compare unequal, and are no error of their own."""
    made = caller.create("customers:read")

    answer = caller(
        "PATCH", f"/clients/{made.client_id}", json={"name": "x"}, headers={"If-Match": tag}
    )

    assert problem(answer) == (412, "precondition-failed")


def test_rotating_ends_the_old_secret(caller: Caller) -> None:
    """At once, and with the live tokens when asked to."""
    made = caller.create("hourpass.clients:read")
    old = caller.server.token(made).json()["access_token"]

    answer = caller(
        "POST", f"/clients/{made.client_id}/rotate-secret", json={"revoke_live_tokens": True}
    )

    assert answer.status_code == 200
    assert answer.json().keys() == {"client_id", "client_secret"}
    assert caller.server.token(made).status_code == 401
    renewed = Credentials(made.client_id, answer.json()["client_secret"])
    assert caller.server.token(renewed).status_code == 200
    assert problem(caller("GET", "/clients", token=old)) == (401, "invalid-token")


def test_suspending_and_activating(caller: Caller) -> None:
    """The status says so, and the token endpoint does."""
    made = caller.create("customers:read")
    path = f"/clients/{made.client_id}"

    suspended = caller("POST", f"{path}/suspend", json={})
    refused = caller.server.token(made)
    activated = caller("POST", f"{path}/activate")

    assert suspended.json()["status"] == "suspended"
    assert suspended.json()["suspended_at"] is not None
    assert refused.json()["reason"] == "suspended"
    assert activated.json()["status"] == "active"
    assert caller.server.token(made).status_code == 200


def test_revoking_tokens_needs_no_suspension(caller: Caller) -> None:
    """New tokens are good, the ones before are not."""
    made = caller.create("hourpass.clients:read")
    old = caller.server.token(made).json()["access_token"]

    assert caller("POST", f"/clients/{made.client_id}/revoke-tokens").status_code == 200

    assert caller("GET", "/clients", token=old).status_code == 401
    new = caller.server.token(made).json()["access_token"]
    assert caller("GET", "/clients", token=new).status_code == 200


def test_a_deleted_client_is_gone_but_for_its_trail(caller: Caller) -> None:
    """404 by every way, and no token."""
    made = caller.create("customers:read")
    path = f"/clients/{made.client_id}"

    answer = caller("DELETE", path)

    assert (answer.status_code, answer.content) == (204, b"")
    for method, where in [("GET", path), ("DELETE", path), ("POST", f"{path}/rotate-secret")]:
        assert problem(caller(method, where)) == (404, "not-found")
    assert caller.server.token(made).status_code == 401
    events = caller.every("/audit-events", client_id=made.client_id)
    assert [event["event"] for event in events][-2:] == ["client.deleted", "client.created"]


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"name": "x", "scopes": ["customers:read"], "limit_per_minute": 0}, "limit_per_minute"),
        ({"name": "x", "scopes": ["customers:read"], "limit_per_minute": True}, "limit_per_minute"),
        (
            {"name": "x", "scopes": ["customers:read"], "limit_per_minute": 10**7},
            "limit_per_minute",
        ),
        ({"name": "", "scopes": ["customers:read"]}, "name"),
        ({"name": " ", "scopes": ["customers:read"]}, "name"),
        ({"name": "x" * 101, "scopes": ["customers:read"]}, "name"),
        ({"name": "a\u202eb", "scopes": ["customers:read"]}, "name"),
        ({"name": "a\u0000b", "scopes": ["customers:read"]}, "name"),
        ({"name": 7, "scopes": ["customers:read"]}, "name"),
        ({"scopes": ["customers:read"]}, "name"),
        ({"name": "x"}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": "customers:read"}, "scopes"),
        ({"name": "x", "scopes": ["no:such"]}, "scopes"),
        ({"name": "x", "scopes": ["CUSTOMERS:READ"]}, "scopes"),
        ({"name": "x", "scopes": ["a\u0000b"]}, "scopes"),
        ({"name": "x", "scopes": ["customers:read"], "expires_in_days": 0}, "expires_in_days"),
        ({"name": "x", "scopes": ["customers:read"], "expires_in_days": 3651}, "expires_in_days"),
        ({"name": "x", "scopes": ["customers:read"], "expires_in_days": "1"}, "expires_in_days"),
        ({"name": "x", "scopes": ["customers:read"], "expires_in_days": True}, "expires_in_days"),
        ({"name": "x", "scopes": ["customers:read"], "description": "x" * 1001}, "description"),
        ({"name": "x", "scopes": ["customers:read"], "organization": "A B"}, "organization"),
        ({"name": "x", "scopes": ["customers:read"], "client_id": "m2m_mine"}, "client_id"),
        ({"name": "x", "scopes": ["customers:read"], "client_secret": "mine"}, "client_secret"),
        ({"name": "x", "scopes": ["customers:read"], "created_by": None}, "created_by"),
    ],
)
@pytest.mark.spec("threats", "15", "No mass assignment")
def test_a_value_that_cannot_be_accepted_is_named(
    body: dict[str, object], member: str, caller: Caller
) -> None:
    """422 says which member; unknown members are refused, nobody chooses ID or secret."""
    answer = caller("POST", "/clients", json=body)

    assert problem(answer) == (422, "invalid-input")
    assert member in {error["member"].partition(".")[0] for error in answer.json()["errors"]}
    assert len(caller.every("/clients")) == 1


def test_an_expired_client_stays_expired(caller: Caller) -> None:
    """Rotating and activating it are 409, and say what to do."""
    from sqlalchemy import update

    from hourpass.server.db.columns import EPOCH
    from hourpass.server.db.schema import client

    made = caller.create("customers:read", expires_in_days=1)
    with caller.server.installation.context.database.write() as connection:
        connection.execute(
            update(client).where(client.c.client_id == made.client_id).values(expires_at=EPOCH)
        )

    for deed in ("rotate-secret", "activate"):
        answer = caller("POST", f"/clients/{made.client_id}/{deed}")
        assert problem(answer) == (409, "conflict")
        assert "create a new one" in answer.json()["detail"]
    assert caller("GET", f"/clients/{made.client_id}").json()["status"] == "expired"


def test_usage_says_what_was_issued_and_refused(caller: Caller) -> None:
    """By hour and by day; the sums may lag, the periods are all there."""
    import time

    made = caller.create("customers:read")
    caller.server.token(made)
    caller.server.token(made, scope="no:such")
    deadline = time.monotonic() + 15
    path = f"/clients/{made.client_id}/usage"
    while True:
        hours = caller("GET", path).json()
        if sum(item["issued"] + item["refused"] for item in hours["items"]) == 2:
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    days = caller("GET", path, params={"per": "day"}).json()

    assert len(hours["items"]) == 24
    assert len(days["items"]) == 30
    assert {"issued": 1, "refused": 1}.items() <= hours["items"][-1].items()
    assert {"issued": 1, "refused": 1}.items() <= days["items"][-1].items()
    assert hours["client_id"] == made.client_id
    day = hours["items"][0]["begins_at"][:10]
    whole = {"since": f"{day}T00:00:00Z", "until": f"{day}T02:30:00Z"}
    asked = caller("GET", path, params=whole).json()["items"]
    assert [item["begins_at"][11:16] for item in asked] == ["00:00", "01:00", "02:00"]
    long = {"since": "1971-01-01T00:00:00Z", "until": f"{day}T00:30:00Z"}
    last = caller("GET", path, params=long).json()["items"]
    assert len(last) == 744
    assert last[-1]["begins_at"] == f"{day}T00:00:00.000000Z"


def test_old_usage_is_told_by_the_day_only(caller: Caller) -> None:
    """By the hour it is refused, in words that say what to ask instead."""
    made = caller.create("customers:read")
    path = f"/clients/{made.client_id}/usage"
    old = {"since": "2026-01-01T05:00:00Z", "until": "2026-01-02T02:30:00Z"}

    hours = caller("GET", path, params=old)
    ended = caller("GET", path, params={"until": old["until"]})
    days = caller("GET", path, params={**old, "per": "day"})

    assert problem(hours) == problem(ended) == (422, "invalid-input")
    assert [fault["member"] for fault in hours.json()["errors"]] == ["since"]
    assert [fault["member"] for fault in ended.json()["errors"]] == ["until"]
    assert "per=day" in hours.text
    assert [item["begins_at"][:10] for item in days.json()["items"]] == ["2026-01-01", "2026-01-02"]
