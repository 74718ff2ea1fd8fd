"""Reading clients back: pages by keyset, filters, and when each last got a token."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from hourpass.server.audit.events import Actor
from hourpass.server.clients import lifecycle, store
from hourpass.server.clients.model import Client, Status
from hourpass.server.clients.secrets import ClientCredential
from hourpass.server.clients.store import ClientFilter
from hourpass.server.db import word_index
from hourpass.server.db.schema import usage
from hourpass.server.organizations import store as organizations
from hourpass.server.organizations.model import Organization
from support.installation import TESTER, Installation

NOW = datetime(2026, 2, 24, 12, 0, 0, 123456, tzinfo=UTC)
A_MICROSECOND = timedelta(microseconds=1)


def client(number: int, **more: object) -> Client:
    """The client with this number."""
    values: dict[str, object] = {
        "client_id": f"m2m_{number:020}",
        "organization": "default",
        "name": f"Client {number}",
        "description": "",
        "scopes": frozenset({"customers:read"}),
        "credentials": (ClientCredential(number.to_bytes(32, "big"), 1),),
        "created_at": NOW,
        "created_by": Actor("operator", "7", "Ada"),
    }
    return Client(**{**values, **more})  # type: ignore[arg-type]  # the names are Client's own


EVERY = [
    client(1),
    client(2, organization="acme", scopes=frozenset({"customers:read", "bookings:read"})),
    client(3, expires_at=NOW),
    client(4, expires_at=NOW + A_MICROSECOND),
    client(5, suspended_at=NOW - timedelta(days=1)),
    client(6, suspended_at=NOW, expires_at=NOW - A_MICROSECOND),
    client(7, suspended_at=NOW, expires_at=NOW + timedelta(days=3650), organization="acme"),
    client(8, scopes=frozenset({"bookings:read"}), secret_rotated_at=NOW, token_generation=9),
    client(9, expires_at=NOW + timedelta(days=1), scopes=frozenset({"bookings:read"})),
    client(10, limit_per_minute=1_000_000),
]


@pytest.fixture(scope="module")
def home(home: Installation) -> Installation:
    """With the clients above, which these tests only read."""
    with home.context.database.write() as connection:
        acme = Organization(id="acme", name="Acme", created_at=NOW)
        organizations.add(connection, acme)
        for each in EVERY:
            store.add(connection, each)
    return home


def pages(home: Installation, wanted: ClientFilter, limit: int) -> list[list[Client]]:
    """Every page, first to last."""
    found: list[list[Client]] = []
    before: int | None = None
    with home.context.database.read() as connection:
        while len(found) <= len(EVERY):
            page, before = store.page(connection, wanted, NOW, limit=limit, before=before)
            found.append(page)
            if before is None:
                return found
    raise AssertionError("the pages do not end")


def test_a_client_reads_back_as_it_was_written(home: Installation) -> None:
    """Every member, times to the microsecond, one by one and many at once."""
    with home.context.database.read() as connection:
        assert [store.get(connection, each.client_id) for each in EVERY] == EVERY
        many = store.get_many(connection, [each.client_id for each in EVERY[:3]] + ["nobody"])
    assert many == {each.client_id: each for each in EVERY[:3]}


def test_no_clients_are_asked_for_and_none_found(home: Installation) -> None:
    """An empty list is no list of all."""
    with home.context.database.read() as connection:
        assert store.get_many(connection, []) == {}
        assert store.last_token_at(connection, []) == {}


@pytest.mark.spec("contract", "HTTP", "Lists are keyset-paged, newest first")
@pytest.mark.parametrize("limit", range(1, 11))
def test_pages_of_any_size_add_up_to_the_whole_newest_first(home: Installation, limit: int) -> None:
    """None is missing, none is there twice, and only the last page may be short."""
    found = pages(home, ClientFilter(), limit)

    assert [each for page in found for each in page] == EVERY[::-1]
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert 1 <= len(found[-1]) <= limit


STATUSES: list[Status | None] = [None, *Status]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("scope", [None, "bookings:read", "nobody:has", "BOOKINGS:READ", "book%"])
@pytest.mark.parametrize("organization", [None, "default", "acme", "nowhere"])
def test_filters_agree_with_the_model(
    home: Installation, status: Status | None, scope: str | None, organization: str | None
) -> None:
    """SQL's status is the model's, at the very moment of expiry too; filters are all at once."""
    wanted = ClientFilter(status=status, scope=scope, organization=organization)
    expected = [
        each
        for each in EVERY[::-1]
        if status in (None, each.status(NOW))
        and (scope is None or scope in each.scopes)
        and organization in (None, each.organization)
    ]

    assert [each for page in pages(home, wanted, 2) for each in page] == expected


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("days", [0, 1, 2, 4000])
@pytest.mark.parametrize("organization", [None, "acme"])
def test_those_that_expire_soon_are_found(
    home: Installation,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    days: int,
    organization: str | None,
) -> None:
    """Not the expired, not those without an end, not those that end at that very moment."""
    monkeypatch.setattr(word_index, "_FEW", few)  # both ways to ask for them
    until = NOW + timedelta(days=days)
    expected = [
        each
        for each in EVERY[::-1]
        if each.expires_at is not None
        and NOW < each.expires_at < until
        and organization in (None, each.organization)
    ]
    wanted = ClientFilter(expires_before=until, organization=organization)

    assert [each for page in pages(home, wanted, 2) for each in page] == expected


def test_what_happens_between_two_pages_shifts_nothing(installation: Installation) -> None:
    """A client made meanwhile is not on the second page; a deleted one makes no gap."""
    database = installation.context.database
    made = [installation.create_client("customers:read").client_id for _ in range(6)]
    with database.read() as connection:
        first, before = store.page(connection, ClientFilter(), NOW, limit=3)
    installation.create_client("customers:read")
    lifecycle.delete(database, made[3], TESTER)
    lifecycle.delete(database, made[1], TESTER)

    with database.read() as connection:
        second, end = store.page(connection, ClientFilter(), NOW, limit=3, before=before)

    assert [each.client_id for each in first] == made[:2:-1]
    assert [each.client_id for each in second] == [made[2], made[0]]
    assert end is None


def test_last_token_at_is_the_latest_of_all_hours(installation: Installation) -> None:
    """Hours with refusals only do not count; a client without tokens is left out."""
    got, refused, never = (installation.create_client("customers:read").client_id for _ in range(3))
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    rows = [
        (got, hour - timedelta(hours=2), 5, NOW - timedelta(hours=2)),
        (got, hour - timedelta(hours=1), 1, NOW - timedelta(hours=1)),
        (got, hour, 0, None),
        (refused, hour, 0, None),
    ]
    with installation.context.database.write() as connection:
        for client_id, at, issued, last in rows:
            connection.execute(
                insert(usage).values(
                    client_id=client_id, hour=at, issued=issued, refused=3, last_issued_at=last
                )
            )

    with installation.context.database.read() as connection:
        found = store.last_token_at(connection, [got, refused, never])

    assert found == {got: NOW - timedelta(hours=1)}
