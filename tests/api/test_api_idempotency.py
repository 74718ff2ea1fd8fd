"""The same request with the same Idempotency-Key is carried out once, whatever happens."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from api_caller import Caller, new_organization, problem
from sqlalchemy import update

from hourpass.server.clients import idempotency, lifecycle
from hourpass.server.clients.idempotency import DoneBefore, IdempotencyKey
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.db.columns import EPOCH
from hourpass.server.db.engine import Dialect
from hourpass.server.db.schema import idempotency_key
from support.installation import TESTER, Credentials, Installation, Server

SCOPES = ("hourpass.clients:read", "hourpass.clients:write")
BODY = {"name": "CRM sync", "scopes": ["customers:read"]}
NEW = NewClient(name="CRM sync", scopes=frozenset({"customers:read"}))


@pytest.fixture
def caller(shared_server: Server) -> Caller:
    """A back office in an organization of its own."""
    home = new_organization(shared_server.installation)
    return Caller(shared_server, *SCOPES, organization=home)


def create(caller: Caller, key: str, **more: object) -> httpx.Response:
    """Create a client under a key."""
    return caller("POST", "/clients", json={**BODY, **more}, headers={"Idempotency-Key": key})


def rotate(caller: Caller, client_id: str, key: str, **body: object) -> httpx.Response:
    """Rotate a secret under a key."""
    path = f"/clients/{client_id}/rotate-secret"
    return caller("POST", path, json=body, headers={"Idempotency-Key": key})


def test_a_repeated_creation_makes_one_client(caller: Caller) -> None:
    """The second answer is the client as it is now, without the secret, and says so."""
    first = create(caller, "a key").json()
    caller("PATCH", f"/clients/{first['client_id']}", json={"name": "Renamed"})

    again = create(caller, "a key")

    assert again.status_code == 200
    secret = first.pop("client_secret")
    assert again.json() == {**first, "name": "Renamed", "secret_shown": True}
    assert secret not in again.text
    assert len(caller.every("/clients")) == 2
    credentials = Credentials(first["client_id"], secret)
    assert caller.server.token(credentials).status_code == 200


def test_a_repeated_rotation_rotates_once(caller: Caller) -> None:
    """The secret that was shown stays the live one."""
    made = caller.create("customers:read")
    first = rotate(caller, made.client_id, "k").json()

    again = rotate(caller, made.client_id, "k")

    assert again.status_code == 200
    assert again.json()["secret_shown"] is True
    assert "client_secret" not in again.json()
    credentials = Credentials(made.client_id, first["client_secret"])
    assert caller.server.token(credentials).status_code == 200


def test_a_key_belongs_to_its_request(caller: Caller) -> None:
    """With another body, or for another client, it is 422 and nothing is done."""
    made, other = caller.create("customers:read"), caller.create("customers:read")
    create(caller, "k")
    rotate(caller, made.client_id, "k")

    for answer in (
        create(caller, "k", description="Other"),
        rotate(caller, made.client_id, "k", revoke_live_tokens=True),
        rotate(caller, other.client_id, "k"),
    ):
        assert problem(answer) == (422, "idempotency-key-reused")
    assert caller.server.token(other).status_code == 200
    assert len(caller.every("/clients")) == 4


def test_a_key_belongs_to_its_caller(caller: Caller) -> None:
    """Another program may come to the same key, and the way a body is written does not count."""
    colleague = Caller(caller.server, *SCOPES, organization=caller.organization)
    first = create(caller, "k").json()["client_id"]

    theirs = create(colleague, "k")
    spaced = caller(
        "POST",
        "/clients",
        content=b'{ "scopes": ["customers:read"],\n "name": "CRM sync"}',
        headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
    )

    assert theirs.status_code == 201
    assert theirs.json()["client_id"] != first
    assert spaced.status_code == 200
    assert spaced.json()["client_id"] == first


def test_a_refused_request_leaves_its_key_free(caller: Caller) -> None:
    """Nothing was done, so the mended request may use it."""
    assert create(caller, "k", scopes=["no:such"]).status_code == 422

    assert create(caller, "k").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\tb"])
def test_a_key_is_printable_and_bounded(key: str, caller: Caller) -> None:
    """1 to 255 characters of ASCII."""
    answer = caller.server.http.post(
        "/api/v1/clients",
        json=BODY,
        headers=httpx.Headers(
            [
                (b"Authorization", f"Bearer {caller.token}".encode()),
                (b"Idempotency-Key", key.encode("latin-1")),
            ]
        ),
    )

    assert problem(answer) == (422, "invalid-input")
    assert create(caller, "x" * 255).status_code == 201


@pytest.mark.spec("threats", "20", "the same Idempotency-Key twice")
def test_the_same_key_many_times_at_once_makes_one_client(caller: Caller) -> None:
    """One caller is shown the secret; the others are told to wait, or that it was shown."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: create(caller, "k"), range(24)))

    made = [answer.json() for answer in answers if answer.status_code == 201]
    assert len(made) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert problem(answer) == (409, "still-running")
            assert answer.headers["retry-after"] == "1"
        else:
            assert answer.status_code in (200, 201)
            assert answer.json()["client_id"] == made[0]["client_id"]
    assert len(caller.every("/clients")) == 2
    credentials = Credentials(made[0]["client_id"], made[0]["client_secret"])
    assert caller.server.token(credentials).status_code == 200


