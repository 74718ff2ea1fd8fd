"""When a token is used, renewed, waited for or given up: values and a clock, no I/O.

    0 %                       80–90 %              95 %, or 10 s before the end
    ├─ used ──────────────────┼─ used, and renewed ─┼─ not used any more: callers wait
                                in the background

All times are readings of one monotonic clock, in seconds. A token's life is counted from the
moment before it was asked for, so the time on the way is never taken for life. `spread` is a
random number from 0 up to 1; it keeps programs that began together from asking together.
"""

from dataclasses import dataclass, field, replace

from hourpass.client.answer import Granted
from hourpass.client.errors import ServerUnavailable, TokenError

RENEW_FROM, RENEW_TO = 0.80, 0.90
"""Parts of its life between which a token is renewed."""
MARGIN_PART, MARGIN_S = 0.05, 10.0
"""A token this near to its end could expire on its way to the API."""
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 30.0
REPLACE_EVERY_S = 5.0
"""An API that refuses every token costs the token endpoint one request in so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A token, and until when it is good for what."""

    access_token: str = field(repr=False)
    scope: str | None
    renew_at: float
    usable_until: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a token source knows."""

    held: Held | None = None
    failure: TokenError | None = None
    """Why the last attempt failed; None when it did not."""
    failures: int = 0
    """In a row."""
    quiet_until: float = 0.0
    """Nothing is asked before; counts only after a failure."""
    rejected: str | None = field(default=None, repr=False)
    """The token that an API refused last: not to be taken out of a cache again."""
    replaceable_from: float | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Use this token; with `renew`, begin to get the next one behind it."""

    held: Held
    renew: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """There is nothing to use: ask, or wait for whoever asks already."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Ask, but not before this reading of the clock."""

    until: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Asking would be in vain, or too late for this caller."""

    error: TokenError


def hold(granted: Granted, *, asked_at: float, spread: float) -> Held:
    """The token with its times."""
    life = granted.expires_in
    return Held(
        access_token=granted.access_token,
        scope=granted.scope,
        renew_at=asked_at + life * (RENEW_FROM + (RENEW_TO - RENEW_FROM) * spread),
        usable_until=asked_at + life - min(life * MARGIN_PART, MARGIN_S),
        expires_at=asked_at + life,
    )


def decide(state: State, now: float, give_up_at: float) -> Use | Ask | Pause | GiveUp:
    """What a caller does that wants a token now, and waits until `give_up_at` at the latest."""
    held, failure = state.held, state.failure
    quiet = failure is not None and now < state.quiet_until
    if held is not None and now < held.usable_until:
        return Use(held, renew=now >= held.renew_at and not quiet)
    if failure is None:
        return Ask()
    if not quiet:
        return Ask() if now <= give_up_at else GiveUp(failure)
    if isinstance(failure, ServerUnavailable) and state.quiet_until <= give_up_at:
        return Pause(state.quiet_until)
    return GiveUp(failure)


def succeeded(state: State, held: Held) -> State:
    """After an attempt that brought a token."""
    return State(held=held, rejected=state.rejected, replaceable_from=state.replaceable_from)


def failed(state: State, error: TokenError, now: float, spread: float) -> State:
    """After an attempt that brought none; a token that is held is still good."""
    failures = state.failures + 1
    pause = pause_s(failures, error.retry_after_s, spread)
    return replace(state, failure=error, failures=failures, quiet_until=now + pause)


def rejected(state: State, access_token: str, now: float) -> State:
    """After an API refused `access_token`: it is dropped, if it is still the one that is held.

    The same state comes back when another token is held by now, and while the last one was
    dropped less than REPLACE_EVERY_S ago: then new tokens do not help.
    """
    if state.held is None or state.held.access_token != access_token:
        return state
    if state.replaceable_from is not None and now < state.replaceable_from:
        return state
    return replace(state, held=None, rejected=access_token, replaceable_from=now + REPLACE_EVERY_S)


def pause_s(failures: int, retry_after_s: float | None, spread: float) -> float:
    """Seconds to leave the server alone after so many failures in a row.

    Doubles from half a second to half a minute, each between half and all of it; never less
    than the server asked for.
    """
    most = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 16), MAX_PAUSE_S)
    own = most * (0.5 + spread / 2)
    return own if retry_after_s is None else max(own, retry_after_s * (1 + spread / 10))
