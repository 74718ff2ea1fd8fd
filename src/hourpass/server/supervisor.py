"""Several worker processes, watched: started anew when one dies, ended together.

    supervisor ──fork──▶ worker, worker, …   each takes connections from the one listener

The supervisor serves nobody. It must have no thread and no database connection when it forks: a
fork copies locks as they are, without the threads that would let go of them, and two processes
would write to one connection. It holds one end of a pipe, which closes however the supervisor
ends; each worker then ends itself, so that none goes on unwatched.
"""

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from hourpass.server.app import EXIT_BROKEN

END_WITHIN_S = 20.0
SETTLED_S = 10.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
MAX_FAILURES = 6
_ENDING = (signal.SIGTERM, signal.SIGINT)
_WATCHED = (*_ENDING, signal.SIGCHLD)

Work = Callable[[], int]
"""What a worker does, in a process of its own, until SIGTERM; returns its exit status.

SIGINT is ignored there: on a terminal Ctrl-C reaches everybody, and is the supervisor's business.
"""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """One of the workers, whichever process it is at the moment."""

    work: Work
    serves: bool = True
    pid: int | None = None
    started_at: float = 0.0
    failures: int = 0
    """How often in a row it could not be started, or ended within `SETTLED_S`."""
    due_at: float = 0.0

    def ended(self, now: float) -> float:
        """Note that it has no process any more; the seconds until the next is started."""
        self.pid = None
        self.failures = self.failures + 1 if now - self.started_at < SETTLED_S else 0
        doubled = FIRST_WAIT_S * 2 ** min(self.failures - 1, 10)
        wait = min(doubled, LONGEST_WAIT_S) if self.failures else 0.0
        self.due_at = now + wait
        return wait


class Supervisor:
    """Runs each work in a process of its own. `run` it once."""

    def __init__(
        self,
        works: Sequence[Work],
        listener: socket.socket,
        *,
        beside: Sequence[Work] = (),
        on_end: Callable[[int], object] = lambda _pid: None,
    ) -> None:
        """`listener` is closed when the end begins; `on_end` gets the ID of each dead process.

        Those `beside` the works are started and watched like them, but serve nobody: the
        supervisor does not go on for them alone.
        """
        self._places = [_Place(work) for work in works]
        self._places += [_Place(work, serves=False) for work in beside]
        self._listener = listener
        self._on_end = on_end
        self._alive, self._held = os.pipe()
        self._ending_since: float | None = None
        self._killed = False
        self._status = 0

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit status.

        0: every worker ended well. 3: one said that the disk failed, and all were ended. 1: one
        ended badly while all were ended, or none could be started again and again.
        """
        with _signals() as wait:
            while not self._is_over():
                self._start_those_due()
                for number in wait(self._next_look()):
                    if number in _ENDING:
                        self._end(number)
                self._reap()
        os.close(self._alive)
        os.close(self._held)
        return self._status

    def _is_over(self) -> bool:
        serving = [place for place in self._places if place.serves]
        if self._ending_since is None:
            if any(place.pid is not None or place.failures < MAX_FAILURES for place in serving):
                return False
            _log.error("no worker can be started; ending, see above for what each met")
            self._status = 1
            self._end(signal.SIGTERM)
        return all(place.pid is None for place in self._places)

    def _next_look(self) -> float:
        """Seconds until something is due, if no signal comes first."""
        now = time.monotonic()
        if self._ending_since is not None:
            return max(0.1, self._ending_since + END_WITHIN_S - now)
        due = [place.due_at - now for place in self._places if place.pid is None]
        return max(0.0, min(due, default=60.0))

    def _start_those_due(self) -> None:
        for place in self._places:
            is_due = place.pid is None and time.monotonic() >= place.due_at
            if is_due and self._ending_since is None:
                self._start(place)

    def _start(self, place: _Place) -> None:
        sys.stdout.flush()  # or it would be written twice
        sys.stderr.flush()
        place.started_at = time.monotonic()
        # A signal that came before the new process has its own handlers would count as ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            pid = os.fork()
            if pid == 0:
                self._be_worker(place.work)
            place.pid = pid
        except OSError as fault:  # of processes or memory, which others may give back
            wait = place.ended(time.monotonic())
            _log.warning("cannot start a worker: %s; trying again in %.1f s", fault.strerror, wait)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)

    def _be_worker(self, work: Work) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, _end_quietly)  # until there is a server to end in order
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            os.close(self._held)
            watch = threading.Thread(target=_end_with, args=(self._alive,), daemon=True)
            watch.start()
            status = work()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:  # noqa: BLE001  (whatever it was, this process ends here)
            _log.exception("a worker failed")
        finally:
            # Nothing that the supervisor still has to do, behind this call, is the worker's.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)

    def _reap(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.pid is None:
                continue
            pid, ended = os.waitpid(place.pid, os.WNOHANG)
            if pid == 0:
                continue
            status = os.waitstatus_to_exitcode(ended)
            wait = place.ended(now)
            self._on_end(pid)
            if self._ending_since is not None:
                self._note(status)
            elif status == EXIT_BROKEN:
                _log.critical("worker %d ended since the disk failed; ending all", pid)
                self._note(status)
                self._end(signal.SIGTERM)
            else:
                _log.warning("worker %d %s; another in %.1f s", pid, _how(status), wait)
        late = self._ending_since is not None and now >= self._ending_since + END_WITHIN_S
        if late and not self._killed:  # once: one that hangs in the kernel ends when that lets go
            self._killed = True
            _log.error("workers did not end in time; killed")
            self._send(signal.SIGKILL)

    def _note(self, status: int) -> None:
        """The worst that any worker says is what the whole ends with."""
        if status == EXIT_BROKEN:
            self._status = EXIT_BROKEN
        elif status != 0:
            self._status = self._status or 1

    def _end(self, number: int) -> None:
        """End all in order; whoever presses Ctrl-C twice does not want to wait."""
        if self._ending_since is None:
            self._ending_since = time.monotonic()
            self._listener.close()
            self._send(signal.SIGTERM)
        elif number == signal.SIGINT:
            self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        for place in self._places:
            if place.pid is not None:  # not reaped yet, so the ID is still its own
                os.kill(place.pid, number)


@contextmanager
def _signals() -> Iterator[Callable[[float], bytes]]:
    """Collect signals; yields a function that waits for some and returns their numbers.

    It takes the seconds that it waits at most, and returns nothing when none came.
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)

    def wait(seconds: float) -> bytes:
        ready, _, _ = select.select([reader], [], [], seconds)
        return os.read(reader, 512) if ready else b""

    before = {number: signal.signal(number, _only_wake) for number in _WATCHED}
    waker = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield wait
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    """Python has written the signal's number to the pipe; that is all."""


def _end_quietly(_number: int, _frame: FrameType | None) -> NoReturn:
    """End at once, without an exception: one that is raised in a finalizer is ignored."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _end_with(alive: int) -> None:
    """In a worker: wait until the supervisor is gone, then end in order, or else by force."""
    os.read(alive, 1)  # nobody writes: it returns when the last that could is gone
    _log.error("the supervisor is gone; ending")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_WITHIN_S)
    os._exit(1)


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
