"""Online checks without the read: signature, claims and answer as ever, rows taken as claimed.

What is left of `/verify` and `/introspect` when nothing is exact: the price of being exact is
the difference. Takes the port; settings come from the environment as for `hourpass serve`.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hourpass.server import config, http_server
from hourpass.server.app import App
from hourpass.server.context import open_context
from hourpass.server.tokens.exchange import Registered
from hourpass.server.tokens.standing import Standing
from hourpass.server.tokens.standing_store import Question, Seen, StandingStore


class Unread:
    """Reads versions and callers once, and never again."""

    def __init__(self, real: StandingStore) -> None:
        self._real = real
        self._versions: Seen | None = None
        self._callers: dict[str, Registered | None] = {}

    async def look(self, questions: Sequence[Question]) -> list[Seen]:
        """What the tokens claim."""
        if self._versions is None:
            (self._versions,) = await self._real.look([Question()])
        for question in questions:
            if question.caller is not None and question.caller not in self._callers:
                (seen,) = await self._real.look([question])
                self._callers[question.caller] = seen.caller
        now = datetime.now(UTC)
        return [self._seen(question, self._versions, now) for question in questions]

    def _seen(self, question: Question, versions: Seen, now: datetime) -> Seen:
        claims = question.claims
        standing = None
        if claims is not None:
            standing = Standing(
                generation=claims.generation,
                organization=claims.organization,
                organization_suspended=False,
                revoked=False,
            )
        return Seen(
            standing=standing,
            caller=None if question.caller is None else self._callers[question.caller],
            catalogue_version=versions.catalogue_version,
            keys_version=versions.keys_version,
            now=now,
        )

    def abandon(self) -> None:
        """Nothing hangs."""

    async def close(self) -> None:
        """As the real one."""
        await self._real.close()


def main(port: int) -> None:
    """Serve until told to stop."""
    context = open_context(config.load(), busy_timeout_s=1)
    app = App(context)
    live: Any = app._live
    live._store = Unread(live._store)
    listener = http_server.listen("127.0.0.1", port)
    http_server.run(app, listener, certificate=None, key=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
