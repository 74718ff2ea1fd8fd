"""The group commit on SQLite: BEGIN IMMEDIATE, read what is new, decide, insert, COMMIT.

The write lock is held from BEGIN to COMMIT, so what is read in between is what is true at the
commit. `PRAGMA data_version` changes whenever another connection has committed, in this
process or another: as long as it stands still, remembered clients are exact.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Event
from hourpass.server.db.columns import micros, moment
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.db.sqlite import driver, raw_connection
from hourpass.server.tokens.authenticate import TokenRequest
from hourpass.server.tokens.commit import CommitUnknown, Joined, Outcome, WriteRefused
from hourpass.server.tokens.exchange import Facts, Refused, Registered, exchange
from hourpass.server.tokens.issue import audit_detail
from hourpass.server.tokens.refusals import RefusalCounters
from hourpass.server.tokens.registered import SQLITE_COLUMNS, registered
from hourpass.server.tokens.remembered import MAX_REMEMBERED, Remembered
from hourpass.server.tokens.usage import Key, Sum

_INSERT = """
    INSERT INTO audit_event (time, event, actor_type, actor_id, actor_name,
        client_id, client_name, organization, request_id, ip, detail)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CLIENTS = f"""
    SELECT {SQLITE_COLUMNS}
    FROM client c JOIN organization o ON o.id = c.organization
    WHERE c.client_id IN (SELECT value FROM json_each(?))
"""  # noqa: S608  (put together from constants)
_VERSIONS = "SELECT catalogue_version, keys_version FROM installation"
_TOUCH = "UPDATE installation SET keys_version = keys_version"
_USAGE = """
    INSERT INTO usage (client_id, hour, issued, refused, last_issued_at)
    SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM client WHERE client_id = ?1)
    ON CONFLICT (client_id, hour) DO UPDATE SET
        issued = issued + excluded.issued, refused = refused + excluded.refused,
        last_issued_at = max(coalesce(excluded.last_issued_at, last_issued_at),
            coalesce(last_issued_at, excluded.last_issued_at))
"""
_ISSUED = Event.TOKEN_ISSUED.value


