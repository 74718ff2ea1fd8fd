"""The group commit on PostgreSQL: decide on the last-known rows, and let the write verify it.

Clients are remembered with their version. One statement writes the audit rows of a whole batch
where the facts behind each decision still hold (client and version, organization, catalogue,
keys, the clock) and returns which were written. What was not written, and what would be a
refusal, is read fresh and decided again. So the usual case is one round trip, and nothing
stale can issue, on any node.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import psycopg

from hourpass.oauth.errors import TemporarilyUnavailable
from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent
from hourpass.server.db.columns import moment as from_micros
from hourpass.server.db.engine import BUDGET_S, first_line
from hourpass.server.db.postgres import Prepared, is_unreplicated, raw_connection
from hourpass.server.db.postgres_lines import PLANS, Attempts, packed, shut_down, utc
from hourpass.server.tokens.authenticate import TokenRequest
from hourpass.server.tokens.commit import CommitUnknown, Joined, Outcome, WriteRefused
from hourpass.server.tokens.exchange import Facts, Issued, Refused, Registered, exchange
from hourpass.server.tokens.issue import audit_detail
from hourpass.server.tokens.refusals import RefusalCounters
from hourpass.server.tokens.registered import POSTGRESQL_COLUMNS, registered
from hourpass.server.tokens.remembered import MAX_REMEMBERED, Remembered
from hourpass.server.tokens.usage import Key, Sum

# Each client is looked up by its ID, one after the other, in a subquery that the planner cannot
# take apart (OFFSET 0). Left to itself, and on tables that were never analyzed, it reads all
# clients for each row of the batch.
_VERIFIED_WRITE = """
    INSERT INTO audit_event (time, event, actor_type, actor_id, actor_name,
        client_id, client_name, organization, request_id, ip, detail)
    SELECT now(), 'token.issued', 'client', c.client_id, c.name,
        c.client_id, c.name, c.organization, d.request_id, nullif(d.ip, ''), d.detail
    FROM unnest(string_to_array($1, chr(31)), string_to_array($2, chr(31))::bigint[],
            string_to_array($3, chr(31)), string_to_array($4, chr(31)),
            string_to_array($5, chr(31))) AS d (client_id, version, request_id, ip, detail)
        CROSS JOIN LATERAL (
            SELECT k.client_id, k.name, k.organization FROM client k
            WHERE k.client_id = d.client_id AND k.version = d.version
                AND (k.expires_at IS NULL OR k.expires_at > now())
                AND (SELECT o.suspended_at IS NULL FROM organization o WHERE o.id = k.organization)
            OFFSET 0) c
    WHERE (SELECT catalogue_version = $6::bigint AND keys_version = $7::bigint FROM installation)
    RETURNING request_id, (extract(epoch FROM time) * 1000000)::bigint
"""
_CLIENTS = f"""
    SELECT {POSTGRESQL_COLUMNS}
    FROM client c JOIN organization o ON o.id = c.organization
    WHERE c.client_id = ANY(%s)
"""  # noqa: S608  (put together from constants)
_MOMENT = "SELECT catalogue_version, keys_version, clock_timestamp() FROM installation"
_CLOCK = "SELECT clock_timestamp()"
_EVENTS = """
    INSERT INTO audit_event (time, event, actor_type, actor_id, actor_name,
        client_id, client_name, organization, request_id, ip, detail)
    SELECT now(), d.* FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) AS d
"""
# A commit with something in it, and an audit row that is taken back before. All in one statement:
# psycopg drops what is prepared on a connection whenever it sees a rollback there.
_TRIAL = """
    DO $$
    BEGIN
        UPDATE installation SET keys_version = keys_version;
        BEGIN
            INSERT INTO audit_event (time, event, actor_type, actor_id, actor_name, detail)
            VALUES (now(), 'token.refused', 'system', 'hourpass', 'Hourpass', '{}');
            RAISE SQLSTATE 'HP001';
        EXCEPTION WHEN SQLSTATE 'HP001' THEN
        END;
    END $$
