"""What is asked at the moment of a scrape: readiness, the database's figures, the processes."""

import os
import platform
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hourpass import __version__
from hourpass.server.db.engine import Dialect
from hourpass.server.metrics.store import FIGURES, Figures
from hourpass.server.readiness import Readiness

Pids = Callable[[], Iterable[int]]
"""The processes of this node that run now."""
_CPU = "process_cpu_seconds"
_ADDED_UP = (
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
)


def register(
    registry: CollectorRegistry,
    readiness: Readiness,
    figures: Figures,
    dialect: Dialect,
    pids: Pids,
) -> None:
    """Register all that is asked at a scrape."""
    registry.register(_Installation(readiness, figures, dialect))
    registry.register(_Processes(pids))


class _Installation(Collector):
    """Readiness first: of a database that is down nothing else is asked."""

    def __init__(self, readiness: Readiness, figures: Figures, dialect: Dialect) -> None:
        self._readiness = readiness
        self._figures = figures
        self._dialect = dialect

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily(
            "hourpass_build_info",
            "Always 1; what runs here.",
            labels=["version", "python", "database"],
        )
        build.add_metric([__version__, platform.python_version(), self._dialect.value], 1)
        yield build
        report = self._readiness.report()
        yield GaugeMetricFamily(
            "hourpass_ready", "Whether /readyz answers 200.", value=float(report.is_ready)
        )
        yield GaugeMetricFamily(
            "hourpass_database_up",
            "Whether the database answers.",
            value=float(report.is_reachable),
        )
        latest = self._figures.latest(may_read=report.is_reachable)
        for figure in FIGURES:
            family = GaugeMetricFamily(figure.name, figure.documentation, labels=figure.labels)
            for labels, value in latest.get(figure.name, {}).items():
                family.add_metric(labels, value)
            yield family
        read = GaugeMetricFamily(
            "hourpass_figures_read_timestamp_seconds",
            "When the figures of clients, keys and audit rows were read; at most once a minute.",
        )
        if self._figures.read_at is not None:
            read.add_metric([], self._figures.read_at)
        yield read


class _Processes(Collector):
    """Memory, files and processor time of all processes of this node together."""

    def __init__(self, pids: Pids) -> None:
        self._pids = pids
        self._cpu: dict[int, float] = {}
        self._cpu_of_dead = 0.0

    def collect(self) -> Iterator[Metric]:
        sums: dict[str, float] = dict.fromkeys(_ADDED_UP, 0.0)
        found: dict[str, Metric] = {}
        started: list[float] = []
        pids = set(self._pids())
        for pid in pids:
            for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                value = family.samples[0].value
                found[family.name] = family
                if family.name == _CPU:
                    self._cpu[pid] = value
                elif family.name in sums:
                    sums[family.name] += value
                elif family.name == "process_start_time_seconds":
                    started.append(value)
        # A counter must not fall: the time of a process that has ended goes on to count.
        for pid in set(self._cpu) - pids:
            self._cpu_of_dead += self._cpu.pop(pid, 0.0)
        if not found:
            return  # no /proc here
        yield CounterMetricFamily(
            _CPU,
            "User and system time of all processes of this node.",
            value=sum(self._cpu.values()) + self._cpu_of_dead,
        )
        for name, value in sums.items():
            if name in found:  # what another user's process has open cannot be seen
                text = f"{found[name].documentation} Added up."
                yield GaugeMetricFamily(name, text, value=value)
        if started:
            text = "When the first process began, Unix time."
            yield GaugeMetricFamily("process_start_time_seconds", text, min(started))


def this_process() -> Iterable[int]:
    """The processes of a server that is only one."""
    return (os.getpid(),)
