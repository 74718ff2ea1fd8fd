"""What is remembered of clients is bounded, and the bound is nobody's refusal."""

import asyncio

import pytest
from commits import all_at_once, asking, backend, commits, tokens

from hourpass.server.tokens.commit_postgres import PostgresCommit
from hourpass.server.tokens.commit_sqlite import SqliteCommit
from hourpass.server.tokens.exchange import Registered
from hourpass.server.tokens.remembered import Remembered
from support.installation import Installation


def test_more_clients_than_are_remembered_all_get_their_tokens(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To remember one client forgets another; in the same batch that must not refuse it."""
    credentials = [installation.create_client("customers:read") for _ in range(12)]
    running = backend(installation)
    assert isinstance(running, SqliteCommit | PostgresCommit)
    remembered = Remembered[str, Registered](5)
    monkeypatch.setattr(running, "_remembered", remembered)

    async def rounds() -> list[int]:
        issued = []
        async with commits(installation, on=running) as loop:
            for first in (4, 12, 8, 12):
                outcomes = await all_at_once(loop, [asking(c) for c in credentials[:first]])
                issued.append(len(tokens(outcomes)))
        return issued

    assert asyncio.run(rounds()) == [4, 12, 8, 12]
    assert sum(remembered.get(c.client_id) is not None for c in credentials) == 5


def test_the_one_remembered_longest_makes_room() -> None:
    """For a new one only: what is put again, or forgotten, costs no other its place."""
    remembered = Remembered[str, int](2)
    for key, value in (("a", 1), ("b", 2), ("b", 3)):
        remembered.put(key, value)
    assert (remembered.get("a"), remembered.get("b")) == (1, 3)
    remembered.put("c", 4)
    assert [remembered.get(key) for key in "abc"] == [None, 3, 4]
    remembered.forget("b")
    remembered.forget("b")
    remembered.put("d", 5)
    assert ([remembered.get(key) for key in "abcd"], len(remembered)) == ([None, None, 4, 5], 2)
    remembered.clear()
    assert (remembered.get("d"), len(remembered)) == (None, 0)
