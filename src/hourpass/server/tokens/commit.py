"""The group commit: token requests join the next commit, and one thread runs the commits.

    event loop:  join ─────────────────────────────────────────▶ sign ─▶ answer
    this thread:   └▶ parse ─▶ decide ─▶ audit rows ─▶ COMMIT ─────┘

One durable commit serves every request that was waiting when it began. The thread owns its
connection, the counters of refusals and the usage sums; nothing else touches them.

Each step is taken for a whole batch before the next. An ES256 signature reads 150 kB of
tables and costs half when the one before has just brought them into the cache; parsing, alike.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from hourpass.oauth.errors import Overloaded, ServerError, TemporarilyUnavailable
from hourpass.server.audit.events import AuditEvent
from hourpass.server.db.engine import BUDGET_S, PATIENCE_S, DatabaseUnavailable
from hourpass.server.tokens.authenticate import RawRequest, TokenRequest
from hourpass.server.tokens.backlog import Backlog
from hourpass.server.tokens.exchange import Issued, Refused, read
from hourpass.server.tokens.refusals import RefusalCounters
from hourpass.server.tokens.usage import Key, Sum, UsageSums

Joined = TokenRequest | Refused
Outcome = Issued | Refused
Signed = TypeVar("Signed")
_Waiter = tuple[RawRequest | Joined, "asyncio.Future[Any]", float]  # and when it joined

MAX_BATCH = 256
MAX_WAITING = 10_000
USAGE_EVERY_S = 5.0
FAILURES_TO_TELL = 3
_USAGE_ROWS = 500
_SIGN_FOR_S = 0.025

_log = logging.getLogger(__name__)


class CommitUnknown(Exception):
    """The commit failed or its outcome is not known: every waiter gets 503."""


class WriteRefused(Exception):
    """The database refused a row, for a reason that other requests' rows may not share."""


class Backend(Protocol):
    """One database's way to decide and record a batch; called by the commit thread only."""

    broken: bool
    """Set after a fault that leaves what is on disk unknown: the process has to end."""

    def commit(
        self, joined: Sequence[Joined], refusals: RefusalCounters
    ) -> tuple[list[Outcome], datetime]:
        """Decide every request and make the audit rows durable; the outcomes in order.

        Raises CommitUnknown, WriteRefused, or DatabaseUnavailable where catalogue or keys could
        not be read or the turn to write did not come: then no token of the batch may leave,
        though some may be on record. Anything else is a bug.
        """

    def write_events(self, events: Sequence[AuditEvent]) -> None:
        """Make events durable that are nobody's answer; raises CommitUnknown."""

    def write_usage(self, sums: Sequence[tuple[Key, Sum]]) -> None:
        """Add sums; raises CommitUnknown."""

    def try_write(self) -> None:
        """Whether audit rows can be made durable now, without leaving one; raises CommitUnknown."""

    def abandon(self) -> None:
        """From another thread: make a commit that hangs fail now."""

    def close(self) -> None:
        """Give the connection back."""


class Meter(Protocol):
    """Who wants to know of every batch, and not of every request. It must not raise."""

    def batch(self, outcomes: Sequence[Outcome | Exception], seconds: float) -> None:
        """In the commit thread: what became of a batch, and how long that took."""

    def over_budget(self) -> None:
        """In the event loop: a commit took longer than anybody may wait."""


