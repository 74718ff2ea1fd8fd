"""What goes wrong in a commit hurts only whom it must, and never issues a token."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
from commits import all_at_once, asking, backend, commits, eventually, rows, tokens
from sqlalchemy import text

from hourpass.oauth.errors import (
    InvalidClient,
    OAuthError,
    Overloaded,
    ServerError,
    TemporarilyUnavailable,
)
from hourpass.server.clients import secrets
from hourpass.server.db.engine import DatabaseUnavailable, Dialect
from hourpass.server.tokens import commit, commit_postgres, refusals
from hourpass.server.tokens.exchange import Facts, Issued, Refused
from support.installation import CATALOGUE, Credentials, Installation


def execute(installation: Installation, statement: str) -> None:
    """Do it beside the loop."""
    with installation.context.database.write() as connection:
        connection.execute(text(statement))


@contextmanager
def refusing(installation: Installation, table: str, condition: str) -> Iterator[None]:
    """Until the block ends, the database refuses new rows of a table that meet a condition."""
    if installation.context.database.dialect is Dialect.SQLITE:
        made = f"""
            create trigger refuse before insert on {table} when {condition}
                begin select raise(abort, 'not today'); end
        """
        gone = "drop trigger refuse"
    else:
        made = f"""
            create function refuse() returns trigger language plpgsql
                as 'begin raise exception ''not today''; end';
            create trigger refuse before insert on {table}
                for each row when ({condition}) execute function refuse()
        """
        gone = f"drop trigger refuse on {table}; drop function refuse()"
    execute(installation, made)
    try:
        yield
    finally:
        execute(installation, gone)


@contextmanager
def locked(installation: Installation) -> Iterator[None]:
    """Until the block ends, nobody else can write an audit row."""
    database = installation.context.database
    with database.write() as connection:
        if database.dialect is Dialect.POSTGRESQL:
            connection.execute(text("lock table audit_event in exclusive mode"))
        yield


POISON: dict[str, dict[str, str]] = {
    "lone surrogate in ip": {"ip": "192.0.2.\ud800"},
    "NUL in ip": {"ip": "192.0.2.\0"},
    "lone surrogate in request ID": {"request_id": "r\udfff"},
    "NUL in request ID": {"request_id": "r\0"},
}


@pytest.mark.spec("threats", "22", "no byte in any field makes a good neighbour … fail")
@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("right", [True, False])
def test_a_poisoned_request_fails_alone(
    installation: Installation, poison: str, right: bool
) -> None:
    """In the middle of fifty good ones of the same commit, be it a token or a refusal."""
    made = installation.create_client("customers:read")
    given = made if right else Credentials(made.client_id, secrets.new().reveal())

    async def main() -> tuple[list[Any], Any, list[Any]]:
        async with commits(installation) as loop:
            good = [asking(made) for _ in range(50)]
            bad = asking(given, **POISON[poison])
            first, outcome, second = await asyncio.gather(
                all_at_once(loop, good[:25]),
                asyncio.gather(loop.join(bad), return_exceptions=True),
                all_at_once(loop, good[25:]),
            )
            return first + second, outcome[0], await all_at_once(loop, [asking(made)])

    neighbours, outcome, afterwards = asyncio.run(main())

    written = rows(installation)
    assert len(tokens(neighbours)) == 50
    assert [len(written[token.jti]) for token in tokens(neighbours)] == [1] * 50
    assert len(tokens(afterwards)) == 1
    if isinstance(outcome, Issued):  # SQLite keeps a NUL in a text
        assert len(written[outcome.jti]) == 1
    else:
        failed = outcome if isinstance(outcome, OAuthError) else outcome.error
        assert failed.status in (401, 500, 503)


def test_a_poisoned_request_is_not_counted_twice(installation: Installation) -> None:
    """The refusals of the batch are decided again one by one; the sum is what was told."""
    made = installation.create_client("customers:read")
    wrong = Credentials(made.client_id, secrets.new().reveal())

    async def main() -> None:
        async with commits(installation) as loop:
            await all_at_once(loop, [asking(wrong) for _ in range(5)])
            bad = asking(made, ip="\ud800")
            await all_at_once(loop, [*[asking(wrong) for _ in range(5)], bad])

    asyncio.run(main())

    counts = [e["detail"].get("count", 1) for e in installation.events(event="token.refused")]
    assert counts == [1, 9]


@pytest.mark.spec("contract", "Audit events", "When it cannot be written the answer is 503")
def test_without_its_row_no_token_leaves(installation: Installation) -> None:
    """A trigger refuses every audit row: all get 503, nothing is there, and then it goes on."""
    made = installation.create_client("customers:read")

    async def main() -> tuple[list[Any], list[Any]]:
        async with commits(installation) as loop:
            assert isinstance(await loop.join(asking(made)), Issued)
            with refusing(installation, "audit_event", "true"):
                during = await all_at_once(loop, [asking(made) for _ in range(30)])
            return during, await all_at_once(loop, [asking(made) for _ in range(30)])

    during, after = asyncio.run(main())

    assert {type(outcome) for outcome in during} == {TemporarilyUnavailable}
    assert len(tokens(after)) == 30
    assert len(rows(installation)) == 31


def test_a_refusal_that_cannot_be_recorded_is_not_told(installation: Installation) -> None:
    """503 as well: a guess must not get an answer that leaves no trace."""
    made = installation.create_client("customers:read")
    wrong = Credentials(made.client_id, secrets.new().reveal())

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            with refusing(installation, "audit_event", "true"):
                return await all_at_once(loop, [asking(wrong)])

    assert {type(outcome) for outcome in asyncio.run(main())} == {TemporarilyUnavailable}
    assert installation.events(event="token.refused") == []


def test_a_row_that_is_refused_fails_its_own_request_only(installation: Installation) -> None:
    """The trigger is about one client: the other one's tokens leave, each with one row."""
    made, other = (installation.create_client("customers:read") for _ in range(2))

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            condition = f"new.client_id = '{other.client_id}'"
            with refusing(installation, "audit_event", condition):
                asked = [asking(other if n % 10 == 3 else made) for n in range(60)]
                return await all_at_once(loop, asked)

    outcomes = asyncio.run(main())

    assert {type(outcome) for outcome in outcomes[3::10]} == {TemporarilyUnavailable}
    assert len(tokens(outcomes)) == 54
    written = rows(installation)
    assert [len(written[token.jti]) for token in tokens(outcomes)] == [1] * 54


