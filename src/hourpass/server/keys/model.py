"""Signing keys and their timetable: next → active → retiring → gone. Pure.

A key is published (in the JWKS) at least the JWKS max-age before it signs, and stays published
until the last token it signed has expired for every verifier that caches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from hourpass.oauth.jose import Algorithm

TOKEN_LIFETIME = timedelta(seconds=3600)
JWKS_MAX_AGE = timedelta(seconds=300)
CLOCK_SKEW = timedelta(seconds=60)
PUBLISHED_BEFORE_USE = JWKS_MAX_AGE + CLOCK_SKEW
PUBLISHED_AFTER_USE = TOKEN_LIFETIME + CLOCK_SKEW + JWKS_MAX_AGE


class KeyState(StrEnum):
    """Where a key stands in its life."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"
    GONE = "gone"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """What is known of a signing key; its private half is sealed elsewhere."""

    kid: str
    algorithm: Algorithm
    public_jwk: dict[str, str]
    created_at: datetime
    activates_at: datetime
    retires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> KeyState:
        """Worked out from the clock, never stored."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if now < self.activates_at:
            return KeyState.NEXT
        if self.retires_at is None or now < self.retires_at:
            return KeyState.ACTIVE
        return KeyState.RETIRING if now < self.retires_at + PUBLISHED_AFTER_USE else KeyState.GONE


def published(keys: Iterable[SigningKey], now: datetime) -> list[SigningKey]:
    """The keys that the JWKS shows now, the active one first."""
    shown = {KeyState.ACTIVE: 0, KeyState.NEXT: 1, KeyState.RETIRING: 2}
    visible = [key for key in keys if key.state(now) in shown]
    return sorted(visible, key=lambda key: (shown[key.state(now)], key.activates_at))


def newest(keys: Iterable[SigningKey]) -> SigningKey | None:
    """The last key in line that was not revoked."""
    usable = [key for key in keys if key.revoked_at is None]
    return max(usable, key=lambda key: key.activates_at, default=None)


def active(keys: Iterable[SigningKey], now: datetime) -> SigningKey | None:
    """The key that signs now.

    A clock that was set back is no reason to issue nothing: before the first key, or where the
    one of that time was revoked, the next in line signs. It is published already.
    """
    usable = [key for key in keys if key.revoked_at is None]
    current = next((key for key in usable if key.state(now) is KeyState.ACTIVE), None)
    coming = (key for key in usable if key.state(now) is KeyState.NEXT)
    return current or min(coming, key=lambda key: key.activates_at, default=None)


def following(last: SigningKey | None, now: datetime, period: timedelta) -> datetime:
    """When a key made now, to come after `last`, begins to sign.

    The first of all signs at once; any other not before verifiers had time to see it.
    """
    if last is None:
        return now
    return max(last.activates_at + period, now + PUBLISHED_BEFORE_USE)


def earliest_use(key: SigningKey, now: datetime) -> datetime:
    """The first moment at which every verifier that caches for the max-age knows `key`."""
    return max(now, key.created_at + PUBLISHED_BEFORE_USE)