class CommitLoop(Generic[Signed]):
    """Runs the commits of one process. `start` it, `join` requests, `stop` it."""

    def __init__(
        self,
        backend: Backend,
        on_broken: Callable[[], object],
        sign: Callable[[Issued], Signed],
        meter: Meter | None = None,
    ) -> None:
        """Both are called in the event loop: `sign` for each token whose row is durable,
        `on_broken` once the answers to a batch that left the disk in doubt are out.
        """
        self._backend = backend
        self._on_broken = on_broken
        self._sign = sign
        self._meter = meter
        self._waiting: deque[_Waiter] = deque()
        self._running: list[_Waiter] = []
        self._running_since: float | None = None
        self._backlog = Backlog(MAX_BATCH)
        self._wake = threading.Event()
        self._kicked = False
        self._stopping = False
        self._failures = 0  # in a row, each of a whole batch
        self._failure = ""
        self._refusals = RefusalCounters()
        self._usage = UsageSums()
        self._seen: tuple[datetime, float] | None = None
        self._usage_due = time.monotonic() + USAGE_EVERY_S
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)

    def start(self) -> None:
        """Begin; call it inside the event loop that will `join`."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        self._watch = self._loop.call_later(0.25, self._watch_over)

    async def join(self, joined: RawRequest | Joined) -> Signed | Refused:
        """The outcome, once it is durable.

        Raises TemporarilyUnavailable when that is unknown, Overloaded when too many wait.
        """
        if self._stopping:
            raise TemporarilyUnavailable
        waiting = len(self._waiting)
        if waiting >= MAX_WAITING or self._backlog.is_too_long(waiting, self._running_since):
            raise Overloaded
        future: asyncio.Future[Signed | Refused] = self._loop.create_future()
        self._waiting.append((joined, future, time.monotonic()))
        if not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._kick)
        return await future

    @property
    def waiting(self) -> int:
        """How many requests wait for the next commit."""
        return len(self._waiting)

    @property
    def fault(self) -> str:
        """Why no request can be answered now; empty when all is well."""
        since = self._running_since
        if self._backend.broken:
            return "the disk failed in a commit"
        if not self._thread.is_alive():
            return "the commit thread is not running"
        if since is not None and time.monotonic() - since > BUDGET_S:
            return f"a commit is taking longer than {BUDGET_S:g} s"
        if self._failures >= FAILURES_TO_TELL:
            return f"the last {self._failures} commits failed: {self._failure}"
        return ""

    def _kick(self) -> None:
        """Wake the thread once for all that joined in this turn of the event loop.

        Waking it for each would make the two threads wrestle for the interpreter.
        """
        self._kicked = False
        self._wake.set()

    async def stop(self) -> None:
        """Answer what is waiting, write the sums, end the thread."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, BUDGET_S * 2)
        self._watch.cancel()

    # --- in the commit thread -------------------------------------------------------------

    def _run(self) -> None:
        PATIENCE_S.set(BUDGET_S)
        while True:
            somebody_came = self._wake.wait(timeout=1.0)
            self._wake.clear()
            while self._waiting:
                begun = time.monotonic()
                self._commit(self._take())
                _let_others_in()
                self._write_sums()
                self._backlog.took(time.monotonic() - begun)
            stopping = self._stopping
            self._write_sums(everything=stopping)
            if self._failures >= FAILURES_TO_TELL and not somebody_came:
                self._try_write()
            if stopping and not self._waiting:
                self._backend.close()
                return

    def _take(self) -> list[_Waiter]:
        batch: list[_Waiter] = []
        try:
            while len(batch) < MAX_BATCH:
                batch.append(self._waiting.popleft())
        except IndexError:
            pass  # that was all of them
        return batch

    def _commit(self, batch: list[_Waiter]) -> None:
        began = time.monotonic()
        self._running, self._running_since = batch, began
        try:
            joined = [read(item) if isinstance(item, RawRequest) else item for item, *_ in batch]
            outcomes: Sequence[Outcome | Exception] = self._decide(joined)
            self._failures = 0
        except CommitUnknown as fault:
            _log.warning("commit failed, answering 503: %s", fault)
            self._failed(fault)
            outcomes = [TemporarilyUnavailable()] * len(batch)
        self._running, self._running_since = [], None
        self._loop.call_soon_threadsafe(self._deliver, batch, outcomes)
        if self._backend.broken:
            self._loop.call_soon_threadsafe(self._on_broken)
        if self._meter is not None:
            self._meter.batch(outcomes, time.monotonic() - began)

    def _failed(self, fault: CommitUnknown) -> None:
        self._failures, self._failure = self._failures + 1, str(fault)

    def _try_write(self) -> None:
        """Find out whether commits come through again, when for a second nobody came who would.

        Whoever heeds what `fault` tells sends nobody.
        """
        self._running_since = time.monotonic()
        try:
            self._backend.try_write()
            self._failures = 0
        except CommitUnknown as fault:
            self._failed(fault)
        except Exception:  # noqa: BLE001  (the trial is at fault: requests have to find out)
            _log.exception("it could not be tried whether commits come through")
            self._failures = 0
        finally:
            self._running_since = None

    def _decide(self, joined: Sequence[Joined]) -> Sequence[Outcome | Exception]:
        """The outcomes of a batch; when it fails as a whole, of each request by itself."""
        try:
            outcomes, now = self._backend.commit(joined, self._refusals)
        except CommitUnknown:
            self._refusals.not_written()
            raise
        except DatabaseUnavailable as fault:  # catalogue or keys changed, and could not be read
            self._refusals.not_written()
            raise CommitUnknown(str(fault)) from fault
        except Exception as fault:  # noqa: BLE001  (whatever it is, the neighbours go on)
            self._refusals.not_written()
            if len(joined) > 1:
                _log.warning("a batch failed (%s); trying its requests one at a time", fault)
                return [outcome for item in joined for outcome in self._decide([item])]
            of = {"request_id": joined[0].request_id}
            _log.exception("a token request failed", extra=of)
            if isinstance(fault, WriteRefused):
                return [TemporarilyUnavailable()]
            return [ServerError(detail=type(fault).__name__)]
        self._refusals.written()
        self._seen = (now, time.monotonic())
        for outcome in outcomes:
            if isinstance(outcome, Issued):
                self._usage.issued(outcome.client.client_id, outcome.moment)
            elif outcome.client is not None:
                self._usage.refused(outcome.client.client_id, now)
        return outcomes

    def _write_sums(self, *, everything: bool = False) -> None:
        """Whatever of the counted refusals and the usage is due."""
        if self._seen is None:
            return
        self._running_since = time.monotonic()  # who waits meanwhile is watched over as well
        now = self._seen[0] + timedelta(seconds=self._running_since - self._seen[1])
        try:
            due = self._refusals.due(now, everything=everything)
            if due:
                self._backend.write_events(due)
            self._refusals.forget(now, everything=everything)
            if everything or time.monotonic() >= self._usage_due:
                self._write_usage(everything=everything)
        except CommitUnknown as fault:
            _log.warning("sums are written later: %s", fault)
            self._usage_due = time.monotonic() + USAGE_EVERY_S
        except Exception:  # noqa: BLE001  (sums are worth less than the thread of all tokens)
            _log.exception("sums could not be written and are lost")
            self._refusals.forget(now, everything=True)
        finally:
            self._running_since = None

    def _write_usage(self, *, everything: bool) -> None:
        while sums := self._usage.take(_USAGE_ROWS):
            try:
                self._backend.write_usage(sums)
            except CommitUnknown:
                self._usage.put_back(sums)
                raise
            if self._waiting and not everything:
                break  # the rest after the next batch: none of these transactions is long
            _let_others_in()
            self._running_since = time.monotonic()  # of the next one, which has its own budget
        if not self._usage:
            self._usage_due = time.monotonic() + USAGE_EVERY_S

    # --- in the event loop ----------------------------------------------------------------

    def _watch_over(self) -> None:
        """A commit over its budget: its waiters get 503, and the connection is abandoned.

        So does whoever has waited for as long through several commits that failed.
        """
        since, batch = self._running_since, self._running
        joined_before = time.monotonic() - BUDGET_S
        hangs = since is not None and since < joined_before
        late = [waiter for waiter in batch if hangs or waiter[2] < joined_before]
        late += self._taken_out(joined_before if not hangs else None)
        if hangs and self._meter is not None:
            self._meter.over_budget()
        if late:
            self._deliver(late, [TemporarilyUnavailable()] * len(late))
        if hangs:
            self._backend.abandon()
        self._watch = self._loop.call_later(0.25, self._watch_over)

    def _taken_out(self, joined_before: float | None) -> list[_Waiter]:
        """Those that joined the queue before, or all; the commit thread takes from it as well."""
        late: list[_Waiter] = []
        try:
            while True:
                waiter = self._waiting.popleft()
                if joined_before is not None and waiter[2] >= joined_before:
                    self._waiting.appendleft(waiter)
                    break
                late.append(waiter)
        except IndexError:
            pass  # there is nobody behind them
        return late

    def _deliver(self, batch: list[_Waiter], outcomes: Sequence[Outcome | Exception]) -> None:
        """Sign and wake, for a moment at a time: with RSA a batch would keep the loop from all else
        for a fifth of a second. What is left then waits for one turn of the loop, and a turn takes
        long when thousands ask at once.
        """
        until = time.monotonic() + _SIGN_FOR_S
        for done, ((_, future, _), outcome) in enumerate(zip(batch, outcomes, strict=True)):
            if time.monotonic() > until:
                self._loop.call_soon(self._deliver, batch[done:], outcomes[done:])
                return
            if future.done():
                continue  # the caller went away, or the budget was spent
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            elif isinstance(outcome, Refused):
                future.set_result(outcome)
            else:
                try:
                    future.set_result(self._sign(outcome))
                except Exception as fault:  # noqa: BLE001  (its neighbours get theirs)
                    of = {"request_id": outcome.request_id}
                    _log.exception("a token could not be signed", extra=of)
                    future.set_exception(ServerError(detail=type(fault).__name__))


def _let_others_in() -> None:
    """SQLite's other writers get their turn. A clock that is faked may refuse to sleep."""
    with suppress(OSError):
        time.sleep(0)
