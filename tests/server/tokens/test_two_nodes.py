"""Two nodes over one PostgreSQL: each sees at once what was done through the other."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from commits import all_at_once, asking, commits, eventually, reasons, rows, tokens
from sqlalchemy import func, select

from hourpass.server.clients import lifecycle
from hourpass.server.db.schema import usage
from hourpass.server.keys import operations
from hourpass.server.tokens.exchange import Issued
from support.installation import CATALOGUE, TESTER, Credentials, Installation


def on_both(
    installation: Installation, made: Credentials, deed: Callable[[], object]
) -> tuple[list[Any], list[Any]]:
    """The outcomes on two nodes that remember the client, before and after the deed."""

    async def main() -> tuple[list[Any], list[Any]]:
        async with commits(installation) as one, commits(installation) as other:

            async def ask() -> list[Any]:
                return [await node.join(asking(made)) for node in (one, other, one, other)]

            before = await ask()
            await asyncio.to_thread(deed)
            return before, await ask()

    return asyncio.run(main())


@pytest.mark.spec(
    "contract", "Lifecycle", "Rotation makes the old secret fail at once on every node"
)
def test_a_rotation_is_seen_by_both(postgres_installation: Installation) -> None:
    """The old secret fails, on the node that never heard of it as well."""
    context = postgres_installation.context
    made = postgres_installation.create_client("customers:read")

    before, after = on_both(
        postgres_installation,
        made,
        lambda: lifecycle.rotate_secret(
            context.database, context.keyring(), made.client_id, TESTER
        ),
    )

    assert len(tokens(before)) == 4
    assert reasons(after) == ["wrong_secret"] * 4


def test_other_deeds_are_seen_by_both(postgres_installation: Installation) -> None:
    """Suspended, then other scopes, another catalogue and another key."""
    context = postgres_installation.context
    database = context.database
    made = postgres_installation.create_client("customers:read")

    def suspend() -> None:
        lifecycle.suspend(database, made.client_id, TESTER)

    def change_everything() -> None:
        lifecycle.activate(database, made.client_id, TESTER)
        lifecycle.set_scopes(database, made.client_id, frozenset({"bookings:read"}), TESTER)
        postgres_installation.apply_catalogue(CATALOGUE.replace("api.example", "v2.example"))
        (signs, *_) = context.keyring().keys
        operations.revoke(database, context.policy, signs.kid, TESTER)

    before, suspended = on_both(postgres_installation, made, suspend)
    _, changed = on_both(postgres_installation, made, change_everything)

    assert len(tokens(before)) == len(tokens(changed)) == 4
    assert reasons(suspended) == ["suspended"] * 4
    assert {token.granted.scope for token in changed} == {"bookings:read"}
    assert {token.granted.audience for token in changed} == {'"https://v2.example.com"'}
    assert {token.signer.kid for token in changed}.isdisjoint(
        token.signer.kid for token in tokens(before)
    )


@pytest.mark.spec("threats", "5", "A suspended client gets nothing by any … node")
def test_a_storm_on_two_nodes_ends_at_once(postgres_installation: Installation) -> None:
    """Requests that join either node after the answer are all refused; every token has a row."""
    made = postgres_installation.create_client("customers:read")
    before: list[Any] = []
    after: list[Any] = []

    async def main() -> None:
        async with commits(postgres_installation) as one, commits(postgres_installation) as other:
            done = asyncio.Event()

            async def caller(node: Any) -> None:
                while not done.is_set():
                    before.extend(await all_at_once(node, [asking(made)]))
                after.append(await node.join(asking(made)))

            callers = [asyncio.ensure_future(caller((one, other)[n % 2])) for n in range(20)]
            await eventually(lambda: len(before) > 100)
            await asyncio.to_thread(
                lifecycle.suspend, postgres_installation.context.database, made.client_id, TESTER
            )
            done.set()
            await asyncio.gather(*callers)

    asyncio.run(main())

    assert reasons(after) == ["suspended"] * 20
    written = rows(postgres_installation)
    assert {jti: len(found) for jti, found in written.items()} == {
        token.jti: 1 for token in tokens(before)
    }
    assert set(reasons([o for o in before if not isinstance(o, Issued)])) <= {"suspended"}


def test_the_usage_of_two_nodes_adds_up(postgres_installation: Installation) -> None:
    """Both add theirs to the same rows, at the same moment."""
    made = [postgres_installation.create_client("customers:read") for _ in range(20)]

    async def main() -> None:
        async with commits(postgres_installation) as one, commits(postgres_installation) as other:
            await all_at_once(one, [asking(client) for client in made * 2])
            await all_at_once(other, [asking(client) for client in made])
            await asyncio.gather(one.stop(), other.stop())

    asyncio.run(main())

    with postgres_installation.context.database.read() as connection:
        sums = connection.execute(
            select(usage.c.client_id, func.sum(usage.c.issued)).group_by(usage.c.client_id)
        )
        assert {row[0]: row[1] for row in sums} == {client.client_id: 3 for client in made}
