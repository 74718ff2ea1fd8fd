"""How many clients PostgreSQL reads for a batch: those that it is about, and no others.

The planner knows nothing of tables that were filled a moment ago, and would rather read them
whole for each row of a batch.
"""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from commits import asking

from hourpass.server.db.schema import client
from hourpass.server.tokens.claims import Claims
from hourpass.server.tokens.commit_postgres import PostgresCommit
from hourpass.server.tokens.exchange import Issued
from hourpass.server.tokens.refusals import RefusalCounters
from hourpass.server.tokens.standing_store import PostgresStanding, Question
from support.installation import Credentials, Installation

OTHERS = 700
ASKING = 20


@pytest.fixture
def callers(postgres_installation: Installation) -> Iterator[list[Credentials]]:
    """Twenty clients among hundreds of others, in tables that nobody has analyzed."""
    url = _url(postgres_installation)
    made = [postgres_installation.create_client("customers:read") for _ in range(ASKING)]
    copied = ", ".join(c.name for c in client.columns if c.name not in ("seq", "client_id"))
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE client SET (autovacuum_enabled = false)")
        connection.execute(
            f"INSERT INTO client (client_id, {copied})"
            f" SELECT 'm2m_' || lpad(n::text, 20, '0'), {copied}"
            " FROM client, generate_series(1, %s) n WHERE client_id = %s".encode(),
            (OTHERS, made[0].client_id),
        )
    yield made


def test_a_commit_reads_the_clients_that_ask(
    postgres_installation: Installation, callers: list[Credentials]
) -> None:
    """A batch of twenty reads twenty rows, however many clients there are."""
    backend = PostgresCommit(_url(postgres_installation), postgres_installation.context.facts)
    try:
        batch = [asking(caller) for caller in callers]
        backend.commit(batch, RefusalCounters())  # from now on it remembers them
        before = _read_so_far(backend._connected())
        outcomes, _ = backend.commit([asking(caller) for caller in callers], RefusalCounters())

        assert all(isinstance(outcome, Issued) for outcome in outcomes)
        assert _read_so_far(backend._connected()) - before == ASKING
    finally:
        backend.close()


def test_a_look_reads_the_clients_that_are_asked_about(
    postgres_installation: Installation, callers: list[Credentials]
) -> None:
    """So does a look at how twenty tokens stand, and who asks about them."""
    url = _url(postgres_installation)
    asked = [
        Question(_claims(caller.client_id, f"jti-{number}"), caller.client_id)
        for number, caller in enumerate(callers)
    ]

    async def main() -> int:
        store = PostgresStanding(url)
        try:
            await store.look(asked)  # from now on it remembers them
            connection = await store._connected()
            before = await flushed(connection)
            seen = await store.look(asked)
            assert all(one.caller is not None and one.standing is not None for one in seen)
            return await flushed(connection) - before
        finally:
            await store.close()

    async def flushed(connection: psycopg.AsyncConnection) -> int:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        with psycopg.connect(url) as other:
            return _clients_read(other)

    assert asyncio.run(main()) == 2 * ASKING


def _claims(client_id: str, jti: str) -> Claims:
    return Claims(
        client_id=client_id,
        scope="customers:read",
        scopes=frozenset(("customers:read",)),
        audiences=("https://api.example.com",),
        generation=1,
        organization="default",
        issued_at=0,
        not_before=0,
        expires_at=0,
        jti=jti,
    )


def _url(installation: Installation) -> str:
    return installation.context.settings.database_url.get_secret_value()


def _read_so_far(connection: psycopg.Connection) -> int:
    connection.execute("SELECT pg_stat_force_next_flush()")
    return _clients_read(connection)


def _clients_read(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'client'"
    ).fetchone()
    assert row is not None
    return int(row[0])
