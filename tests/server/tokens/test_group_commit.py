"""The group commit on both databases: each request its own outcome, each token its one row."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from commits import all_at_once, asking, backend, commits, eventually, reasons, rows, tokens
from sqlalchemy import select
from token_requests import Octets, form

from hourpass.oauth.errors import InvalidRequest, TemporarilyUnavailable
from hourpass.server.audit.events import rfc3339
from hourpass.server.clients import lifecycle, secrets, store
from hourpass.server.db.schema import usage
from hourpass.server.tokens import commit, refusals
from hourpass.server.tokens.commit import MAX_BATCH, CommitLoop
from hourpass.server.tokens.exchange import Issued, Refused
from hourpass.server.tokens.usage import Key, Sum
from support.installation import TESTER, Credentials, Installation


def wrong(credentials: Credentials) -> Credentials:
    """The same client with a well-formed secret of nobody."""
    return Credentials(credentials.client_id, secrets.new().reveal())


def usage_of(installation: Installation) -> dict[str, tuple[int, int]]:
    """Tokens and refusals by client, over all hours."""
    found: dict[str, tuple[int, int]] = {}
    with installation.context.database.read() as connection:
        for row in connection.execute(select(usage)):
            issued, refused = found.get(row.client_id, (0, 0))
            found[row.client_id] = (issued + row.issued, refused + row.refused)
    return found


@pytest.mark.spec("contract", "Audit events", "no token leaves without its row")
def test_many_requests_at_once_are_all_decided_in_order(installation: Installation) -> None:
    """Over several commits: each outcome is that of its own request, each token has one row."""
    clients = [
        installation.create_client("customers:read", name=f"Client {number}")
        for number in range(10)
    ]
    nobody = Credentials("m2m_00000000000000000000", secrets.new().reveal())
    asked = [clients[number % 10] for number in range(600)]
    asked[7::50] = [wrong(one) for one in asked[7::50]]
    asked[11::50] = [nobody] * len(asked[11::50])
    requests = [asking(one, ip=f"192.0.2.{n % 200}") for n, one in enumerate(asked)]

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            return await all_at_once(loop, requests)

    outcomes = asyncio.run(main())

    assert len(requests) > 2 * MAX_BATCH
    written = rows(installation)
    for number, (request, outcome) in enumerate(zip(requests, outcomes, strict=True)):
        assert outcome.request_id == request.request_id
        assert outcome.ip == request.ip
        if number % 50 in (7, 11):
            assert reasons([outcome]) == ["wrong_secret" if number % 50 == 7 else "unknown_client"]
            continue
        assert outcome.client.client_id == request.client_id
        (row,) = written.pop(outcome.jti)
        assert row["request_id"] == request.request_id
        assert row["ip"] == request.ip
        assert row["time"] == rfc3339(outcome.moment)
        assert row["client_id"] == row["actor"]["id"] == request.client_id
        assert row["client_name"] == row["actor"]["name"] == outcome.client.name
        assert (row["actor"]["type"], row["organization"]) == ("client", "default")
    assert written == {}


def test_the_row_says_which_token_it_was(installation: Installation) -> None:
    """Its ID, scopes, audience, signing key, and how the client proved itself."""
    made = installation.create_client("customers:read", "invoices:read")

    async def main() -> Any:
        async with commits(installation) as loop:
            return await loop.join(asking(made, method="json", ip=""))

    issued = asyncio.run(main())

    (row,) = rows(installation)[issued.jti]
    assert row["detail"] == {
        "jti": issued.jti,
        "scope": "customers:read invoices:read",
        "aud": json.loads(issued.granted.audience),
        "kid": issued.signer.kid,
        "method": "json",
    }
    assert row["ip"] is None
    assert abs(issued.moment - datetime.now(UTC)) < timedelta(seconds=60)


def test_octets_are_read_in_the_loop(installation: Installation) -> None:
    """A form is a request, anything else a refusal; neighbours of both kinds."""
    made = installation.create_client("customers:read")
    good = form(
        [
            ("grant_type", "client_credentials"),
            ("client_id", made.client_id),
            ("client_secret", made.secret),
        ]
    )
    joined = [Octets(good).raw(), Octets(b"nonsense").raw(), Octets(good).raw()]

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            return [await loop.join(one) for one in joined]

    first, second, third = asyncio.run(main())

    assert isinstance(first, Issued)
    assert reasons([second]) == ["invalid_request"]
    assert isinstance(third, Issued)


@pytest.mark.spec("contract", "Audit events", "the rest of that minute become one more row")
def test_refusals_are_one_row_and_one_sum(installation: Installation) -> None:
    """The first is there before its caller is answered; the sum at the latest when we stop."""
    made = installation.create_client("customers:read")
    first_seen: list[dict[str, Any]] = []

    async def main() -> None:
        async with commits(installation) as loop:
            await loop.join(asking(wrong(made)))
            first_seen.extend(installation.events(event="token.refused"))
            await all_at_once(loop, [asking(wrong(made)) for _ in range(299)])

    asyncio.run(main())

    (first,) = first_seen
    block = {"reason": "wrong_secret", "address_block": "192.0.2.1/32"}
    assert (first["client_id"], first["detail"]) == (made.client_id, block)
    (_, total) = installation.events(event="token.refused")
    assert total["detail"].pop("first_at") <= total["detail"].pop("last_at") <= total["time"]
    assert (total["client_id"], total["detail"]) == (made.client_id, {**block, "count": 299})
    assert total["request_id"] is None
    assert usage_of(installation) == {made.client_id: (0, 300)}


def test_a_sum_is_written_when_its_minute_is_over(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting for another request."""
    monkeypatch.setattr(refusals, "WINDOW", timedelta(milliseconds=50))
    made = installation.create_client("customers:read")

    async def main() -> None:
        async with commits(installation) as loop:
            await all_at_once(loop, [asking(wrong(made)) for _ in range(3)])
            await eventually(lambda: len(installation.events(event="token.refused")) == 2)

    asyncio.run(main())

    assert installation.events(event="token.refused")[1]["detail"]["count"] == 2


