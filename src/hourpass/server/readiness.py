"""Can this server serve now? One look at a time, shared by all who ask meanwhile.

A look runs in a thread of its own, so that one that hangs keeps nobody else from working and
the process from ending. Whoever asks has an answer within two seconds of the look's beginning.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass

from hourpass.server.config import Settings
from hourpass.server.db.engine import BUDGET_S
from hourpass.server.db.probe import PARTS, PostgresProbe, Probe, Schema, SqliteProbe, Unreachable

Fault = str
"""Why a part is not well; empty when it is."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a look saw: of each part what is wrong with it, empty where all is well."""

    parts: Mapping[str, Fault]

    @property
    def is_ready(self) -> bool:
        """Whether requests may be sent here."""
        return not any(self.parts.values())

    @property
    def is_reachable(self) -> bool:
        """Whether the database answered at all."""
        return not self.parts["database"]

    def as_json(self) -> dict[str, object]:
        """Status and parts, for the operator's eyes: the metrics port shows them."""
        return {
            "status": _status(ok=self.is_ready),
            "parts": {
                name: {"status": _status(ok=not fault), **({"detail": fault} if fault else {})}
                for name, fault in self.parts.items()
            },
        }


class Readiness:
    """The readiness of one process, or of the parent of several."""

    def __init__(self, probe: Probe, parts: Mapping[str, Callable[[], Fault]]) -> None:
        """`parts` besides the database; each is asked each time, and must not block."""
        self._probe = probe
        self._parts = parts
        self._lock = threading.Lock()
        self._looking: Future[Mapping[str, Fault]] | None = None
        self._began = 0.0
        self._is_stopping = False
        self._logged = ""

    def stop(self) -> None:
        """From now on not ready: the server ends, and balancers are to look elsewhere.

        May be called from a signal handler.
        """
        self._is_stopping = True

    def report(self) -> Report:
        """Look; blocks for two seconds at most."""
        looking, left = self._look()
        try:
            return self._report(looking.result(left))
        except NotInTime:
            return self._late()

    async def report_async(self) -> Report:
        """The same for a coroutine."""
        looking, left = self._look()
        try:
            found = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(looking)), left)
        except TimeoutError:
            return self._late()
        return self._report(found)

    def close(self) -> None:
        """Give the connection back, unless a look is using it."""
        self._is_stopping = True
        with self._lock:
            if self._looking is None or self._looking.done():
                self._probe.close()
            else:
                self._probe.abandon()

    def _look(self) -> tuple[Future[Mapping[str, Fault]], float]:
        """The look under way, or a new one; and how many seconds it has left."""
        with self._lock:
            if self._looking is None or self._looking.done():
                self._looking = Future()
                self._began = time.monotonic()
                thread = threading.Thread(
                    target=self._run, args=(self._looking,), name="readiness", daemon=True
                )
                try:
                    thread.start()
                except RuntimeError as fault:  # no more threads: the next one looks anew
                    self._looking.set_result(_unknown(str(fault)))
            return self._looking, max(0.0, self._began + BUDGET_S - time.monotonic())

    def _run(self, looking: "Future[Mapping[str, Fault]]") -> None:
        try:
            found: Mapping[str, Fault] = self._probe.look()
        except Unreachable as fault:
            found = _unknown(str(fault))
        except Exception as fault:  # noqa: BLE001  (whatever it is, this is not ready)
            _log.exception("the look at the database failed")
            found = _unknown(type(fault).__name__)
        looking.set_result(found)

    def _late(self) -> Report:
        self._probe.abandon()
        return self._report(_unknown(f"it does not answer within {BUDGET_S:g} s"))

    def _report(self, found: Mapping[str, Fault]) -> Report:
        own = {name: fault() for name, fault in self._parts.items()}
        stopping = "the server is shutting down" if self._is_stopping else ""
        report = Report(parts={**found, **own, "running": stopping})
        self._log_change(report)
        return report

    def _log_change(self, report: Report) -> None:
        """One line when it changes: somebody asks every few seconds."""
        faults = "; ".join(f"{name}: {fault}" for name, fault in report.parts.items() if fault)
        if faults == self._logged:
            return
        self._logged = faults
        if faults:
            _log.warning("not ready: %s", faults)
        else:
            _log.info("ready again")


def readiness(
    settings: Settings, parts: Mapping[str, Callable[[], Fault]], *, saw_newer: bool
) -> Readiness:
    """The readiness of a server with these settings; nothing is connected yet.

    `saw_newer`: it was logged already that a newer version has migrated the schema.
    """
    schema = Schema(saw_newer=saw_newer)
    probe: Probe
    if settings.is_postgresql:
        probe = PostgresProbe(settings.database_url.get_secret_value(), schema)
    else:
        probe = SqliteProbe(settings.sqlite_path, schema)
    return Readiness(probe, parts)


def _unknown(fault: Fault) -> dict[str, Fault]:
    return {"database": fault, **dict.fromkeys(PARTS[1:], "not known")}


def _status(*, ok: bool) -> str:
    return "ok" if ok else "unavailable"
