"""Every fault, what it needs of the machine, and what is done when it has it not."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from faults import clock, database_clock, disk, floods, ha, processes
from faults.outcome import Outcome
from faults.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One entry of the programme; a run of it has one outcome or several."""

    name: str
    title: str
    run: Callable[[Scene], Iterator[Outcome]]
    needs: tuple[str, ...] = ()
    """`root`, `libfaketime`, `PostgreSQL of Debian`, or the name of a program."""

    def missing(self) -> list[str]:
        """What of that this machine has not."""
        return [need for need in self.needs if not _is_here(need)]


_HA_NEEDS = ("root", "ip", "patroni", "etcd", "haproxy", "PostgreSQL of Debian", "setpriv")
PROGRAMME = (
    Fault(name="kill-9", title="kill -9 under load", run=processes.kill_9),
    Fault(name="postgresql-killed", title="PostgreSQL crashes", run=processes.postgresql_killed),
    Fault(name="postgresql-hung", title="PostgreSQL hangs", run=floods.hung),
    Fault(name="floods", title="floods", run=floods.floods),
    Fault(
        name="rolling-restart",
        title="rolling restart of two nodes behind HAProxy",
        run=processes.rolling_restart,
        needs=("haproxy",),
    ),
    Fault(name="full-disk-sqlite", title="full disk", run=disk.full_sqlite, needs=("root",)),
    Fault(name="full-disk-postgresql", title="full disk", run=disk.full_postgres, needs=("root",)),
    Fault(name="fsync-error", title="fsync fails (EIO)", run=disk.fsync_error, needs=("strace",)),
    Fault(
        name="read-only-sqlite",
        title="file system becomes read-only",
        run=disk.read_only_sqlite,
        needs=("root", "mkfs.ext4"),
    ),
    Fault(
        name="read-only-postgresql",
        title="file system becomes read-only",
        run=disk.read_only_postgres,
        needs=("root", "mkfs.ext4"),
    ),
    Fault(name="clock", title="the clock jumps", run=clock.jumps, needs=("libfaketime",)),
    Fault(
        name="clock-of-database",
        title="the database's clock jumps",
        run=database_clock.jumps,
        needs=("libfaketime",),
    ),
    Fault(
        name="failover",
        title="failover of a Patroni cluster",
        run=ha.failovers,
        needs=_HA_NEEDS,
    ),
)


def _is_here(need: str) -> bool:
    if need == "root":
        return os.geteuid() == 0
    if need == "libfaketime":
        return clock.LIBRARY.exists()
    if need == "PostgreSQL of Debian":
        return any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return shutil.which(need, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None
