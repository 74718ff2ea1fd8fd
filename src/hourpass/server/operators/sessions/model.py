"""What a session is, how long it lasts, and how long failures keep an account waiting. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from hourpass.server import identifiers

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
CODE_WITHIN = timedelta(minutes=5)
REAUTHENTICATED_WITHIN = timedelta(minutes=15)
SEEN_EVERY = timedelta(minutes=1)
MAX_SESSIONS = 20
"""A person's sessions at a time; the oldest end when there are more."""

_FREE_FAILURES = 5
_LONGEST_WAIT = timedelta(minutes=15)
_FORGOTTEN_AFTER = timedelta(hours=24)


_SESSION_ID = re.compile("ses_" + identifiers.FORM)


def is_session_id(text: str) -> bool:
    """Whether `text` has the exact form of a session's ID."""
    return _SESSION_ID.fullmatch(text) is not None


class Stage(StrEnum):
    """A session that is still to give a code opens nothing but the step that takes the code."""

    CODE = "code"
    OPEN = "open"


class Method(StrEnum):
    """What a session came from."""

    PASSWORD = "password"  # noqa: S105  (a method's name)
    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser of one operator; the token that opens it is not part of it."""

    session_id: str
    operator_id: str
    stage: Stage
    method: Method
    created_at: datetime
    last_seen_at: datetime
    authenticated_at: datetime
    ip: str | None = None
    browser: str | None = None
    """Which one it said it was when it signed in (`browsers.name_of`)."""

    def is_live(self, now: datetime) -> bool:
        """Within both limits: since it was made, and since it was last used."""
        if self.stage is Stage.CODE:
            return now < self.created_at + CODE_WITHIN
        return now < self.created_at + ABSOLUTE and now < self.last_seen_at + IDLE

    def is_fresh(self, now: datetime) -> bool:
        """Whether the person proved themselves so recently that dangerous deeds are allowed."""
        return self.is_live(now) and now < self.authenticated_at + REAUTHENTICATED_WITHIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What is remembered of an account's failed sign-ins."""

    count: int
    last_at: datetime
    blocked_until: datetime

    def wait(self, now: datetime) -> timedelta:
        """How long until the next attempt is looked at; zero when it is now."""
        return max(timedelta(0), self.blocked_until - now)

    def with_attempt(self, now: datetime) -> "Failures":
        """With one attempt more, which counts as failed until it has succeeded."""
        count = 1 if now >= self.last_at + _FORGOTTEN_AFTER else self.count + 1
        return Failures(count=count, last_at=now, blocked_until=now + delay_after(count))


def delay_after(failures: int) -> timedelta:
    """No delay at first, then one that doubles, and never more than a quarter of an hour."""
    if failures <= _FREE_FAILURES:
        return timedelta(0)
    exponent = min(failures - _FREE_FAILURES, 10)
    return min(timedelta(seconds=2**exponent), _LONGEST_WAIT)
