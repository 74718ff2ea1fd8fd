"""Shared looks at the rows: who waits gets an answer in time, and each its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from hourpass.oauth.errors import InvalidToken, TemporarilyUnavailable
from hourpass.server.app import online_checks
from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.db.schema import client, revoked_token
from hourpass.server.tokens import live as live_checks
from hourpass.server.tokens import revoke, standing_store, store
from hourpass.server.tokens.live import LiveChecks
from hourpass.server.tokens.standing import refuse_fallen
from hourpass.server.tokens.standing_store import Question, Seen
from support import forged_tokens
from support.installation import TESTER, Installation


@asynccontextmanager
async def checks(installation: Installation) -> AsyncIterator[LiveChecks]:
    """As `serve` makes them."""
    made = online_checks(installation.context)
    try:
        async with asyncio.timeout(60):
            yield made
    finally:
        await made.close()


def token(installation: Installation, client_id: str, **changes: object) -> str:
    """A token of this client."""
    return forged_tokens.signed(
        installation, forged_tokens.claims_of(installation, client_id, **changes)
    )


async def outcome(live: LiveChecks, asked: str) -> str:
    """Whose token it is, or why it is none."""
    try:
        claims, seen, _ = await live.check(asked)
        refuse_fallen(claims, seen.standing)
    except InvalidToken as fault:
        return fault.detail
    return claims.client_id


def test_in_one_look_each_gets_its_own_answer(installation: Installation) -> None:
    """Good and fallen ones of every kind, many times over, in one turn of the event loop."""
    database = installation.context.database
    names = [installation.create_client("customers:read").client_id for _ in range(4)]
    good, gone, revoked, own = names
    asked = {
        good: token(installation, good),
        "client_gone": token(installation, gone),
        "revoked": token(installation, revoked),
        "another organization": token(installation, good, org_id="other"),
    }
    lifecycle.delete(database, gone, TESTER)
    lifecycle.revoke_tokens(database, revoked, TESTER)

    async def main() -> list[str]:
        async with checks(installation) as live:
            given_up = token(installation, own)
            claims, _, _ = await live.check(given_up)
            held = lifecycle.read(database, own, TESTER)
            await asyncio.to_thread(
                revoke.revoke, database, held, claims, request_id="r", ip="192.0.2.1"
            )
            every = [*asked.values(), given_up] * 60
            return await asyncio.gather(*(outcome(live, each) for each in every))

    assert asyncio.run(main()) == [*asked, "revoked"] * 60


@pytest.mark.parametrize(
    "changes",
    [{"org_id": "default\x1fdefault"}, {"org_id": "default\x00"}, {"gen": 2**63}, {"gen": -1}],
    ids=repr,
)
def test_claims_that_no_column_holds_harm_no_neighbour(
    installation: Installation, changes: dict[str, object]
) -> None:
    """A token that our own key signed, and that we would never have: refused, by itself."""
    mine, other = (installation.create_client("customers:read").client_id for _ in range(2))
    good, wrong = token(installation, mine), token(installation, other, **changes)
    other_good = token(installation, other)

    async def main() -> list[str]:
        async with checks(installation) as live:
            asked = [good, wrong, other_good, wrong, good]
            return await asyncio.gather(*(outcome(live, each) for each in asked))

    detail = next(iter(changes))
    assert asyncio.run(main()) == [mine, detail, other, detail, mine]


def test_a_limit_and_a_caller_come_with_the_look(installation: Installation) -> None:
    """Of the client whose token it is, and of the one who asks."""
    mine = installation.create_client("customers:read").client_id
    api = installation.create(
        NewClient(name="API", scopes=frozenset({"hourpass.introspect:bookings"}))
    ).client
    with installation.context.database.write() as connection:
        limited = client.update().where(client.c.client_id == mine)
        connection.execute(limited.values(limit_per_minute=60))

    async def main() -> None:
        async with checks(installation) as live:
            asked = token(installation, mine)
            (_, seen, _), (_, alone, _) = await asyncio.gather(
                live.check(asked, caller=api.client_id), live.check(asked)
            )
            assert seen.standing is not None
            assert seen.standing.limit_per_minute == 60
            assert seen.caller is not None
            assert seen.caller.client == api
            assert alone.caller is None
            nobody, _ = await live.caller("m2m_" + "0" * 20)
            assert nobody.caller is None

    asyncio.run(main())


def test_signatures_are_remembered_and_no_more_than_so_many(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one kept longest goes first; it still passes when it comes again."""
    monkeypatch.setattr(live_checks, "MAX_REMEMBERED", 3)
    mine = installation.create_client("customers:read").client_id

    async def main() -> None:
        async with checks(installation) as live:
            every = [token(installation, mine) for _ in range(5)]
            for each in [*every, *every]:
                _, _, known = await live.check(each)
            assert len(known._claims) == 3
            with pytest.raises(InvalidToken):
                await live.check(every[0][:-1])
            assert len(known._claims) == 3

    asyncio.run(main())


