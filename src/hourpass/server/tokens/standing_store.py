"""How the tokens of a batch stand, read in one go; one class for SQLite, one for PostgreSQL.

The rows are read after the question was put, so whatever was done before is seen.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import psycopg

from hourpass.server.db.columns import moment
from hourpass.server.db.engine import BUDGET_S, DatabaseUnavailable, first_line
from hourpass.server.db.postgres import raw_async_connection
from hourpass.server.db.postgres_lines import PLANS, Attempts, packed, shut_down, utc
from hourpass.server.db.sqlite import driver
from hourpass.server.tokens.claims import Claims
from hourpass.server.tokens.exchange import Registered
from hourpass.server.tokens.registered import POSTGRESQL_COLUMNS, SQLITE_COLUMNS, registered
from hourpass.server.tokens.remembered import MAX_REMEMBERED, Remembered
from hourpass.server.tokens.standing import Standing


class Question(NamedTuple):
    """What is asked of the rows: how a token stands, and what is registered of a caller."""

    claims: Claims | None = None
    caller: str | None = None


class Seen(NamedTuple):
    """The rows at `now`. Where nothing was asked, or there is nothing, None."""

    standing: Standing | None
    caller: Registered | None
    catalogue_version: int
    keys_version: int
    now: datetime


class StandingStore(Protocol):
    """One database's way to answer a batch of questions."""

    async def look(self, questions: Sequence[Question]) -> list[Seen]:
        """The answers, in order; raises DatabaseUnavailable."""

    def abandon(self) -> None:
        """Make a look that hangs fail now."""

    async def close(self) -> None:
        """Give the connection back."""


_FIND = """
    SELECT c.token_generation, c.organization, o.suspended_at IS NOT NULL,
        EXISTS (SELECT 1 FROM revoked_token WHERE jti = ?2), c.limit_per_minute
    FROM client c JOIN organization o ON o.id = c.organization
    WHERE c.client_id = ?1
"""
_VERSIONS = "SELECT catalogue_version, keys_version FROM installation"
_CALLER = f"""
    SELECT {SQLITE_COLUMNS}
    FROM client c JOIN organization o ON o.id = c.organization
    WHERE c.client_id = ?
"""  # noqa: S608  (put together from constants)


class SqliteStanding:
    """The embedded database: rows by primary key, microseconds each.

    `PRAGMA data_version` changes with every commit of another connection; as long as it stands
    still, what was read is what is there. Read in the event loop where readers wait for no
    writer (WAL); else in a thread.
    """

    def __init__(self, connection: Any, *, waits_for_writers: bool) -> None:
        """`connection` is a bare one, for this alone."""
        self._connection = connection
        self._in_thread = waits_for_writers
        self._data_version: int | None = None
        self._versions = (0, 0)
        self._standings: dict[tuple[str, str], Standing | None] = {}
        self._callers: dict[str, Registered | None] = {}

    async def look(self, questions: Sequence[Question]) -> list[Seen]:
        """See `StandingStore`."""
        if self._in_thread:
            return await asyncio.to_thread(self._look, questions)
        return self._look(questions)

    def _look(self, questions: Sequence[Question]) -> list[Seen]:
        try:
            self._see_what_changed()
            now = datetime.now(UTC)
            return [
                Seen(
                    None if claims is None else self._standing(claims),
                    None if caller is None else self._caller(caller),
                    *self._versions,
                    now,
                )
                for claims, caller in questions
            ]
        except driver.Error as fault:
            self._data_version = None
            raise DatabaseUnavailable(str(fault)) from fault

    def _see_what_changed(self) -> None:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        held = len(self._standings) + len(self._callers)
        if version != self._data_version or held > MAX_REMEMBERED:
            self._standings.clear()
            self._callers.clear()
            self._versions = self._connection.execute(_VERSIONS).fetchone()
            self._data_version = version

    def _standing(self, claims: Claims) -> Standing | None:
        key = (claims.client_id, claims.jti)
        try:
            return self._standings[key]
        except KeyError:
            row = self._connection.execute(_FIND, key).fetchone()
            standing = None if row is None else _standing(row)
            self._standings[key] = standing
            return standing

    def _caller(self, client_id: str) -> Registered | None:
        try:
            return self._callers[client_id]
        except KeyError:
            row = self._connection.execute(_CALLER, (client_id,)).fetchone()
            caller = None if row is None else registered(row, moment=moment)
            self._callers[client_id] = caller
            return caller

    def abandon(self) -> None:
        """See `StandingStore`."""
        self._connection.interrupt()

    async def close(self) -> None:
        """See `StandingStore`."""
        self._connection.close()


