"""Periodic work, done by one process of an installation.

Every serving process, on every node, looks every few seconds whether the lock of the chores is
free. Whoever holds it does them all, for as long as it lives; then another takes over.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from hourpass.server.audit import upkeep
from hourpass.server.clients import idempotency, rollup
from hourpass.server.context import Context
from hourpass.server.db.engine import PATIENCE_S, DatabaseUnavailable
from hourpass.server.db.session_lock import CHORES_LOCK, SessionLock
from hourpass.server.keys import operations
from hourpass.server.tokens import revoke

LOOK_EVERY_S = 5.0
_AGAIN_AFTER_FAULT = timedelta(minutes=1)
_STOP_WITHIN_S = 2.0
_PATIENCE_S = 3600.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """One kind of periodic work.

    `run` is called in a thread. It keeps its transactions short, since tokens wait behind them on
    SQLite, and does no harm when another process does the same at the same moment: a holder that
    has just lost the lock does not know it yet. It may return when it is due again; None: after
    `every`.
    """

    name: str
    """For the log, before "failed" or "waits for the database"."""
    every: timedelta
    run: Callable[[Context], timedelta | None]


def _keep_timetable(context: Context) -> None:
    operations.keep_timetable(context.database, context.policy)


def _purge_idempotency_keys(context: Context) -> timedelta:
    return timedelta() if idempotency.purge(context.database) else _MINUTE


def _purge_revoked_tokens(context: Context) -> timedelta:
    return timedelta() if revoke.purge(context.database) else _MINUTE


def _keep_up_audit(context: Context) -> timedelta:
    days = context.settings.audit_retention_days
    return timedelta(seconds=upkeep.keep_up(context.database, days))


def _roll_up_usage(context: Context) -> timedelta:
    return timedelta() if rollup.roll_up(context.database) else _HOUR


_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
CHORES = (
    Chore(name="the timetable of signing keys", every=_MINUTE, run=_keep_timetable),
    Chore(name="forgetting old idempotency keys", every=_MINUTE, run=_purge_idempotency_keys),
    Chore(name="forgetting expired revocations", every=_MINUTE, run=_purge_revoked_tokens),
    Chore(name="the upkeep of the audit trail", every=_MINUTE, run=_keep_up_audit),
    Chore(name="summing old usage by the day", every=_HOUR, run=_roll_up_usage),
)


class Chores:
    """The chores of one process, in a thread of their own. `start` them, `stop` them.

    The thread is a daemon: a chore that hangs, or is long, keeps no process from ending. A chore
    cut short is rolled back; the next holder of the lock starts it again.
    """

    def __init__(self, context: Context, chores: Sequence[Chore] = CHORES) -> None:
        self._context = context
        self._chores = chores
        self._lock = SessionLock(context.database, CHORES_LOCK)
        self._is_holder = False
        self._is_away = False
        self._due_at: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look at once, and from then on every few seconds."""
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the chore under way end, for a moment at most; then another process may go on."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_WITHIN_S)
            if self._thread.is_alive():  # and uses the lock's connection, which ends with it
                return
        self._lock.release()

    def _run(self) -> None:
        # Longer than any statement of theirs: whoever does not answer by then has been stopped,
        # and there may be another database in its place.
        PATIENCE_S.set(_PATIENCE_S)
        while not self._stopping.is_set():
            if not self.look():
                self._stopping.wait(LOOK_EVERY_S)

    def look(self) -> bool:
        """Do what is due, if it is this process that does the chores. Raises nothing.

        True: something is due again already.
        """
        if not self._holds():
            return False
        more = False
        for chore in self._chores:
            if self._stopping.is_set():
                return False
            if time.monotonic() >= self._due_at.get(chore.name, 0.0):
                again = self._do(chore)
                more |= not again
                self._due_at[chore.name] = time.monotonic() + again.total_seconds()
        return more

    def _holds(self) -> bool:
        try:
            holds = self._lock.is_ours()
            self._is_away = False
        except DatabaseUnavailable as fault:
            holds = False
            if not self._is_away:  # once, not with every look
                self._is_away = True
                _log.warning("the chores wait for the database: %s", fault)
        except Exception:  # noqa: BLE001  (one bad look must not end the chores for good)
            holds = False
            _log.exception("whose turn the chores are could not be told; trying again")
        if holds and not self._is_holder:
            self._due_at.clear()  # what the one before has done is not known
        self._is_holder = holds
        return holds

    def _do(self, chore: Chore) -> timedelta:
        """Run one chore, and log what it raises; how long until the next time."""
        try:
            again = chore.run(self._context)
        except DatabaseUnavailable as fault:
            _log.warning("%s waits for the database: %s", chore.name, fault)
        except Exception:  # noqa: BLE001  (the others go on, and this one is tried again)
            _log.exception("%s failed; trying again in a minute", chore.name)
        else:
            return chore.every if again is None else again
        return min(chore.every, _AGAIN_AFTER_FAULT)
