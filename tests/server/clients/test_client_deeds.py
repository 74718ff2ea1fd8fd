"""The deeds on clients, on both databases: row and audit event stand or fall together."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from failing_audit import failing_audit
from sqlalchemy import MetaData, Table, select, text
from sqlalchemy.exc import DBAPIError

from hourpass.server.clients import lifecycle, store
from hourpass.server.clients.lifecycle import NewClient, NotFound
from hourpass.server.clients.model import Client, Status
from hourpass.server.clients.secrets import proves
from hourpass.server.db.engine import Database
from hourpass.server.db.schema import client as client_table
from hourpass.server.refused import Conflict
from support.installation import TESTER, Installation

Deed = Callable[[Database, str], object]


def rotate(home: Installation, client_id: str, *, revoke: bool = False) -> lifecycle.WithSecret:
    """A new secret, by the tester."""
    context = home.context
    return lifecycle.rotate_secret(
        context.database, context.keyring(), client_id, TESTER, revoke_live_tokens=revoke
    )


def suspended(home: Installation) -> str:
    """The ID of a client that is suspended already."""
    client_id = home.create_client("customers:read").client_id
    lifecycle.suspend(home.context.database, client_id, TESTER)
    return client_id


DEEDS: dict[str, tuple[str, Callable[[Installation, str], object]]] = {
    "update": (
        "client.updated",
        lambda home, it: lifecycle.update(home.context.database, it, TESTER, name="Renamed"),
    ),
    "set_scopes": (
        "client.scopes_changed",
        lambda home, it: lifecycle.set_scopes(
            home.context.database, it, frozenset({"bookings:read"}), TESTER
        ),
    ),
    "rotate_secret": ("client.secret_rotated", rotate),
    "suspend": (
        "client.suspended",
        lambda home, it: lifecycle.suspend(home.context.database, it, TESTER),
    ),
    "revoke_tokens": (
        "client.tokens_revoked",
        lambda home, it: lifecycle.revoke_tokens(home.context.database, it, TESTER),
    ),
    "delete": (
        "client.deleted",
        lambda home, it: lifecycle.delete(home.context.database, it, TESTER),
    ),
    "activate": (
        "client.activated",
        lambda home, it: lifecycle.activate(home.context.database, it, TESTER),
    ),
}


def ready_for(deed: str, home: Installation) -> str:
    """The ID of a client that the deed will change."""
    return suspended(home) if deed == "activate" else home.create_client("customers:read").client_id


@pytest.mark.spec("contract", "Audit events", "The row is written in the transaction")
@pytest.mark.parametrize("deed", DEEDS)
def test_each_deed_writes_exactly_one_event(home: Installation, deed: str) -> None:
    """It names the client, the one who did it, the request and the address."""
    client_id = ready_for(deed, home)
    before = len(home.events(client_id=client_id))
    event, do = DEEDS[deed]

    do(home, client_id)

    (written,) = home.events(client_id=client_id)[before:]
    assert written["event"] == event
    assert written["actor"] == {"type": "cli", "id": "tester", "name": "Tester"}
    assert written["organization"] == "default"
    assert written["client_name"] == ("Renamed" if deed == "update" else "Test client")
    assert (written["request_id"], written["ip"]) == ("test", "192.0.2.1")


@pytest.mark.spec("contract", "Audit events", "The row is written in the transaction")
@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_that_cannot_be_audited_did_not_happen(
    installation: Installation, deed: str
) -> None:
    """A trigger makes the audit insert fail: the client is as it was, and no event is there."""
    client_id = ready_for(deed, installation)
    before = installation.stored(client_id)
    events = installation.events()

    with failing_audit(installation), pytest.raises(DBAPIError, match="no audit today"):
        DEEDS[deed][1](installation, client_id)

    assert installation.stored(client_id) == before
    assert installation.events() == events
    DEEDS[deed][1](installation, client_id)
    assert len(installation.events()) == len(events) + 1


def test_a_creation_that_cannot_be_audited_did_not_happen(installation: Installation) -> None:
    """No row of it stays in any table."""
    with failing_audit(installation), pytest.raises(DBAPIError, match="no audit today"):
        installation.create_client("customers:read")

    with installation.context.database.read() as connection:
        for table in ("client", "client_scope", "client_credential"):
            assert connection.execute(text(f"select count(*) from {table}")).scalar_one() == 0
    assert [e for e in installation.events() if e["event"] == "client.created"] == []


@pytest.mark.spec("contract", "Credentials", "Shown once; stored as HMAC-SHA-256(pepper, secret)")
def test_a_created_client_is_what_was_asked_for(home: Installation) -> None:
    """Row, event and answer agree; the secret proves itself against the row."""
    made = home.create(
        NewClient(
            name="  CRM sync ",
            scopes=frozenset({"customers:read", "invoices:read"}),
            description="Nightly",
            expires_in_days=30,
        )
    )
    client = home.stored(made.client.client_id)

    assert client == made.client
    assert (client.name, client.description) == ("CRM sync", "Nightly")
    assert client.expires_at == client.created_at + timedelta(days=30)
    assert client.created_by == TESTER.actor
    assert abs(client.created_at - datetime.now(UTC)) < timedelta(seconds=60)
    assert proves(made.secret, client.credentials, home.context.keyring().peppers)
    (event,) = home.events(client_id=client.client_id)
    assert event["event"] == "client.created"
    assert event["detail"] == {
        "scopes": ["customers:read", "invoices:read"],
        "expires_at": client.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


@pytest.mark.spec("seed", "Secret rotation", "This immediately invalidates the old secret.")
@pytest.mark.spec("seed", "Secret rotation", "The client ID does not change.")
def test_rotation_replaces_the_secret_and_nothing_else(home: Installation) -> None:
    """The new one proves itself, the old one does not; live tokens stay unless revoked too."""
    made = home.create(NewClient(name="Sync", scopes=frozenset({"customers:read"})))
    client_id = made.client.client_id

    rotated = rotate(home, client_id)

    client, peppers = home.stored(client_id), home.context.keyring().peppers
    assert client == rotated.client
    assert proves(rotated.secret, client.credentials, peppers)
    assert not proves(made.secret, client.credentials, peppers)
    assert len(client.credentials) == 1
    assert client.secret_rotated_at is not None
    assert client.token_generation == made.client.token_generation
    assert rotate(home, client_id, revoke=True).client.token_generation == 2
    assert [e["detail"] for e in home.events(client_id=client_id)[1:]] == [
        {"revoke_live_tokens": False},
        {"revoke_live_tokens": True},
    ]


@pytest.mark.spec("contract", "Lifecycle", "a suspended client's secret can be rotated")
def test_a_suspended_client_can_be_rotated_and_stays_suspended(home: Installation) -> None:
    """A leak is stopped first, and repaired afterwards."""
    client_id = suspended(home)

    rotate(home, client_id)

    assert home.stored(client_id).status(datetime.now(UTC)) is Status.SUSPENDED


@pytest.mark.spec("seed", "Client lifecycle", "Deleted: Permanently removed. Cannot be recovered.")
def test_a_deleted_client_is_gone_and_its_trail_stays(home: Installation) -> None:
    """No row in any table names it, except the audit trail."""
    client_id = home.create_client("customers:read").client_id
    with home.context.database.read() as connection:
        seq = connection.execute(
            select(client_table.c.seq).where(client_table.c.client_id == client_id)
        ).scalar_one()

    lifecycle.delete(home.context.database, client_id, TESTER)

    with home.context.database.read() as connection:
        assert store.get(connection, client_id) is None
        tables = MetaData()
        tables.reflect(connection)
        for name in ("client_scope", "client_credential"):
            table: Table = tables.tables[name]
            assert connection.execute(select(table).where(table.c.client_seq == seq)).all() == []
    assert [e["event"] for e in home.events(client_id=client_id)] == [
        "client.created",
        "client.deleted",
    ]
    for deed in DEEDS.values():
        with pytest.raises(NotFound):
            deed[1](home, client_id)


@pytest.mark.spec("contract", "Lifecycle", "expired … final: activate and rotate_secret answer 409")
def test_an_expired_client_is_neither_activated_nor_rotated(home: Installation) -> None:
    """It says to create a new one, and writes no event; suspending and deleting still work."""
    client_id = home.create_client("customers:read", expires_in_days=1).client_id
    with home.context.database.write() as connection:
        connection.execute(
            client_table.update()
            .where(client_table.c.client_id == client_id)
            .values(expires_at=datetime.now(UTC) - timedelta(microseconds=1))
        )
    for deed in ("activate", "rotate_secret"):
        with pytest.raises(Conflict, match="create a new one"):
            DEEDS[deed][1](home, client_id)
    assert len(home.events(client_id=client_id)) == 1

    lifecycle.suspend(home.context.database, client_id, TESTER)
    assert home.stored(client_id).status(datetime.now(UTC)) is Status.EXPIRED
    lifecycle.delete(home.context.database, client_id, TESTER)


NO_OPS: dict[str, Callable[[Database, str], Client]] = {
    "update": lambda database, it: lifecycle.update(
        database, it, TESTER, name=" Test client ", description=""
    ),
    "update with the limit it has": lambda database, it: lifecycle.update(
        database, it, TESTER, limit_per_minute=None
    ),
    "update nothing": lambda database, it: lifecycle.update(database, it, TESTER),
    "set_scopes": lambda database, it: lifecycle.set_scopes(
        database, it, frozenset({"customers:read"}), TESTER
    ),
    "activate": lambda database, it: lifecycle.activate(database, it, TESTER),
}


@pytest.mark.parametrize("deed", NO_OPS)
def test_a_deed_that_changes_nothing_writes_nothing(home: Installation, deed: str) -> None:
    """Same version, no event."""
    client_id = home.create_client("customers:read").client_id
    before = home.stored(client_id)

    assert NO_OPS[deed](home.context.database, client_id) == before
    assert home.stored(client_id) == before
    assert len(home.events(client_id=client_id)) == 1


def test_suspending_twice_keeps_the_first_moment(home: Installation) -> None:
    """The second writes no event, unless it revokes the live tokens as well."""
    client_id = suspended(home)
    before = home.stored(client_id)
    database = home.context.database

    assert lifecycle.suspend(database, client_id, TESTER) == before
    revoked = lifecycle.suspend(database, client_id, TESTER, revoke_live_tokens=True)

    assert revoked.suspended_at == before.suspended_at
    assert revoked.token_generation == before.token_generation + 1
    assert [e["detail"] for e in home.events(client_id=client_id)[1:]] == [
        {"revoke_live_tokens": False},
        {"revoke_live_tokens": True},
    ]


def test_activating_clears_the_suspension(home: Installation) -> None:
    """And the client is as it was, two versions on."""
    client_id = suspended(home)

    client = lifecycle.activate(home.context.database, client_id, TESTER)

    assert home.stored(client_id) == client
    assert (client.suspended_at, client.version) == (None, 3)


def test_an_update_says_what_it_changed(home: Installation) -> None:
    """The name before and after; the description as it is now; nothing that stayed."""
    client_id = home.create_client("customers:read").client_id
    database = home.context.database

    lifecycle.update(database, client_id, TESTER, name="Second")
    lifecycle.update(database, client_id, TESTER, name="Second", description="Ask Ada")
    lifecycle.update(database, client_id, TESTER, limit_per_minute=60)
    lifecycle.update(database, client_id, TESTER, limit_per_minute=None)

    assert [e["detail"] for e in home.events(client_id=client_id)[1:]] == [
        {"name_before": "Test client", "name": "Second"},
        {"description": "Ask Ada"},
        {"limit_per_minute": 60},
        {"limit_per_minute": None},
    ]
    after = home.stored(client_id)
    assert (after.description, after.limit_per_minute, after.version) == ("Ask Ada", None, 5)
