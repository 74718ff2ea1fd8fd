"""What is remembered of clients is bounded, and the bound is nobody's refusal."""

import asyncio

import pytest
from commits import all_at_once, asking, backend, commits, tokens

from hourpass.server.tokens.commit_postgres import PostgresCommit
from hourpass.server.tokens.commit_sqlite import SqliteCommit
from hourpass.server.tokens.registered import Remembered
from support.installation import Installation


def test_more_clients_than_are_remembered_all_get_their_tokens(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To remember one client forgets another; in the same batch that must not refuse it."""
    credentials = [installation.create_client("customers:read") for _ in range(12)]
    running = backend(installation)
    assert isinstance(running, SqliteCommit | PostgresCommit)
    remembered = Remembered(limit=5)
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
