"""A commit loop on an installation's own database, without HTTP: what joins and what comes out."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hourpass.server.clients.secrets import Secret
from hourpass.server.tokens.authenticate import RawRequest, TokenRequest
from hourpass.server.tokens.commit import Backend, CommitLoop
from hourpass.server.tokens.commit_postgres import PostgresCommit
from hourpass.server.tokens.commit_sqlite import SqliteCommit
from hourpass.server.tokens.exchange import Facts, Issued, Refused
from support.installation import Credentials, Installation

Outcome = Issued | Refused | BaseException
_numbers = itertools.count(1)


def backend(installation: Installation, load_facts: Callable[[], Facts] | None = None) -> Backend:
    """As `serve` makes it."""
    context = installation.context
    load = load_facts or context.facts
    if context.settings.is_postgresql:
        return PostgresCommit(context.settings.database_url.get_secret_value(), load)
    return SqliteCommit(context.settings.sqlite_path, load)


def unsigned(issued: Issued) -> Issued:
    """Signs nothing: these tests look at what would be signed."""
    return issued


@asynccontextmanager
async def commits(
    installation: Installation,
    *,
    on: Backend | None = None,
    on_broken: Callable[[], object] = lambda: None,
    sign: Callable[[Issued], Any] = unsigned,
) -> AsyncIterator[CommitLoop[Any]]:
    """A running loop; stopped when the block ends, at the latest after a minute."""
    loop = CommitLoop(on or backend(installation), on_broken, sign)
    loop.start()
    try:
        async with asyncio.timeout(60):
            yield loop
    finally:
        await loop.stop()


def asking(credentials: Credentials, **more: Any) -> TokenRequest:
    """A request for a token, with an ID of its own."""
    values: dict[str, Any] = {
        "method": "client_secret_basic",
        "request_id": f"r-{next(_numbers)}",
        "ip": "192.0.2.1",
        **more,
    }
    return TokenRequest(
        client_id=credentials.client_id, secret=Secret(credentials.secret), **values
    )


async def all_at_once(
    loop: CommitLoop[Any], joined: Sequence[TokenRequest | Refused | RawRequest]
) -> list[Outcome]:
    """The outcome of each, or what it raised, in the order given."""
    return await asyncio.gather(*map(loop.join, joined), return_exceptions=True)


def tokens(outcomes: Sequence[Outcome]) -> list[Issued]:
    """Those that are tokens."""
    return [outcome for outcome in outcomes if isinstance(outcome, Issued)]


def reasons(outcomes: Sequence[Outcome]) -> list[str]:
    """Why there is no token, for each; every one has to be a refusal."""
    assert all(isinstance(outcome, Refused) for outcome in outcomes)
    return [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)]


def rows(installation: Installation) -> dict[str, list[dict[str, Any]]]:
    """The `token.issued` rows by the `jti` that they name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in installation.events(event="token.issued"):
        found.setdefault(event["detail"]["jti"], []).append(event)
    return found


async def eventually(truth: Callable[[], bool]) -> None:
    """Wait until it is so; fail when it is not within ten seconds."""
    async with asyncio.timeout(10):
        while not truth():  # noqa: ASYNC110  (another thread makes it true)
            await asyncio.sleep(0.02)
