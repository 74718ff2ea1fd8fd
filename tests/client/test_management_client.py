"""The typed client of the management API, for threads and for coroutines, on a running server."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hourpass.client import TokenSource
from hourpass.client.management import (
    ApiError,
    AsyncManagement,
    BadInput,
    Changed,
    Conflict,
    Management,
    NotAllowed,
    NotFound,
    Unavailable,
    calls,
)
from hourpass.client.management.calls import Answer
from support.installation import Installation, Server


class Driven:
    """An AsyncManagement whose coroutines are run to their end."""

    def __init__(self, client: AsyncManagement, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._loop = client, loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            given = getattr(self._client, name)(*arguments, **more)
            if inspect.isawaitable(given):
                return self._loop.run_until_complete(given)
            return iter(self._loop.run_until_complete(_listed(given)))

        return call


async def _listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def source(server: Server, *scopes: str) -> TokenSource:
    """Management tokens of a client with these scopes."""
    made = server.installation.create_client(*scopes, name="Back office")
    return TokenSource(
        issuer=server.url,
        client_id=made.client_id,
        client_secret=made.secret,
        resource=f"{server.url}/api/v1",
    )


@pytest.fixture(params=["sync", "async"])
def management(shared_server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    """One that may do everything with the clients of the Bookings API."""
    tokens = source(
        shared_server,
        "hourpass.clients:read",
        "hourpass.clients:write",
        "hourpass.audit:read",
        "hourpass.catalogue:read",
    )
    if request.param == "sync":
        with Management(shared_server.url, tokens) as made:
            yield made
        return
    loop = asyncio.new_event_loop()
    client = AsyncManagement(shared_server.url, tokens)
    yield Driven(client, loop)
    loop.run_until_complete(client.close())
    loop.close()


def test_a_client_through_its_life(management: Any, shared_server: Server) -> None:
    """Every deed, and what each answers."""
    before = datetime.now(UTC) - timedelta(seconds=5)
    made = management.create_client(
        name="CRM sync",
        scopes=["customers:read"],
        description="Nightly",
        expires_in_days=30,
        limit_per_minute=60,
    )
    assert made.client_secret is not None
    assert made.client_secret not in repr(made)
    client = made.client
    assert (client.client_id, client.name, client.description) == (
        made.client_id,
        "CRM sync",
        "Nightly",
    )
    assert (client.status, client.organization, client.limit_per_minute) == (
        "active",
        "default",
        60,
    )
    assert before < client.created_at < datetime.now(UTC) + timedelta(seconds=5)
    assert client.expires_at is not None
    assert client.expires_at - client.created_at == timedelta(days=30)
    assert client.created_by.type == "client"

    read = management.client(made.client_id)
    assert read == client
    changed = management.set_scopes(read, ["bookings:read", "customers:read"])
    assert changed.scopes == {"bookings:read", "customers:read"}
    with pytest.raises(Changed):
        management.set_scopes(read, ["customers:read"])
    assert management.update(made.client_id, name="CRM").name == "CRM"
    assert management.update(made.client_id, limit_per_minute=None).limit_per_minute is None

    rotated = management.rotate_secret(made.client_id, revoke_live_tokens=True)
    assert rotated.client_secret not in (None, made.client_secret)
    assert management.suspend(made.client_id, revoke_live_tokens=True).status == "suspended"
    assert management.activate(made.client_id).status == "active"
    assert management.revoke_tokens(made.client_id).status == "active"
    events = [each.event for each in management.audit_events(client_id=made.client_id)]
    assert events[0] == "client.tokens_revoked"
    assert events[-1] == "client.created"
    assert management.delete(made.client_id) is None
    with pytest.raises(NotFound):
        management.client(made.client_id)


def test_lists_go_on_over_pages(management: Any, shared_server: Server) -> None:
    """As many as there are, once each, without asking for a cursor."""
    word = f"paged{id(management)}"
    installation: Installation = shared_server.installation
    made = {
        installation.create_client("customers:read", name=f"{word} {number}").client_id
        for number in range(60)
    }
    found = [client.client_id for client in management.clients(search=word)]
    assert len(found) == 60
    assert set(found) == made
    assert list(management.clients(search=word, status="suspended")) == []
    since = datetime.now(UTC) - timedelta(minutes=5)
    times = [each.time for each in management.audit_events(event="client.created", since=since)]
    assert len(times) >= 60
    assert times == sorted(times, reverse=True)


def test_the_catalogue(management: Any) -> None:
    """Scopes and APIs."""
    by_name = {scope.name: scope for scope in management.scopes()}
    assert by_name["customers:read"].grants == ("GET /customers",)
    assert by_name["customers:read"].api == "bookings"
    assert by_name["customers:read"].organizations is None
    assert {"bookings", "billing"} <= {api.key for api in management.apis()}


def test_refusals_are_told_apart_by_type(management: Any, shared_server: Server) -> None:
    """With the problem's type for programs and its words for people."""
    with pytest.raises(BadInput) as bad:
        management.create_client(name="", scopes=["customers:read"])
    assert bad.value.type == "urn:hourpass:problem:invalid-input"
    assert bad.value.errors[0]["member"] == "name"
    assert bad.value.request_id
    with pytest.raises(NotFound):
        management.suspend("m2m_../../x")
    made = management.create_client(name="x", scopes=["customers:read"])
    listed = next(iter(management.clients(search=made.client_id)))
    with pytest.raises(ValueError, match="read the client by its ID"):
        management.set_scopes(listed, ["bookings:read"])
    installation: Installation = shared_server.installation
    other = installation.create_client("hourpass.keys:write")
    with pytest.raises(NotAllowed):
        management.rotate_secret(other.client_id)