@pytest.mark.spec("threats", "20", "No operator ever holds a dead secret that is shown as live")
def test_the_same_key_for_a_rotation_many_times_at_once(caller: Caller) -> None:
    """The one secret that was shown is the live one."""
    made = caller.create("customers:read")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: rotate(caller, made.client_id, "k"), range(24)))

    assert {answer.status_code for answer in answers} <= {200, 409}
    bodies = [answer.json() for answer in answers if answer.status_code == 200]
    (shown,) = [body["client_secret"] for body in bodies if "client_secret" in body]
    assert caller.server.token(Credentials(made.client_id, shown)).status_code == 200


def test_a_key_outlives_a_crash(server: Server) -> None:
    """Killed after the answer, the server knows the key when it is back."""
    caller = Caller(server, *SCOPES)
    first = create(caller, "k").json()

    server.kill()
    server.start()

    again = create(caller, "k")
    assert again.status_code == 200
    assert again.json()["client_id"] == first["client_id"]
    assert again.json()["secret_shown"] is True


def test_a_key_is_forgotten_after_a_day(caller: Caller) -> None:
    """Then it makes another client, and old keys are swept away."""
    database = caller.server.installation.context.database
    first = create(caller, "k").json()["client_id"]
    mine = idempotency_key.c.caller == caller.credentials.client_id

    def age(by: timedelta) -> None:
        with database.write() as connection:
            then = database.now(connection) - by
            connection.execute(update(idempotency_key).where(mine).values(created_at=then))

    age(idempotency.KEPT - timedelta(minutes=1))
    assert create(caller, "k").json()["client_id"] == first
    age(idempotency.KEPT)
    second = create(caller, "k")
    assert second.status_code == 201
    assert second.json()["client_id"] != first

    idempotency.purge(database)
    assert create(caller, "k").json()["client_id"] == second.json()["client_id"]
    with database.write() as connection:
        connection.execute(update(idempotency_key).where(mine).values(created_at=EPOCH))
    idempotency.purge(database)
    with database.read() as connection:
        assert connection.execute(idempotency_key.select().where(mine)).all() == []


def test_a_deed_whose_client_is_gone_is_not_done_again(caller: Caller) -> None:
    """The client as it is now is none."""
    made = create(caller, "k").json()["client_id"]
    caller("DELETE", f"/clients/{made}")

    assert problem(create(caller, "k")) == (404, "not-found")


def test_a_failed_transaction_leaves_no_key(installation: Installation) -> None:
    """Key and deed stand or fall together."""
    context = installation.context
    key = IdempotencyKey.of("caller", "route", uuid4().hex, "request")
    keyring = context.keyring()
    database = context.database
    made = lifecycle.create(database, keyring, NEW, TESTER, idempotency_key=key)

    with pytest.raises(DoneBefore) as before:
        lifecycle.create(database, keyring, NEW, TESTER, idempotency_key=key)
    assert before.value.client_id == made.client.client_id

    other = IdempotencyKey.of("caller", "route", uuid4().hex, "request")
    name = "audit_event"
    hidden = f"alter table {name} rename to hidden"
    with database.write() as connection:
        connection.exec_driver_sql(hidden)
    with pytest.raises(Exception, match=name):
        lifecycle.create(database, keyring, NEW, TESTER, idempotency_key=other)
    with database.write() as connection:
        connection.exec_driver_sql(f"alter table hidden rename to {name}")
    mended = lifecycle.create(database, keyring, NEW, TESTER, idempotency_key=other)
    assert mended.client.client_id != made.client.client_id


def test_two_nodes_do_not_carry_out_the_same_request_twice(installation: Installation) -> None:
    """While one holds the key in its transaction, the other is told to wait."""
    database = installation.context.database
    if database.dialect is Dialect.SQLITE:
        assert_only_one_writes(installation)
        return
    key = IdempotencyKey.of("caller", "route", "key", "request")
    with database.write() as first, database.write() as second:
        idempotency.check(first, key, database.now(first))
        with pytest.raises(idempotency.StillRunning):
            idempotency.check(second, key, database.now(second))


def assert_only_one_writes(installation: Installation) -> None:
    """On SQLite one process serves, and the second request is told within it."""
    key = IdempotencyKey.of("caller", "route", "key", "request")
    with idempotency.running(key):
        with pytest.raises(idempotency.StillRunning), idempotency.running(key):
            pass
        context = installation.context
        with pytest.raises(idempotency.StillRunning):
            lifecycle.create(context.database, context.keyring(), NEW, TESTER, idempotency_key=key)
    with idempotency.running(key):
        pass