# Only what is not as the token says comes back, and the callers that are not as remembered: in
# the usual case one row for the whole batch. Rows are looked up one after the other, in
# subqueries that the planner cannot take apart, as in the write of the commits.
_FALLEN = """
    SELECT i.catalogue_version, i.keys_version, clock_timestamp(),
        (SELECT array_agg(q.client_id)
            FROM unnest(string_to_array(%s, chr(31)), string_to_array(%s, chr(31))::bigint[])
                    AS q (client_id, version)
                LEFT JOIN LATERAL (
                    SELECT k.version, k.expires_at,
                        (SELECT p.suspended_at FROM organization p WHERE p.id = k.organization)
                            AS organization_suspended_at
                    FROM client k WHERE k.client_id = q.client_id
                    OFFSET 0) k ON true
            WHERE k.version IS DISTINCT FROM q.version
                OR k.organization_suspended_at IS NOT NULL OR k.expires_at <= clock_timestamp()),
        f.*
    FROM installation i LEFT JOIN LATERAL (
        SELECT d.n, c.token_generation, c.organization, c.organization_suspended,
            c.revoked, c.limit_per_minute
        FROM unnest(string_to_array(%s, chr(31)), string_to_array(%s, chr(31))::bigint[],
                string_to_array(%s, chr(31)), string_to_array(%s, chr(31)))
                WITH ORDINALITY AS d (client_id, generation, organization, jti, n)
            LEFT JOIN LATERAL (
                SELECT k.token_generation, k.organization, k.limit_per_minute,
                    (SELECT o.suspended_at IS NOT NULL FROM organization o
                        WHERE o.id = k.organization) AS organization_suspended,
                    (SELECT count(*) > 0 FROM revoked_token r WHERE r.jti = d.jti) AS revoked
                FROM client k WHERE k.client_id = d.client_id
                OFFSET 0) c ON true
        WHERE c.token_generation IS DISTINCT FROM d.generation
            OR c.organization IS DISTINCT FROM d.organization
            OR c.organization_suspended OR c.revoked OR c.limit_per_minute IS NOT NULL
    ) f ON true
"""
_CALLERS = f"""
    SELECT {POSTGRESQL_COLUMNS}
    FROM client c JOIN organization o ON o.id = c.organization
    WHERE c.client_id = ANY(%s)
"""  # noqa: S608  (put together from constants)


class PostgresStanding:
    """PostgreSQL, over one asynchronous connection; the next batch gathers during a look."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection | None = None
        self._attempts = Attempts(DatabaseUnavailable)
        self._callers = Remembered[str, Registered](1000)

    async def look(self, questions: Sequence[Question]) -> list[Seen]:
        """See `StandingStore`."""
        try:
            return await self._look(await self._connected(), questions)
        except psycopg.Error as fault:
            await self.close()
            raise DatabaseUnavailable(first_line(fault)) from fault

    async def _look(
        self, connection: psycopg.AsyncConnection, questions: Sequence[Question]
    ) -> list[Seen]:
        names = {question.caller for question in questions if question.caller is not None}
        known = {name: self._callers.get(name) for name in names}
        tokens = [claims for question in questions if (claims := question.claims) is not None]
        parameters = (
            packed(known),
            packed(str(0 if entry is None else entry.client.version) for entry in known.values()),
            *_columns(tokens),
        )
        cursor = await connection.execute(_FALLEN, parameters, prepare=True)
        rows = await cursor.fetchall()
        catalogue_version, keys_version, now, changed = rows[0][:4]
        differing = {n: row for _, _, _, _, n, *row in rows if n is not None}
        callers = {name: entry for name, entry in known.items() if name not in (changed or ())}
        if changed:
            callers |= await self._read_callers(connection, changed)
        seen = []
        number = 0
        for question in questions:
            standing = None
            if question.claims is not None:
                number += 1
                standing = _as_claimed(question.claims)
                if number in differing:
                    found = differing[number]
                    standing = None if found[0] is None else _standing(found)
            caller_now = None if question.caller is None else callers.get(question.caller)
            seen.append(Seen(standing, caller_now, catalogue_version, keys_version, now))
        return seen

    async def _read_callers(
        self, connection: psycopg.AsyncConnection, names: list[str]
    ) -> dict[str, Registered | None]:
        """As they are now. Those remembered are compared by version, which the suspension of an
        organization does not change: clients of such a one are read each time.
        """
        found: dict[str, Registered | None] = dict.fromkeys(names)
        cursor = await connection.execute(_CALLERS, (names,), prepare=True)
        for row in await cursor.fetchall():
            caller = registered(row, moment=utc)
            found[caller.client.client_id] = caller
            if caller.organization_suspended:
                self._callers.forget(caller.client.client_id)
            else:
                self._callers.put(caller.client.client_id, caller)
        return found

    async def _connected(self) -> psycopg.AsyncConnection:
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        with self._attempts.one():
            connection = await raw_async_connection(self._url, statement_timeout_s=BUDGET_S)
        self._connection = connection  # from here on it can be abandoned
        for statement in PLANS:
            await connection.execute(statement)
        return connection

    def abandon(self) -> None:
        """See `StandingStore`."""
        shut_down(self._connection)

    async def close(self) -> None:
        """See `StandingStore`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _standing(row: Sequence[Any]) -> Standing:
    return Standing(
        generation=row[0],
        organization=row[1],
        organization_suspended=bool(row[2]),
        revoked=bool(row[3]),
        limit_per_minute=row[4],
    )


def _as_claimed(claims: Claims) -> Standing:
    """The rows agree with the token."""
    return Standing(
        generation=claims.generation,
        organization=claims.organization,
        organization_suspended=False,
        revoked=False,
    )


def _columns(tokens: Sequence[Claims]) -> tuple[str, ...]:
    return (
        packed(claims.client_id for claims in tokens),
        packed(str(claims.generation) for claims in tokens),
        packed(claims.organization for claims in tokens),
        packed(claims.jti for claims in tokens),
    )
