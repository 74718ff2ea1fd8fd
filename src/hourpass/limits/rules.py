"""What is counted for a request, whether it passes, and what its answer says. Pure.

A rule allows so many requests in a window of 60 seconds, which begins with the first request that
is counted in it. A request passes when all of its rules allow it, and only then it is counted, by
all of them: a refused request costs nothing.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

WINDOW_SECONDS = 60
MAX_PER_MINUTE = 1_000_000

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """At most `per_minute` requests for one `key`, which is any texts that tell them apart.

    `policy` is its name in the headers: printable ASCII without `"` and backslash.
    """

    policy: str
    per_minute: int
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request passes, and how its rules stand after it, each at the rule's place.

    `used` is how many requests the window has counted; `resets_in` the seconds until it ends.
    """

    rules: tuple[Rule, ...]
    allowed: bool
    used: tuple[int, ...]
    resets_in: tuple[float, ...]

    @property
    def retry_after(self) -> int:
        """Whole seconds until every rule that refuses allows a request again; 0 when none does."""
        return max(
            (
                _whole(left)
                for rule, used, left in zip(self.rules, self.used, self.resets_in, strict=True)
                if used >= rule.per_minute
            ),
            default=0,
        )

    @property
    def headers(self) -> Headers:
        """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers, section 3).

        Names are in lower case. A refusal has `Retry-After` (RFC 9110 section 10.2.3) as well.
        """
        policies, standings = [], []
        for rule, used, left in zip(self.rules, self.used, self.resets_in, strict=True):
            policies.append(f'"{rule.policy}";q={rule.per_minute};w={WINDOW_SECONDS}')
            remaining = max(0, rule.per_minute - used)
            standings.append(f'"{rule.policy}";r={remaining};t={_whole(left)}')
        told = (
            ("ratelimit-policy", ", ".join(policies)),
            ("ratelimit", ", ".join(standings)),
        )
        return told if self.allowed else (("retry-after", str(self.retry_after)), *told)


def _whole(seconds: float) -> int:
    """Rounded up: whoever waits so long finds the window over."""
    return max(1, math.ceil(seconds))


def _none() -> Mapping[str, int]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PerMinute:
    """The limits of one API, in requests a minute; None and absent mean without limit.

    `api` is for each client separately; `clients` has the clients, by client ID, for which another
    number takes its place; `scopes` limits, for each client separately, the requests that the scope
    granted.
    """

    api: int | None = None
    clients: Mapping[str, int] = field(default_factory=_none)
    scopes: Mapping[str, int] = field(default_factory=_none)

    def __post_init__(self) -> None:
        """Raises ValueError for a limit that is no whole number from 1 to 1,000,000."""
        own = () if self.api is None else (self.api,)
        for number in (*own, *self.clients.values(), *self.scopes.values()):
            if not is_limit(number):
                raise ValueError(f"a limit is 1 to {MAX_PER_MINUTE} requests a minute: {number!r}")

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return self.api is not None or bool(self.clients) or bool(self.scopes)

    def rules(
        self, audience: str, client_id: str, granted_by: Iterable[str] = (), own: int | None = None
    ) -> tuple[Rule, ...]:
        """What is counted for a request of a client at the API `audience`.

        `granted_by` are those of the token's scopes that open the request. One of them counts, the
        most generous: to hold one more scope never allows less. `own` is the client's own limit
        where the caller knows it better than `clients`.
        """
        found = []
        number = self.clients.get(client_id, self.api) if own is None else own
        if number is not None:
            found.append(Rule(policy="client", per_minute=number, key=(audience, client_id)))
        if self.scopes:
            scope = self._generous(granted_by)
            if scope is not None:
                rule = Rule(
                    policy=f"scope:{scope}",
                    per_minute=self.scopes[scope],
                    key=(audience, client_id, scope),
                )
                found.append(rule)
        return tuple(found)

    def _generous(self, granted_by: Iterable[str]) -> str | None:
        """The scope that counts; None when there is none, or one that has no limit."""
        names = sorted(granted_by)
        if any(name not in self.scopes for name in names):
            return None
        return max(names, key=self.scopes.__getitem__, default=None)


def is_limit(number: object) -> bool:
    """Whether it can be a limit: a whole number from 1 to 1,000,000."""
    if isinstance(number, bool) or not isinstance(number, int):
        return False
    return 1 <= number <= MAX_PER_MINUTE
