"""The load: processes that get tokens and change clients without end, and write down what came."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults import journal
from faults.windows import Window, window
from hourpass.server.catalogue.model import INTROSPECT_PREFIX
from hourpass.server.rights import CLIENTS_READ, CLIENTS_WRITE
from support.installation import Installation, clean_environ

_ROOT = Path(__file__).parent.parent
_CLIENTS = 20
_CHECKING = 2  # threads for each kind of check
_GOOD = frozenset(("jti", "done", "check"))


class NotWell(Exception):
    """The load did not get good answers (again) in time; the text says how it stood."""


class Load:
    """The callers of one installation. Their journals are kept until somebody deletes them."""

    def __init__(
        self, installation: Installation, *, threads: int = 8, with_checks: bool = False
    ) -> None:
        """`with_checks`: at `/verify` and `/introspect` somebody asks, too."""
        self._installation = installation
        self._threads = threads
        self.deeds = installation.folder / "deeds.jsonl"
        self.tokens = installation.folder / "tokens.jsonl"
        self._checks = installation.folder / "checks.jsonl" if with_checks else None
        self._callers = installation.folder / "callers.json"
        self._callers.write_text(json.dumps(_new_callers(installation)))
        self._workers: list[subprocess.Popen[bytes]] = []
        self._looks: list[_Look] = []

    @contextlib.contextmanager
    def on(self, url: str) -> Iterator[None]:
        """Under way inside the block; at its end all are killed, in any order."""
        self._looks = [_Look(self.deeds), _Look(self.tokens)]
        try:
            self._start("faults.deeds", self.deeds, url)
            self._start("faults.tokens", self.tokens, url, str(self._threads))
            if self._checks is not None:
                self._looks.append(_Look(self._checks))
                self._start("faults.checks", self._checks, url, str(_CHECKING))
            self.wait_until_well(0.0)
            yield
        finally:
            random.shuffle(self._workers)
            for worker in self._workers:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
            self._workers.clear()

    def wait_until_well(self, calm_s: float = 2.0, timeout_s: float = 60.0) -> None:
        """Until all got nothing but good answers for `calm_s` from now on; raises NotWell."""
        deadline = time.monotonic() + timeout_s
        for look in self._looks:
            look.begin()
        while True:
            self._see_that_all_run()
            if all(look.is_well(calm_s) for look in self._looks):
                return
            if time.monotonic() > deadline:
                last = [look.last for look in self._looks]
                raise NotWell(f"not well after {timeout_s:.0f} s; last answers: {last}")
            time.sleep(0.05)

    def forget(self) -> None:
        """What came so far has been judged."""
        for path in (self.deeds, self.tokens):
            path.unlink(missing_ok=True)

    def window(self) -> Window:
        """What the callers for tokens saw since the load was last started."""
        return window(journal.read(self.tokens, self._looks[1].start))

    def checks(self, kind: str) -> Window:
        """What those who asked at `/verify`, or at `/introspect`, saw in that time."""
        assert self._checks is not None
        entries = journal.read(self._checks, self._looks[2].start)
        return window(entry for entry in entries if entry["check"] == kind)

    def deeds_failed(self) -> list[int]:
        """Of the deeds that were not acknowledged in that time the statuses; 0: no answer."""
        entries = journal.read(self.deeds, self._looks[0].start)
        return [entry["status"] for entry in entries if "status" in entry]

    def _see_that_all_run(self) -> None:
        if any(worker.poll() is not None for worker in self._workers):
            raise NotWell(f"a process of the load ended: {self._log.read_text()[-2000:]}")

    @property
    def _log(self) -> Path:
        return self._installation.folder / "load.log"

    def _start(self, module: str, path: Path, url: str, *more: str) -> None:
        with self._log.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", module, str(path), url, str(self._callers), *more],
                env=clean_environ(),
                cwd=_ROOT,
                stderr=log,
                start_new_session=True,
            )
        self._workers.append(worker)


def _new_callers(installation: Installation) -> dict[str, list[Any]]:
    """Credentials by what they are used for."""

    def new(*scopes: str) -> list[str]:
        made = installation.create_client(*scopes)
        return [made.client_id, made.secret]

    return {
        "deeds": new(CLIENTS_READ, CLIENTS_WRITE),
        "tokens": [new("customers:read") for _ in range(_CLIENTS)],
        "checks": [new("customers:read"), new(f"{INTROSPECT_PREFIX}bookings")],
    }


class _Look:
    """How one journal stands, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.start = self._offset = path.stat().st_size if path.exists() else 0
        self.last: dict[str, Any] = {}
        self.begin()

    def begin(self) -> None:
        """What came before counts no more."""
        self._begun = time.monotonic()
        self._good_since: float | None = None

    def is_well(self, calm_s: float) -> bool:
        """Whether for so long, and until a moment ago, nothing but good answers came."""
        for entry in self._new():
            if entry["at"] < self._begun:
                continue
            if "status" in entry:
                self.last, self._good_since = entry, None
            elif not _GOOD.isdisjoint(entry):
                self.last = entry
                self._good_since = self._good_since or entry["at"]
        if self._good_since is None or self.last["at"] < time.monotonic() - 1.0:
            return False
        return bool(self.last["at"] - self._good_since >= calm_s)

    def _new(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith(b"\n"):
                self._offset += len(line)
                yield json.loads(line)