"""
_USAGE = """
    INSERT INTO usage (client_id, hour, issued, refused, last_issued_at)
    SELECT d.client_id, d.hour, d.issued, d.refused, d.last_issued_at
    FROM unnest(string_to_array(%s, chr(31)), string_to_array(%s, chr(31))::timestamptz[],
            string_to_array(%s, chr(31))::bigint[], string_to_array(%s, chr(31))::bigint[],
            string_to_array(%s, chr(31), '')::timestamptz[])
            AS d (client_id, hour, issued, refused, last_issued_at)
        JOIN client c ON c.client_id = d.client_id
    ORDER BY d.client_id, d.hour
    ON CONFLICT (client_id, hour) DO UPDATE SET
        issued = usage.issued + excluded.issued, refused = usage.refused + excluded.refused,
        last_issued_at = greatest(usage.last_issued_at, excluded.last_issued_at)
"""
_ROUNDS = (False, True, True)  # whether each decides on fresh rows
_CONNECTION_FAULTS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a primary that was demoted
)

_log = logging.getLogger(__name__)


class PostgresCommit:
    """PostgreSQL's backend. Any number of processes and nodes may run one each."""

    broken = False  # its own process is never in doubt: the connection is replaced
    # Of the connection, and made with it:
    _verified_write: Prepared
    _clock: tuple[datetime, float]  # the database's, and `time.monotonic` then

    def __init__(self, url: str, load_facts: Callable[[], Facts]) -> None:
        """`load_facts` reads catalogue and keys."""
        self._url = url
        self._load_facts = load_facts
        self._facts = load_facts()
        self._remembered = Remembered[str, Registered](MAX_REMEMBERED)
        self._connection: psycopg.Connection | None = None
        self._attempts = Attempts(CommitUnknown)
        self._standby_lost = False

    def commit(
        self, joined: Sequence[Joined], refusals: RefusalCounters
    ) -> tuple[list[Outcome], datetime]:
        """See `Backend`."""
        try:
            connection = self._connected()
            outcomes = self._decide_and_write(connection, joined)
            now = self._estimated_now()
            refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
            events = [event for item in refused if (event := refusals.note(item, now))]
            if events:
                self._write_events(connection, events, now)
        except _CONNECTION_FAULTS as fault:
            raise self._lost(fault) from fault
        except psycopg.DatabaseError as fault:
            raise WriteRefused(first_line(fault)) from fault
        return outcomes, now

    def write_events(self, events: Sequence[AuditEvent]) -> None:
        """See `Backend`."""
        try:
            self._write_events(self._connected(), events, self._estimated_now())
        except _CONNECTION_FAULTS as fault:
            raise self._lost(fault) from fault

    def write_usage(self, sums: Sequence[tuple[Key, Sum]]) -> None:
        """See `Backend`."""
        columns = (
            packed(client_id for (client_id, _), _ in sums),
            packed(hour.isoformat() for (_, hour), _ in sums),
            packed(str(entry.issued) for _, entry in sums),
            packed(str(entry.refused) for _, entry in sums),
            packed(at.isoformat() if (at := entry.last_issued_at) else "" for _, entry in sums),
        )
        try:
            self._connected().execute(_USAGE, columns, prepare=True)
            self._standby_lost = False  # these sums may be lost; the next commit is another
        except _CONNECTION_FAULTS as fault:
            raise self._lost(fault) from fault

    def try_write(self) -> None:
        """See `Backend`."""
        try:
            self._connected().execute(_TRIAL)
            self._check_replicated()
        except _CONNECTION_FAULTS as fault:
            raise self._lost(fault) from fault

    def abandon(self) -> None:
        """See `Backend`; the outcome of what fails is unknown."""
        shut_down(self._connection)

    def close(self) -> None:
        """See `Backend`."""
        if self._connection is not None:
            self._connection.close()

    def _decide_and_write(
        self, connection: psycopg.Connection, joined: Sequence[Joined]
    ) -> list[Outcome]:
        """Decide on what is remembered; whatever that does not settle, decide on fresh rows."""
        outcomes: dict[int, Outcome] = {
            index: item for index, item in enumerate(joined) if isinstance(item, Refused)
        }
        open_requests = {
            index: item for index, item in enumerate(joined) if isinstance(item, TokenRequest)
        }
        for fresh in _ROUNDS:
            if not open_requests:
                break
            wanted = {item.client_id for item in open_requests.values()}
            clients = self._read(connection, wanted) if fresh else self._recall(wanted)
            now = self._estimated_now()
            decided = {
                index: exchange(item, clients.get(item.client_id), self._facts, now)
                for index, item in open_requests.items()
            }
            issued = {i: o for i, o in decided.items() if isinstance(o, Issued)}
            written = self._write_issued(issued) if issued else {}
            outcomes |= written
            if fresh:
                outcomes |= {i: o for i, o in decided.items() if isinstance(o, Refused)}
            open_requests = {i: r for i, r in open_requests.items() if i not in outcomes}
        for index, item in open_requests.items():  # its rows keep changing under the decision
            outcomes[index] = Refused(TemporarilyUnavailable(), None, item.ip, item.request_id)
        return [outcomes[index] for index in range(len(joined))]

    def _write_issued(self, issued: dict[int, Issued]) -> dict[int, Outcome]:
        """Those that were written, with the moment at which they were."""
        items = list(issued.values())
        rows = self._verified_write(
            (
                packed(item.client.client_id for item in items),
                packed(str(item.client.version) for item in items),
                packed(item.request_id for item in items),
                packed(item.ip for item in items),
                packed(audit_detail(item) for item in items),
                str(self._facts.catalogue.version),
                str(self._facts.keyring.version),
            )
        )
        self._check_replicated()
        if not rows:
            return {}
        written = {request_id for request_id, _ in rows}
        moment = from_micros(int(rows[0][1]))  # of the transaction, so of every row
        self._clock = (moment, time.monotonic())
        return {i: item.at(moment) for i, item in issued.items() if item.request_id in written}

    def _recall(self, client_ids: set[str]) -> dict[str, Registered]:
        """What is remembered of these clients."""
        found = ((client_id, self._remembered.get(client_id)) for client_id in client_ids)
        return {client_id: entry for client_id, entry in found if entry is not None}

    def _read(self, connection: psycopg.Connection, client_ids: set[str]) -> dict[str, Registered]:
        """These clients, the clock, and catalogue and keys when they changed; all fresh."""
        row = connection.execute(_MOMENT, prepare=True).fetchone()
        if row is None:
            raise CommitUnknown("this database holds no installation")
        catalogue_version, keys_version, now = row
        self._clock = (utc(now), time.monotonic())
        known = (self._facts.catalogue.version, self._facts.keyring.version)
        if (catalogue_version, keys_version) != known:
            self._facts = self._load_facts()
        for client_id in client_ids:
            self._remembered.forget(client_id)
        clients: dict[str, Registered] = {}
        for row in connection.execute(_CLIENTS, (list(client_ids),), prepare=True):
            found = registered(row, moment=utc)
            clients[found.client.client_id] = found
            self._remembered.put(found.client.client_id, found)
        return clients

    def _write_events(
        self, connection: psycopg.Connection, events: Sequence[AuditEvent], now: datetime
    ) -> None:
        rows = [list(audit.values(event, now).values())[1:] for event in events]
        columns = [list(column) for column in zip(*rows, strict=True)]
        connection.execute(_EVENTS, columns, prepare=True)
        self._check_replicated()

    def _estimated_now(self) -> datetime:
        """The database's clock as last seen, plus what passed since; the write checks it."""
        seen, at = self._clock
        return seen + timedelta(seconds=time.monotonic() - at)

    def _connected(self) -> psycopg.Connection:
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        with self._attempts.one():
            connection = raw_connection(self._url, statement_timeout_s=BUDGET_S)
        connection.add_notice_handler(self._on_notice)
        self._connection = connection  # from here on it can be abandoned
        try:
            for statement in PLANS:
                connection.execute(statement)
            self._verified_write = Prepared(connection, "verified_write", _VERIFIED_WRITE)
            for (now,) in connection.execute(_CLOCK):
                self._clock = (utc(now), time.monotonic())
        except psycopg.Error:
            connection.close()  # or it would be taken for one that is ready
            raise
        self._remembered.clear()
        self._standby_lost = False
        return connection

    def _lost(self, fault: Exception) -> CommitUnknown:
        """Replace the connection: what it last did is not known."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return CommitUnknown(first_line(fault))

    def _on_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        self._standby_lost |= is_unreplicated(notice)

    def _check_replicated(self) -> None:
        if self._standby_lost:
            self._standby_lost = False
            raise CommitUnknown("the standby did not confirm the commit")