def test_an_expired_client_is_a_conflict(management: Any, shared_server: Server) -> None:
    """Which is final."""
    from sqlalchemy import update

    from hourpass.server.db.columns import EPOCH
    from hourpass.server.db.schema import client

    made = management.create_client(name="x", scopes=["customers:read"], expires_in_days=1)
    with shared_server.installation.context.database.write() as connection:
        mine = client.c.client_id == made.client_id
        connection.execute(update(client).where(mine).values(expires_at=EPOCH))
    with pytest.raises(Conflict, match="expired"):
        management.activate(made.client_id)


def test_the_same_key_makes_one_client(management: Any) -> None:
    """The second answer has no secret, and says so by its type."""
    key = f"order-{id(management)}"
    first = management.create_client(name="x", scopes=["customers:read"], idempotency_key=key)
    again = management.create_client(name="x", scopes=["customers:read"], idempotency_key=key)
    assert first.client_id == again.client_id
    assert again.client_secret is None


def test_no_answer_is_unavailable(shared_server: Server) -> None:
    """Whether the deed was done is unknown."""
    tokens = source(shared_server, "hourpass.clients:read")
    tokens.token()
    with (
        Management("http://localhost:9", tokens) as away,
        pytest.raises(Unavailable, match="did not answer"),
    ):
        away.client("m2m_" + "0" * 20)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"client_id":1}', b"<html>", b"[" * 5000])
def test_an_answer_of_something_else_is_an_error_and_no_crash(body: bytes) -> None:
    """As from another server at that address."""
    call = calls.client("m2m_" + "0" * 20)
    with pytest.raises(ApiError, match="check the issuer"):
        call.result(Answer(status=200, headers={}, body=body))
    with pytest.raises(ApiError, match="answered 502"):
        call.result(Answer(status=502, headers={}, body=body))


def methods(kind: type) -> dict[str, Callable[..., Any]]:
    """What a program may call, and how it is made."""
    return {
        name: member
        for name, member in vars(kind).items()
        if inspect.isfunction(member) and (name == "__init__" or not name.startswith("_"))
    }


def test_threads_and_coroutines_have_the_same_methods() -> None:
    """Whoever goes from one to the other adds `await` or `async for`, and changes nothing else."""
    threads, coroutines = methods(Management), methods(AsyncManagement)

    assert threads.keys() == coroutines.keys()
    for name, method in threads.items():
        twin = coroutines[name]
        one, other = inspect.signature(method), inspect.signature(twin)
        assert list(one.parameters.values()) == list(other.parameters.values()), name
        given = str(other.return_annotation)
        assert given.replace(".AsyncIterator[", ".Iterator[") == str(one.return_annotation), name
        waits = inspect.iscoroutinefunction(twin) or ".AsyncIterator[" in given
        assert waits or name == "__init__", name
        same = "As `Management`" if name == "__init__" else f"As `Management.{name}`"
        assert method.__doc__, name
        assert twin.__doc__ == method.__doc__ or str(twin.__doc__).startswith(same), name