class Hanging:
    """A database that takes the question and never answers, until it is abandoned."""

    def __init__(self) -> None:
        self.abandoned = 0
        self._given_up = asyncio.Event()

    async def look(self, questions: Sequence[Question]) -> list[Seen]:
        """Not before it is abandoned."""
        await self._given_up.wait()
        self._given_up.clear()
        raise DatabaseUnavailable("abandoned")

    def abandon(self) -> None:
        """Let go."""
        self.abandoned += 1
        self._given_up.set()

    async def close(self) -> None:
        """Nothing is held."""


def test_a_database_that_hangs_is_503_in_time_for_all_who_wait(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the look and those behind it; the connection is given up; the next may ask."""
    monkeypatch.setattr(live_checks, "BUDGET_S", 0.3)

    async def main() -> None:
        store = Hanging()
        live = LiveChecks(store, lambda: pytest.fail("nothing was seen"))
        for number in (1, 2):
            begun = time.monotonic()
            first = [asyncio.create_task(live.look(Question())) for _ in range(3)]
            await asyncio.sleep(0.1)
            behind = [asyncio.create_task(live.look(Question())) for _ in range(3)]
            outcomes = await asyncio.gather(*first, *behind, return_exceptions=True)
            assert [type(each) for each in outcomes] == [TemporarilyUnavailable] * 6
            assert time.monotonic() - begun < 2
            assert store.abandoned == number
        await live.close()

    asyncio.run(main())


class Deaf(Hanging):
    """One that is still being connected to: it cannot be abandoned."""

    def abandon(self) -> None:
        """Is told, and goes on."""
        self.abandoned += 1


def test_nobody_waits_longer_for_a_look_that_cannot_be_ended(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that join after the first were given up are given up in time as well."""
    monkeypatch.setattr(live_checks, "BUDGET_S", 0.2)

    async def main() -> None:
        store = Deaf()
        live = LiveChecks(store, lambda: pytest.fail("nothing was seen"))
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(TemporarilyUnavailable):
                async with asyncio.timeout(5):
                    await live.look(Question())
            assert time.monotonic() - begun < 2
        assert store.abandoned >= 3
        await live.close()

    asyncio.run(main())


def test_a_connection_that_is_lost_is_503_and_then_replaced(
    postgres_installation: Installation,
) -> None:
    """By the next check but the first, which meets the loss."""
    mine = postgres_installation.create_client("customers:read").client_id

    async def main() -> None:
        async with checks(postgres_installation) as live:
            asked = token(postgres_installation, mine)
            assert await outcome(live, asked) == mine
            await asyncio.sleep(0.6)  # a connection is not replaced more often than that
            live._store.abandon()
            with pytest.raises(TemporarilyUnavailable):
                await outcome(live, asked)
            assert await outcome(live, asked) == mine

    asyncio.run(main())


def test_a_connection_that_hangs_while_it_is_set_up_can_be_abandoned(
    postgres_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, and the statements before the first look do not come back."""

    async def main() -> None:
        set_up = asyncio.Event()

        def statements() -> Iterator[str]:
            set_up.set()
            yield "SELECT pg_sleep(1)"

        monkeypatch.setattr(standing_store, "PLANS", statements())
        async with checks(postgres_installation) as live:
            look = asyncio.create_task(live._store.look([Question()]))
            await set_up.wait()
            live._store.abandon()
            with pytest.raises(DatabaseUnavailable):
                await look

    asyncio.run(main())


def test_revoked_tokens_are_forgotten_long_after_they_expired(installation: Installation) -> None:
    """Not before: a clock may be set back."""
    database = installation.context.database
    with database.write() as connection:
        now = database.now(connection)
        for hours in (-25, -23, 1):
            store.add_revoked(connection, f"jti{hours}", "m2m_x", now + timedelta(hours=hours))
    revoke.purge(database)
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(revoked_token)).scalar() == 2