class SqliteCommit:
    """The embedded database's backend. One process serves; commands may write beside it."""

    def __init__(
        self,
        path: Path,
        load_facts: Callable[[], Facts],
        *,
        busy_timeout_s: float = 1.0,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """`load_facts` reads catalogue and keys; `turn` is held while this process writes."""
        self._turn = nullcontext() if turn is None else turn
        self._connection = raw_connection(path, busy_timeout_s=busy_timeout_s)
        self._load_facts = load_facts
        self._facts = load_facts()
        self._remembered = Remembered[str, Registered](MAX_REMEMBERED)
        self._data_version: int | None = None
        self.broken = False

    def commit(
        self, joined: Sequence[Joined], refusals: RefusalCounters
    ) -> tuple[list[Outcome], datetime]:
        """See `Backend`."""
        with self._turn:
            return self._commit(joined, refusals)

    def _commit(
        self, joined: Sequence[Joined], refusals: RefusalCounters
    ) -> tuple[list[Outcome], datetime]:
        try:
            self._execute("BEGIN IMMEDIATE")
            self._see_what_changed()
            now = datetime.now(UTC)
            clients = self._clients(joined)
            outcomes = [self._decide(item, clients, now) for item in joined]
            rows = [row for outcome in outcomes for row in _rows(outcome, refusals, now)]
            if rows:
                self._connection.executemany(_INSERT, rows)
            self._execute("COMMIT")
        except driver.OperationalError as fault:
            self._roll_back()
            raise self._unknown(fault) from fault
        except driver.DatabaseError as fault:
            self._roll_back()
            raise WriteRefused(str(fault)) from fault
        except BaseException:
            self._roll_back()
            raise
        return outcomes, now

    def write_events(self, events: Sequence[AuditEvent]) -> None:
        """See `Backend`."""
        now = datetime.now(UTC)
        self._transaction(_INSERT, [_event_row(event, now) for event in events])

    def write_usage(self, sums: Sequence[tuple[Key, Sum]]) -> None:
        """See `Backend`."""
        rows = [
            (
                client_id,
                micros(hour),
                entry.issued,
                entry.refused,
                micros(entry.last_issued_at) if entry.last_issued_at else None,
            )
            for (client_id, hour), entry in sums
        ]
        self._transaction(_USAGE, rows)

    def try_write(self) -> None:
        """See `Backend`."""
        self._transaction(_TOUCH, [()])

    def abandon(self) -> None:
        """A statement that waits is stopped; a sync that hangs in the kernel cannot be."""
        self._connection.interrupt()

    def close(self) -> None:
        """See `Backend`."""
        self._connection.close()

    def _decide(self, item: Joined, clients: dict[str, Registered], now: datetime) -> Outcome:
        if isinstance(item, Refused):
            return item
        return exchange(item, clients.get(item.client_id), self._facts, now)

    def _see_what_changed(self) -> None:
        (version,) = self._execute("PRAGMA data_version").fetchone()
        if version == self._data_version:
            return
        self._remembered.clear()
        versions = self._execute(_VERSIONS).fetchone()
        known = (self._facts.catalogue.version, self._facts.keyring.version)
        if versions != known:
            self._facts = self._load_facts()
        self._data_version = version

    def _clients(self, joined: Sequence[Joined]) -> dict[str, Registered]:
        """The clients of a batch: remembered, or read now.

        Held by the batch itself: to remember one may be to forget another, which must not make
        a client of the same batch unknown.
        """
        clients: dict[str, Registered] = {}
        unknown: set[str] = set()
        for item in joined:
            if isinstance(item, TokenRequest):
                found = self._remembered.get(item.client_id)
                if found is None:
                    unknown.add(item.client_id)
                else:
                    clients[item.client_id] = found
        if unknown:
            for row in self._execute(_CLIENTS, (json.dumps(list(unknown)),)):
                found = registered(row, moment=moment)
                clients[found.client.client_id] = found
                self._remembered.put(found.client.client_id, found)
        return clients

    def _transaction(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._turn:
                self._execute("BEGIN IMMEDIATE")
                self._connection.executemany(statement, rows)
                self._execute("COMMIT")
        except DatabaseUnavailable as fault:
            raise CommitUnknown(str(fault)) from fault
        except driver.OperationalError as fault:
            self._roll_back()
            raise self._unknown(fault) from fault
        except BaseException:
            self._roll_back()
            raise

    def _execute(self, statement: str, parameters: tuple[object, ...] = ()) -> Any:
        return self._connection.execute(statement, parameters)

    def _roll_back(self) -> None:
        self._data_version = None
        if self._connection.in_transaction:
            try:
                self._connection.rollback()
            except driver.Error:
                self.broken = True

    def _unknown(self, fault: Exception) -> CommitUnknown:
        """Busy and full are passing; after an I/O error nothing this process holds is sure."""
        name = getattr(fault, "sqlite_errorname", None) or ""
        if name.startswith("SQLITE_IOERR") or "disk I/O error" in str(fault):
            self.broken = True
        return CommitUnknown(str(fault))


def _rows(outcome: Outcome, refusals: RefusalCounters, now: datetime) -> list[tuple[object, ...]]:
    if isinstance(outcome, Refused):
        event = refusals.note(outcome, now)
        return [] if event is None else [_event_row(event, now)]
    client = outcome.client
    return [
        (
            micros(now),
            _ISSUED,
            "client",
            client.client_id,
            client.name,
            client.client_id,
            client.name,
            client.organization,
            outcome.request_id,
            outcome.ip or None,
            audit_detail(outcome),
        )
    ]


def _event_row(event: AuditEvent, now: datetime) -> tuple[object, ...]:
    values = audit.values(event, now)
    return (micros(now), *list(values.values())[1:])