@pytest.mark.spec("contract", "HTTP", "last_token_at and usage may lag 10 s")
def test_usage_arrives_in_its_table(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the loop runs, and added to what was there; the rest when it stops."""
    monkeypatch.setattr(commit, "USAGE_EVERY_S", 0.01)
    made = installation.create_client("customers:read")
    other = installation.create_client("customers:read")

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            asked = [asking(made if number else wrong(made)) for number in range(42)]
            outcomes = await all_at_once(loop, asked)
            await eventually(lambda: usage_of(installation) == {made.client_id: (41, 1)})
            return outcomes + await all_at_once(loop, [asking(made), asking(other)])

    outcomes = asyncio.run(main())

    assert usage_of(installation) == {made.client_id: (42, 1), other.client_id: (1, 0)}
    with installation.context.database.read() as connection:
        last = store.last_token_at(connection, [made.client_id, other.client_id])
    assert last == {
        one.client_id: max(
            token.moment for token in tokens(outcomes) if token.client.client_id == one.client_id
        )
        for one in (made, other)
    }


@pytest.mark.spec("contract", "HTTP", "last_token_at and usage may lag 10 s")
def test_the_usage_of_many_clients_does_not_wait_for_more_requests(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every client asked once, all at the full hour, and then nobody comes."""
    monkeypatch.setattr(commit, "USAGE_EVERY_S", 0.01)
    monkeypatch.setattr(commit, "_USAGE_ROWS", 1)
    made = [installation.create_client("customers:read") for _ in range(16)]

    async def main() -> None:
        async with commits(installation) as loop:
            await all_at_once(loop, [asking(client) for client in made])
            await eventually(lambda: len(usage_of(installation)) == len(made))

    asyncio.run(main())


def test_stopping_while_sums_are_written_writes_the_rest(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread has written what was due, and meant to wait: first it writes all there is."""
    monkeypatch.setattr(commit, "USAGE_EVERY_S", 0.2)
    made = installation.create_client("customers:read")
    on = backend(installation)
    write_usage, writing, told = on.write_usage, threading.Event(), threading.Event()

    def slowly(sums: Sequence[tuple[Key, Sum]]) -> None:
        write_usage(sums)
        writing.set()
        told.wait(5)

    monkeypatch.setattr(on, "write_usage", slowly)

    async def main() -> None:
        async with commits(installation, on=on) as loop:
            await all_at_once(loop, [asking(wrong(made)) for _ in range(3)])
            await asyncio.sleep(0.3)
            loop._wake.set()  # as after a second in which nobody came
            await asyncio.to_thread(writing.wait, 5)
            asyncio.get_running_loop().call_later(0.1, told.set)  # `stop` has begun by then

    asyncio.run(main())

    assert [e["detail"].get("count") for e in installation.events(event="token.refused")] == [
        None,
        2,
    ]


def test_a_client_deleted_meanwhile_leaves_no_usage(installation: Installation) -> None:
    """Its sums have nobody to belong to."""
    made = installation.create_client("customers:read")

    async def main() -> None:
        async with commits(installation) as loop:
            assert isinstance(await loop.join(asking(made)), Issued)
            await asyncio.to_thread(
                lifecycle.delete, installation.context.database, made.client_id, TESTER
            )

    asyncio.run(main())

    assert usage_of(installation) == {}


def test_stopping_answers_what_waits_and_takes_no_more(installation: Installation) -> None:
    """Every request that joined has its outcome; one that comes later is told to try again."""
    made = installation.create_client("customers:read")

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            waiting = [asyncio.ensure_future(loop.join(asking(made))) for _ in range(500)]
            await asyncio.sleep(0)
        with pytest.raises(TemporarilyUnavailable):
            await loop.join(asking(made))
        answered: list[Any] = await asyncio.gather(*waiting)
        return answered

    assert len(tokens(asyncio.run(main()))) == 500
    assert len(rows(installation)) == 500


def test_a_caller_that_goes_away_disturbs_nobody(installation: Installation) -> None:
    """Its row may be there; the others have their tokens."""
    made = installation.create_client("customers:read")

    async def main() -> list[Any]:
        async with commits(installation) as loop:
            waiting = [asyncio.ensure_future(loop.join(asking(made))) for _ in range(100)]
            await asyncio.sleep(0)
            for gone in waiting[::2]:
                gone.cancel()
            answered: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
            return answered

    outcomes = asyncio.run(main())

    assert len(tokens(outcomes[1::2])) == 50
    assert {type(outcome) for outcome in outcomes[::2]} == {asyncio.CancelledError}


def test_requests_that_join_while_a_commit_runs_share_the_next(installation: Installation) -> None:
    """One after the other from many callers: all are served, none waits for ever."""
    made = installation.create_client("customers:read")

    async def caller(loop: CommitLoop[Any]) -> list[Any]:
        return [await loop.join(asking(made)) for _ in range(20)]

    async def main() -> list[list[Any]]:
        async with commits(installation) as loop:
            return await asyncio.gather(*[caller(loop) for _ in range(20)])

    outcomes = [outcome for each in asyncio.run(main()) for outcome in each]

    assert len({issued.jti for issued in tokens(outcomes)}) == 400
    assert {jti: len(found) for jti, found in rows(installation).items()} == {
        issued.jti: 1 for issued in tokens(outcomes)
    }


def test_an_outcome_decided_before_joining_is_only_recorded(installation: Installation) -> None:
    """A refusal of the endpoint itself takes the same way."""
    refused = Refused(InvalidRequest("no"), None, "192.0.2.9", "r-x")

    async def main() -> Any:
        async with commits(installation) as loop:
            return await loop.join(refused)

    assert asyncio.run(main()) == refused
    (event,) = installation.events(event="token.refused")
    assert (event["request_id"], event["ip"]) == ("r-x", "192.0.2.9")


@pytest.mark.parametrize("sign_for_s", [0.025, 60.0])
def test_a_batch_is_signed_for_a_moment_at_a_time(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, sign_for_s: float
) -> None:
    """Whoever else the event loop serves has a turn meanwhile, and no more turns than that take:
    each is long when thousands ask.
    """
    monkeypatch.setattr(commit, "_SIGN_FOR_S", sign_for_s)
    made = installation.create_client("customers:read")
    turn, signed_in = 0, []

    def slowly(outcome: Issued) -> Issued:
        time.sleep(0.005)
        signed_in.append(turn)
        return outcome

    async def main() -> list[Any]:
        nonlocal turn
        async with commits(installation, sign=slowly) as loop:
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(all_at_once(loop, [asking(made) for _ in range(100)]))
                while not asked.done():
                    turn += 1
                    await asyncio.sleep(0)
            return asked.result()

    outcomes = asyncio.run(main())

    assert len(tokens(outcomes)) == 100
    turns = len(set(signed_in))
    assert turns == 1 if sign_for_s == 60.0 else turns >= 100 / 6
