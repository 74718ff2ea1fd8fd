"""Limits as simply as they can be said: what the real ones are compared with."""

from collections.abc import Sequence

from hypothesis import strategies as st

from hourpass.limits import Rule

KEYS = [("api", "ann"), ("api", "ben"), ("api", "ann", "a:read"), ("api", "ann", "b:read")]


def rules_of_a_call() -> st.SearchStrategy[tuple[Rule, ...]]:
    """One to three rules with different keys; the same key may come with other limits later."""
    rule = st.builds(
        lambda key, number: Rule(policy="x", per_minute=number, key=key),
        st.sampled_from(KEYS),
        st.integers(1, 4),
    )
    return st.lists(rule, min_size=1, max_size=3, unique_by=lambda rule: rule.key).map(tuple)


class Model:
    """Windows by key: when each began, and how many requests it has counted."""

    def __init__(self) -> None:
        self.windows: dict[tuple[str, ...], tuple[float, int]] = {}

    def take(self, rules: Sequence[Rule], now: float = 0.0) -> bool:
        """Whether the request passes; only then it is counted, by all of its rules."""
        self.windows = {key: w for key, w in self.windows.items() if now - w[0] < 60}
        if any(self.count(rule) >= rule.per_minute for rule in rules):
            return False
        for rule in rules:
            began, _ = self.windows.get(rule.key, (now, 0))
            self.windows[rule.key] = (began, self.count(rule) + 1)
        return True

    def count(self, rule: Rule) -> int:
        """How many requests the rule's window has counted."""
        return self.windows.get(rule.key, (0, 0))[1]

    def ends(self, rule: Rule, now: float) -> float:
        """Seconds until the window is over; one that has not begun would take a minute."""
        return self.windows.get(rule.key, (now, 0))[0] + 60 - now
