"""Failed authentications, counted by who failed where; a spent budget is answered by 429.

A budget never bars a client: the secret is judged first, and a right one gets its answer from the
same address in the same moment. So nobody can lock a client out, neither from elsewhere nor from
the same address; a budget only tells a program with a wrong secret to slow down.
"""

import time
from collections.abc import Callable

from hourpass.limits.memory import MemoryWindows
from hourpass.limits.rules import Rule
from hourpass.oauth.errors import InvalidClient, OAuthError, TooManyAttempts
from hourpass.server.tokens.exchange import Refused
from hourpass.server.tokens.refusals import address_block

PER_CLIENT = 20
"""Failures a minute of one client ID from one address block."""
PER_BLOCK = 200
"""Failures a minute from one address block, whatever they name."""
MOST = 20_000
"""Budgets that are held at a time, about; a few hundred octets each."""


class FailureBudgets:
    """The budgets of one process, in its event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds and never goes back."""
        self._windows = MemoryWindows(clock, most=MOST)

    def __len__(self) -> int:
        return len(self._windows)

    def answer_to(self, refused: Refused) -> OAuthError:
        """What the caller is told: the refusal itself, or TooManyAttempts in its place.

        Only a failed proof counts. Client IDs that exist and others are counted alike, by what
        the request named, or the first 429 would tell which is which.
        """
        if type(refused.error) is not InvalidClient:  # its kinds are for who proved the secret
            return refused.error
        block = address_block(refused.ip)
        rules = [Rule(policy="block", per_minute=PER_BLOCK, key=(block,))]
        if refused.named:
            key = (block, refused.named)
            rules.append(Rule(policy="client", per_minute=PER_CLIENT, key=key))
        verdict = self._windows.take(rules)
        if verdict.allowed:
            return refused.error
        return TooManyAttempts(verdict.retry_after, detail=refused.reason)
