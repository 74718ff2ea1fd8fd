"""Where several processes of a node count together.

Each process counts in files of its own in one folder; the process of the metrics port adds them
up. The folder is in memory where the platform has such a place: a full disk must not stop it.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_IN_MEMORY = Path("/dev/shm")  # noqa: S108  (a folder of mode 0700 is made in it)
_PREFIX = "hourpass-metrics-"
_NEW_S = 60.0


class SharedCounting:
    """A fresh folder for one run of a node's processes.

    Make it before the first process is started, and before prometheus_client is loaded.
    """

    def __init__(self) -> None:
        if "prometheus_client" in sys.modules:
            raise RuntimeError("prometheus_client was loaded too early: it would not count here")
        in_memory = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK)
        where = _IN_MEMORY if in_memory else Path(tempfile.gettempdir())
        _remove_abandoned(where)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))
        self._held = _hold(self.folder)
        os.environ[_VARIABLE] = str(self.folder)

    def registry(self) -> "CollectorRegistry":
        """What all processes counted, added up."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self.folder))  # type: ignore[no-untyped-call]  # has no types
        return registry

    def pids(self) -> list[int]:
        """The processes that count now."""
        found = (path.stem.rpartition("_")[2] for path in self.folder.glob("gauge_live*.db"))
        return [int(pid) for pid in set(found) if _runs(int(pid))]

    def all_pids(self) -> list[int]:
        """Those of `pids`, the calling process and its parent."""
        return [*self.pids(), os.getpid(), os.getppid()]

    def forget(self, pid: int) -> None:
        """A process has ended: its gauges vanish, what it counted stays."""
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid, str(self.folder))  # type: ignore[no-untyped-call]  # has no types

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the folder."""
        os.environ.pop(_VARIABLE, None)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)


def _remove_abandoned(where: Path) -> None:
    """The folders of runs that were killed: nobody holds them any more."""
    for folder in where.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or just gone
            if time.time() - folder.stat().st_mtime < _NEW_S:
                continue  # perhaps of a run that is about to hold it
            held = _hold(folder)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)


def _hold(folder: Path) -> int | None:
    """Lock a folder for as long as this process or one forked from it lives; None: others hold it.

    Returns the file descriptor that holds the lock.
    """
    import fcntl  # not on every system; where it is missing there are no several processes

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's by now, or of another user: it runs
    return True
