"""What the database knows: clients by status, those about to expire, the keys' timetable.

To add a figure, add an entry to `FIGURES` and its line to `docs/metrics.md`.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hourpass.server.audit import partition_store
from hourpass.server.clients import overview_store
from hourpass.server.db.engine import Database, DatabaseUnavailable
from hourpass.server.keys import model
from hourpass.server.keys import store as keys
from hourpass.server.keys.model import KeyState

EVERY_S = 60.0
_WAIT_S = 1.0
Samples = Mapping[tuple[str, ...], float]
"""Values by the values of the labels."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A gauge whose value is in the database; each is read at most once a minute."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    read: Callable[[Connection, datetime], Samples]


def _clients(connection: Connection, now: datetime) -> Samples:
    counted = overview_store.count_by_status(connection, None, now)
    return {(status.value,): count for status, count in counted.items()}


def _expiring(connection: Connection, now: datetime) -> Samples:
    return {
        (str(days),): overview_store.count_expiring(connection, now, now + timedelta(days=days))
        for days in (7, 30)
    }


def _keys(connection: Connection, now: datetime) -> Samples:
    states = [key.state(now) for key in keys.signing_keys(connection)]
    shown = (KeyState.NEXT, KeyState.ACTIVE, KeyState.RETIRING)
    return {(state.value,): states.count(state) for state in shown}


def _activated(connection: Connection, now: datetime) -> Samples:
    active = model.active(keys.signing_keys(connection), now)
    return {} if active is None else {(): active.activates_at.timestamp()}


def _rotation(connection: Connection, now: datetime) -> Samples:
    coming = [
        key.activates_at for key in keys.signing_keys(connection) if key.state(now) is KeyState.NEXT
    ]
    return {(): min(coming).timestamp()} if coming else {}


def _elsewhere(connection: Connection, _now: datetime) -> Samples:
    return {(): partition_store.rows_elsewhere(connection)}


FIGURES = (
    Figure(
        name="hourpass_clients",
        documentation="API clients.",
        labels=("status",),
        read=_clients,
    ),
    Figure(
        name="hourpass_clients_expiring",
        documentation="API clients that expire within so many days from now.",
        labels=("within_days",),
        read=_expiring,
    ),
    Figure(
        name="hourpass_signing_keys",
        documentation="Signing keys that the key set shows.",
        labels=("state",),
        read=_keys,
    ),
    Figure(
        name="hourpass_signing_key_activated_timestamp_seconds",
        documentation="When the key that signs now began to.",
        read=_activated,
    ),
    Figure(
        name="hourpass_signing_key_rotation_timestamp_seconds",
        documentation="When the next key begins to sign.",
        read=_rotation,
    ),
    Figure(
        name="hourpass_audit_rows_elsewhere",
        documentation="Audit rows for which there was no partition; counted to 100,000.",
        read=_elsewhere,
    ),
)


class Figures:
    """The figures as last read: at most once a minute, however often somebody asks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._reading: threading.Thread | None = None
        self._due = 0.0
        self._latest: dict[str, Samples] = {}
        self.read_at: float | None = None
        """Unix time of the values; None: there are none yet."""

    def latest(self, *, may_read: bool) -> Mapping[str, Samples]:
        """By the name of the figure; waits a second at most for values that are due."""
        with self._lock:
            idle = self._reading is None or not self._reading.is_alive()
            if may_read and idle and time.monotonic() >= self._due:
                self._due = time.monotonic() + EVERY_S
                self._reading = threading.Thread(target=self._read, name="figures", daemon=True)
                self._reading.start()
            reading = self._reading
        if may_read and reading is not None:
            reading.join(_WAIT_S)
        return self._latest

    def _read(self) -> None:
        try:
            with self._database.read() as connection:
                now = self._database.now(connection)
                self._latest = {figure.name: figure.read(connection, now) for figure in FIGURES}
            self.read_at = time.time()
        except DatabaseUnavailable as fault:
            _log.warning("the figures of the database are old: %s", fault)
        except Exception:  # noqa: BLE001  (the last values are better than none)
            _log.exception("the figures of the database could not be read")