@pytest.mark.parametrize("table", ["usage", "audit_event"])
def test_sums_that_cannot_be_written_stop_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Tokens go on being issued while the usage or the sums of refusals are refused."""
    monkeypatch.setattr(commit, "USAGE_EVERY_S", 0.0)
    monkeypatch.setattr(refusals, "WINDOW", timedelta(milliseconds=1))
    made = installation.create_client("customers:read")
    wrong = Credentials(made.client_id, secrets.new().reveal())
    condition = "true" if table == "usage" else "new.detail like '%count%'"

    async def main() -> list[Any]:
        outcomes = []
        async with commits(installation) as loop:
            with refusing(installation, table, condition):
                for _ in range(5):
                    await all_at_once(loop, [asking(wrong) for _ in range(3)])
                    outcomes.append(await loop.join(asking(made)))
            return outcomes

    assert len(tokens(asyncio.run(main()))) == 5


def test_a_token_that_cannot_be_signed_fails_alone(installation: Installation) -> None:
    """Its row is there, it is not: a 500 for its caller, tokens for the others."""
    made = installation.create_client("customers:read")

    def sign(issued: Issued) -> Issued:
        if issued.ip == "192.0.2.66":
            raise ValueError("this one not")
        return issued

    async def main() -> list[Any]:
        async with commits(installation, sign=sign) as loop:
            asked = [asking(made, ip=f"192.0.2.{60 + n}") for n in range(20)]
            return await all_at_once(loop, asked)

    outcomes = asyncio.run(main())

    assert isinstance(outcomes[6], ServerError)
    assert len(tokens(outcomes)) == 19


@pytest.mark.spec("threats", "21", "a time-out is unknown, never success")
def test_a_database_that_hangs_is_503_in_time_and_works_again_afterwards(
    installation: Installation,
) -> None:
    """Whoever waits is answered within seconds, no token is issued, and then all is well."""
    made = installation.create_client("customers:read")

    async def main() -> tuple[list[Any], float]:
        async with commits(installation) as loop:
            assert isinstance(await loop.join(asking(made)), Issued)
            with locked(installation):
                began = time.monotonic()
                during = await all_at_once(loop, [asking(made) for _ in range(20)])
                took = time.monotonic() - began
            async with asyncio.timeout(15):
                while not tokens(await all_at_once(loop, [asking(made)])):
                    pass
            return during, took

    during, took = asyncio.run(main())

    assert {type(outcome) for outcome in during} == {TemporarilyUnavailable}
    assert took < 8


def test_that_no_commit_comes_through_is_told_until_one_does(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to come for it: who is told to stay away could not find out that all is well."""
    monkeypatch.setattr(commit, "BUDGET_S", 0.5)
    made = installation.create_client("customers:read")

    async def main() -> None:
        async with commits(installation) as loop:
            assert tokens(await all_at_once(loop, [asking(made)]))
            with locked(installation):
                while "commits failed" not in loop.fault:
                    assert not tokens(await all_at_once(loop, [asking(made)]))
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    assert loop.fault
                    await asyncio.sleep(0.05)
            await eventually(lambda: not loop.fault)
            assert tokens(await all_at_once(loop, [asking(made)]))

    asyncio.run(main())

    assert len(rows(installation)) == 2
    assert not installation.events(event="token.refused")


