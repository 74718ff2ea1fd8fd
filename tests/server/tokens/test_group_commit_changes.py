"""Whatever is changed beside the loop, the next request sees it: on both databases."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from commits import all_at_once, asking, commits, eventually, reasons, tokens
from sqlalchemy import update

from hourpass.server.clients import lifecycle
from hourpass.server.db.schema import client as client_table
from hourpass.server.db.schema import organization as organization_table
from hourpass.server.db.schema import signing_key
from hourpass.server.keys import operations, store
from hourpass.server.keys.model import KeyState
from hourpass.server.tokens.exchange import Issued
from support.installation import CATALOGUE, TESTER, Credentials, Installation

Deed = Callable[[Installation, str], object]
WITHOUT_CUSTOMERS = CATALOGUE.replace("customers:read", "people:read")


def suspend_organization(here: Installation, _client_id: str) -> None:
    """By hand: there is no deed for it yet."""
    with here.context.database.write() as connection:
        now = here.context.database.now(connection)
        connection.execute(update(organization_table).values(suspended_at=now))


def let_it_expire(here: Installation, client_id: str) -> None:
    """By hand, and without another version: the row says so, nothing else does."""
    with here.context.database.write() as connection:
        moment = here.context.database.now(connection) - timedelta(microseconds=1)
        connection.execute(
            update(client_table)
            .where(client_table.c.client_id == client_id)
            .values(expires_at=moment)
        )


ENDINGS: dict[str, tuple[Deed, str]] = {
    "suspend": (
        lambda here, it: lifecycle.suspend(here.context.database, it, TESTER),
        "suspended",
    ),
    "delete": (
        lambda here, it: lifecycle.delete(here.context.database, it, TESTER),
        "unknown_client",
    ),
    "rotate_secret": (
        lambda here, it: lifecycle.rotate_secret(
            here.context.database, here.context.keyring(), it, TESTER
        ),
        "wrong_secret",
    ),
    "suspend the organization": (suspend_organization, "organization_suspended"),
    "expire": (let_it_expire, "expired"),
}


@pytest.mark.spec(
    "contract", "Lifecycle", "a token request that starts after the operation … sees it"
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ending_is_seen_by_the_very_next_request(
    installation: Installation, ending: str
) -> None:
    """The client was remembered as good a moment ago, and others go on as before."""
    made = installation.create_client("customers:read")
    deed, reason = ENDINGS[ending]

    async def main() -> tuple[list[Any], list[Any]]:
        async with commits(installation) as loop:
            before = await all_at_once(loop, [asking(made) for _ in range(3)])
            await asyncio.to_thread(deed, installation, made.client_id)
            return before, await all_at_once(loop, [asking(made) for _ in range(3)])

    before, after = asyncio.run(main())

    assert len(tokens(before)) == 3
    assert reasons(after) == [reason] * 3


def test_a_new_client_and_a_new_secret_work_at_once(installation: Installation) -> None:
    """Refused a moment ago as unknown or wrong, right now."""
    made = installation.create_client("customers:read")
    context = installation.context

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            await loop.join(asking(made))
            fresh = await asyncio.to_thread(installation.create_client, "bookings:read")
            rotated = await asyncio.to_thread(
                lifecycle.rotate_secret, context.database, context.keyring(), made.client_id, TESTER
            )
            now = Credentials(made.client_id, rotated.secret.reveal())
            return await all_at_once(loop, [asking(fresh), asking(now), asking(made)])

    fresh, now, old = asyncio.run(main())

    assert isinstance(fresh, Issued)
    assert isinstance(now, Issued)
    assert reasons([old]) == ["wrong_secret"]


@pytest.mark.spec(
    "seed", "Client lifecycle", "Temporarily disabled via admin UI. Can be re-activated."
)
def test_a_suspended_client_that_is_activated_gets_tokens_again(
    installation: Installation,
) -> None:
    """Back and forth, each time at once."""
    made = installation.create_client("customers:read")
    database = installation.context.database

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            outcomes = []
            for deed in (lifecycle.suspend, lifecycle.activate) * 3:
                await asyncio.to_thread(deed, database, made.client_id, TESTER)
                outcomes.append(await loop.join(asking(made)))
            return outcomes

    outcomes = asyncio.run(main())

    assert reasons(outcomes[::2]) == ["suspended"] * 3
    assert len(tokens(outcomes[1::2])) == 3


@pytest.mark.spec("seed", "Updating scopes", "The next token request will pick up the new scopes")
def test_the_next_token_has_the_new_scopes(installation: Installation) -> None:
    """Without another secret; and the new generation after revoking."""
    made = installation.create_client("customers:read")
    database = installation.context.database

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            first = await loop.join(asking(made))
            wanted = frozenset({"bookings:read", "invoices:read"})
            await asyncio.to_thread(lifecycle.set_scopes, database, made.client_id, wanted, TESTER)
            second = await loop.join(asking(made))
            await asyncio.to_thread(lifecycle.revoke_tokens, database, made.client_id, TESTER)
            return [first, second, await loop.join(asking(made))]

    outcomes = tokens(asyncio.run(main()))

    assert [token.granted.scope for token in outcomes] == [
        "customers:read",
        "bookings:read invoices:read",
        "bookings:read invoices:read",
    ]
    assert [token.client.token_generation for token in outcomes] == [1, 1, 2]


def test_a_renamed_client_has_its_new_name_on_record(installation: Installation) -> None:
    """Names are as they were at the time, the next time included."""
    made = installation.create_client("customers:read")
    database = installation.context.database

    async def main() -> None:
        async with commits(installation) as loop:
            await loop.join(asking(made))
            await asyncio.to_thread(
                lifecycle.update, database, made.client_id, TESTER, name="Renamed"
            )
            await loop.join(asking(made))

    asyncio.run(main())

    issued = installation.events(event="token.issued")
    assert [event["client_name"] for event in issued] == ["Test client", "Renamed"]


def test_an_applied_catalogue_is_seen_at_once(installation: Installation) -> None:
    """An API with another identifier, and a scope that nobody holds any more."""
    made = installation.create_client("customers:read", "bookings:read")
    moved = CATALOGUE.replace("https://api.example.com", "https://v2.example.com")

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            before = await loop.join(asking(made))
            await asyncio.to_thread(installation.apply_catalogue, moved)
            return [
                before,
                await loop.join(asking(made)),
                await loop.join(asking(made, resource="https://api.example.com")),
            ]

    before, after, old = asyncio.run(main())

    assert before.granted.audience == '"https://api.example.com"'
    assert after.granted.audience == '"https://v2.example.com"'
    assert reasons([old]) == ["invalid_target"]


def make_the_next_key_known(here: Installation) -> None:
    """By hand: as if it had been published long ago."""
    with here.context.database.write() as connection:
        connection.execute(update(signing_key).values(created_at=datetime(2020, 1, 1, tzinfo=UTC)))


def keys_by_state(here: Installation) -> dict[KeyState, str]:
    """The `kid` of the key in each state now."""
    with here.context.database.read() as connection:
        now = here.context.database.now(connection)
        return {key.state(now): key.kid for key in store.signing_keys(connection)}


@pytest.mark.parametrize("deed", ["rotate", "revoke"])
@pytest.mark.spec("threats", "9", "Keys rotate without a failed verification.")
def test_another_signing_key_signs_at_once(installation: Installation, deed: str) -> None:
    """Rotated or revoked beside the loop: the next token is by the next key."""
    made = installation.create_client("customers:read")
    make_the_next_key_known(installation)
    before = keys_by_state(installation)
    context = installation.context

    def change() -> None:
        if deed == "rotate":
            operations.rotate(context.database, context.policy, TESTER)
        else:
            operations.revoke(context.database, context.policy, before[KeyState.ACTIVE], TESTER)

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            first = await loop.join(asking(made))
            await asyncio.to_thread(change)
            return [first, await loop.join(asking(made))]

    first, second = asyncio.run(main())

    assert first.signer.kid == before[KeyState.ACTIVE]
    assert (
        second.signer.kid == before[KeyState.NEXT] == keys_by_state(installation)[KeyState.ACTIVE]
    )


def test_the_next_key_takes_over_when_the_clock_says_so(installation: Installation) -> None:
    """Nothing is written at that moment, and no request fails around it."""
    made = installation.create_client("customers:read")
    before = keys_by_state(installation)
    database = installation.context.database
    with database.write() as connection:
        moment = database.now(connection) + timedelta(seconds=1)
        for key in store.signing_keys(connection):
            times = (
                {"activates_at": moment}
                if key.kid == before[KeyState.NEXT]
                else {"retires_at": moment}
            )
            store.set_times(connection, replace(key, **times))  # type: ignore[arg-type]  # SigningKey's own
    outcomes: list[Any] = []

    async def main() -> None:
        async with commits(installation) as loop:
            while not outcomes or outcomes[-1].signer.kid == before[KeyState.ACTIVE]:
                outcomes.append(await loop.join(asking(made)))
            outcomes.append(await loop.join(asking(made)))

    asyncio.run(main())

    assert len(tokens(outcomes)) == len(outcomes) > 2
    assert [token.signer.kid for token in outcomes[-2:]] == [before[KeyState.NEXT]] * 2
    for token in outcomes:
        by_new = token.signer.kid == before[KeyState.NEXT]
        assert by_new or token.moment < moment + timedelta(seconds=1)
        assert not by_new or token.moment >= moment - timedelta(seconds=1)


@pytest.mark.spec("seed", "Client expiry", "After this date: The client cannot obtain new tokens")
def test_no_token_is_on_record_after_the_expiry(installation: Installation) -> None:
    """The moment passes while the client is remembered and requests are under way."""
    made = installation.create_client("customers:read")
    database = installation.context.database
    with database.write() as connection:
        expiry = database.now(connection) + timedelta(seconds=1)
        connection.execute(update(client_table).values(expires_at=expiry))
    outcomes: list[Any] = []

    async def main() -> None:
        async with commits(installation) as loop:
            while not outcomes or isinstance(outcomes[-1], Issued):
                outcomes.extend(await all_at_once(loop, [asking(made) for _ in range(10)]))

    asyncio.run(main())

    issued = tokens(outcomes)
    assert issued
    assert max(token.moment for token in issued) < expiry
    assert set(reasons([o for o in outcomes if not isinstance(o, Issued)])) == {"expired"}
    with database.read() as connection:
        assert database.now(connection) >= expiry


def test_a_fault_of_memory_is_no_fault_of_many(installation: Installation) -> None:
    """One of thirty remembered clients changes: only that one is decided anew."""
    made = [installation.create_client("customers:read") for _ in range(30)]

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            assert len(tokens(await all_at_once(loop, [asking(one) for one in made]))) == 30
            await asyncio.to_thread(
                lifecycle.suspend, installation.context.database, made[12].client_id, TESTER
            )
            return await all_at_once(loop, [asking(one) for one in made])

    outcomes = asyncio.run(main())

    assert reasons(outcomes[12:13]) == ["suspended"]
    assert len(tokens(outcomes)) == 29


@pytest.mark.spec("threats", "20", "rotate against token, suspend against token")
@pytest.mark.parametrize("ending", ["suspend", "rotate_secret", "delete"])
def test_no_request_that_starts_after_the_answer_gets_a_token(
    installation: Installation, ending: str
) -> None:
    """Under a stream of requests: those joined before may go either way, later ones only one."""
    made = installation.create_client("customers:read")
    deed, reason = ENDINGS[ending]
    after: list[Any] = []

    async def main() -> None:
        async with commits(installation) as loop:
            done = asyncio.Event()

            async def caller() -> None:
                while not (late := done.is_set()):
                    outcome = await loop.join(asking(made))
                    assert isinstance(outcome, Issued) or reasons([outcome]) == [reason]
                assert late
                after.append(await loop.join(asking(made)))

            callers = [asyncio.ensure_future(caller()) for _ in range(20)]
            await eventually(lambda: bool(installation.events(event="token.issued")))
            await asyncio.to_thread(deed, installation, made.client_id)
            done.set()
            await asyncio.gather(*callers)

    asyncio.run(main())

    assert reasons(after) == [reason] * 20
