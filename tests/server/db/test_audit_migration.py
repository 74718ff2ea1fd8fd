"""The trail becomes partitioned under somebody who writes: no row lost, copied or refused."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from hourpass.server.audit import store
from hourpass.server.audit.store import EventFilter
from hourpass.server.db import migrate
from hourpass.server.db.engine import Database, Dialect
from hourpass.server.db.postgres import open_postgresql
from hourpass.server.db.sqlite import open_sqlite
from support.postgres import Cluster

# As the version before wrote it, over and over on one connection, which prepares it.
OLD_INSERT = """
    INSERT INTO audit_event (time, event, actor_type, actor_id, actor_name,
        client_id, client_name, organization, request_id, ip, detail)
    SELECT now(), 'token.issued', 'client', d.id, d.id,
        d.id, d.id, 'default', d.request_id, '', '{}'
    FROM unnest(string_to_array(%s, chr(31)), string_to_array(%s, chr(31))) AS d (id, request_id)
    RETURNING request_id, time
"""
OLD_PAGE = """
    SELECT id, time, event, client_id FROM audit_event
    WHERE client_id = %s AND id < %s ORDER BY id DESC LIMIT 50
"""
ROWS = 3000


def at_the_version_before(database: Database) -> None:
    """Migrated up to 0006, with rows."""
    with database.write() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
    with database.write() as connection:
        moment = "now()" if database.dialect is Dialect.POSTGRESQL else "1790000000000000"
        connection.execute(
            text(
                "INSERT INTO audit_event (time, event, actor_type, actor_id, actor_name, "
                "client_id, organization, detail) "
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) "
                f"SELECT {moment}, 'token.issued', 'client', 'm2m_0', 'Old', 'm2m_0', 'default', "
                "'{}' FROM n"
            ),
            {"rows": ROWS},
        )


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """An empty database on PostgreSQL."""
    cluster.execute("create database audit_migration")
    yield cluster.url("audit_migration")
    cluster.execute("drop database audit_migration with (force)")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """At the version before, with rows."""
    opened = open_postgresql(url, statement_timeout_s=5)
    at_the_version_before(opened)
    yield opened
    opened.close()


def file_of(connection: psycopg.Connection, table: str) -> object:
    """Where its rows are on disk."""
    return connection.execute("SELECT pg_relation_filenode(%s::regclass)", (table,)).fetchone()


def test_the_version_before_goes_on_beside_it(database: Database, url: str) -> None:
    """It writes and reads before, during and after; every row is there once, in order."""
    over = threading.Event()
    started = threading.Event()

    def write() -> list[str]:
        written: list[str] = []
        with psycopg.connect(url, autocommit=True) as connection:
            number = 0
            while not over.is_set() or number % 10:
                ids = [f"r{number + each}" for each in range(3)]
                number += 3
                columns = "\x1f".join(["m2m_1"] * 3), "\x1f".join(ids)
                rows = connection.execute(OLD_INSERT, columns, prepare=True).fetchall()
                written += [row[0] for row in rows]
                connection.execute(OLD_PAGE, ("m2m_1", 1 << 60), prepare=True).fetchall()
                started.set()
        return written

    with psycopg.connect(url, autocommit=True) as connection, ThreadPoolExecutor(1) as pool:
        file = file_of(connection, "audit_event")
        writing = pool.submit(write)
        try:
            assert started.wait(20)
            migrate.upgrade(database)
        finally:
            over.set()
        written = writing.result(20)
        assert file_of(connection, "audit_event_first") == file

        rows = connection.execute("SELECT id, request_id FROM audit_event ORDER BY id").fetchall()
    assert [request for _, request in rows if request] == written
    assert len({number for number, _ in rows}) == len(rows) == ROWS + len(written)


def test_a_preparation_that_was_killed_is_gone_on_with(database: Database, url: str) -> None:
    """A half-made index is made anew; the check and a whole index are kept; done twice is fine."""
    script = ScriptDirectory.from_config(migrate._config())
    script.get_revision("0007").module.prepare(database)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE pg_index SET indisvalid = false "
            "WHERE indexrelid = 'ix_audit_event_first_organization_time'::regclass"
        )
        migrate.upgrade(database)
        invalid = connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
        assert invalid.fetchone() == (0,)
        left = connection.execute("SELECT conname FROM pg_constraint WHERE contype = 'c'")
        assert [name for (name,) in left if name.startswith("ck_audit_event")] == []


def test_what_was_prepared_refuses_nothing_for_a_year(database: Database, url: str) -> None:
    """Somebody may leave the migration unfinished: the check is of every row that is written."""
    script = ScriptDirectory.from_config(migrate._config())
    script.get_revision("0007").module.prepare(database)
    with psycopg.connect(url, autocommit=True) as connection:
        later = OLD_INSERT.replace("now()", "now() + interval '365 days'")
        assert connection.execute(later, ("m2m_1", "r1")).rowcount == 1


def test_sqlite_keeps_its_rows(tmp_path: Path) -> None:
    """There the table stays as it is; only its indexes are others."""
    database = open_sqlite(tmp_path / "hourpass.db", busy_timeout_s=5)
    try:
        at_the_version_before(database)
        migrate.upgrade(database)
        with database.read() as connection:
            found = store.page(connection, EventFilter(client_id="m2m_0"), limit=ROWS + 1)
        assert [event.id for event in found] == list(range(ROWS, 0, -1))
    finally:
        database.close()


def test_no_number_is_given_twice(database: Database, url: str) -> None:
    """Not even those of rows that are gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM audit_event")
        migrate.upgrade(database)
        columns = ("m2m_1", "r1")
        connection.execute(OLD_INSERT, columns)
        assert connection.execute("SELECT id FROM audit_event").fetchall() == [(ROWS + 1,)]