def test_what_one_request_breaks_is_not_told(installation: Installation) -> None:
    """Whoever sends nothing but poison must not make the server seem broken."""
    made = installation.create_client("customers:read")

    async def main() -> None:
        async with commits(installation) as loop:
            for _ in range(2 * commit.FAILURES_TO_TELL):
                (outcome,) = await all_at_once(loop, [asking(made, request_id="r\udfff")])
                assert isinstance(outcome, ServerError)
            assert not loop.fault

    asyncio.run(main())


def test_so_many_may_wait_and_no_more(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound a request is told at once to try again; those before it are served."""
    monkeypatch.setattr(commit, "MAX_WAITING", 50)
    made = installation.create_client("customers:read")

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            return await all_at_once(loop, [asking(made) for _ in range(60)])

    outcomes = asyncio.run(main())

    assert len(tokens(outcomes[:50])) == 50
    assert {type(outcome) for outcome in outcomes[50:]} == {Overloaded}


def test_a_lost_connection_is_replaced(postgres_installation: Installation) -> None:
    """PostgreSQL ends all sessions: an unknown outcome or two, then tokens again."""
    made = postgres_installation.create_client("customers:read")

    async def main() -> list[Any]:
        async with commits(postgres_installation) as loop:
            outcomes = [await loop.join(asking(made))]
            execute(
                postgres_installation,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()",
            )
            async with asyncio.timeout(15):
                while len(tokens(outcomes)) < 3:
                    outcomes += await all_at_once(loop, [asking(made)])
                    await asyncio.sleep(0.05)
            return outcomes

    outcomes = asyncio.run(main())

    failed = [outcome for outcome in outcomes if not isinstance(outcome, Issued)]
    assert failed
    assert {type(outcome) for outcome in failed} == {TemporarilyUnavailable}


def test_a_connection_that_cannot_be_set_up_is_not_kept(
    postgres_installation: Installation,
) -> None:
    """A table is away while it is made, as in a restore: once it is back there are tokens."""
    made = postgres_installation.create_client("customers:read")

    async def main() -> tuple[list[Any], list[Any]]:
        async with commits(postgres_installation) as loop:
            execute(postgres_installation, "alter table client rename to client_away")
            during = await all_at_once(loop, [asking(made)])
            execute(postgres_installation, "alter table client_away rename to client")
            await asyncio.sleep(0.6)
            return during, await all_at_once(loop, [asking(made)])

    during, after = asyncio.run(main())

    assert {type(outcome) for outcome in during} == {TemporarilyUnavailable}
    assert len(tokens(after)) == 1


def test_sums_without_a_standby_fail_no_token(
    postgres_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the standby did not confirm were the sums; the next commit is another."""
    monkeypatch.setattr(commit, "USAGE_EVERY_S", 0.0)
    made = postgres_installation.create_client("customers:read")
    cancelled = """
        create function cancelled() returns trigger language plpgsql as $$
            begin
                raise warning 'canceling wait for synchronous replication';
                return null;
            end $$;
        create trigger cancelled after insert on usage
            for each statement execute function cancelled()
    """

    async def main() -> list[Any]:
        outcomes = []
        async with commits(postgres_installation) as loop:
            execute(postgres_installation, cancelled)
            for _ in range(3):
                outcomes += await all_at_once(loop, [asking(made)])
                await asyncio.sleep(0.05)
        return outcomes

    assert len(tokens(asyncio.run(main()))) == 3


def test_refusals_are_dated_by_the_databases_clock(
    postgres_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of requests that name no client, before any that does: the process's may be wrong."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return super().now(tz) + timedelta(hours=1)

    monkeypatch.setattr(commit_postgres, "datetime", Ahead)

    async def main() -> None:
        async with commits(postgres_installation) as loop:
            for _ in range(2):
                await loop.join(Refused(InvalidClient(detail="malformed"), None, "", "r-1"))

    asyncio.run(main())

    _, total = postgres_installation.events(event="token.refused")
    assert total["detail"]["last_at"] <= total["time"]


def test_keys_and_catalogue_that_cannot_be_read_are_503(installation: Installation) -> None:
    """They changed, and the database is away when they are read again: nobody's fault."""
    made = installation.create_client("customers:read")
    away = False

    def facts() -> Facts:
        if away:
            raise DatabaseUnavailable("gone for a moment")
        return installation.context.facts()

    async def main() -> list[Any]:
        nonlocal away
        async with commits(installation, on=backend(installation, facts)) as loop:
            outcomes: list[Any] = [await loop.join(asking(made))]
            installation.apply_catalogue(CATALOGUE.replace("List customers", "See customers"))
            away = True
            outcomes += await all_at_once(loop, [asking(made) for _ in range(3)])
            away = False
            return outcomes + await all_at_once(loop, [asking(made)])

    first, *during, last = asyncio.run(main())

    assert isinstance(first, Issued)
    assert {type(outcome) for outcome in during} == {TemporarilyUnavailable}
    assert isinstance(last, Issued)
