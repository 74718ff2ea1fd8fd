"""A database, whichever it is: moments, transactions, and failures in our words."""

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import IntegrityError

from hourpass.server.db.columns import micros, moment
from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect
from hourpass.server.db.postgres import open_postgresql
from hourpass.server.db.schema import usage
from hourpass.server.db.sqlite import open_sqlite, raw_connection
from support.installation import Installation

NOW = datetime(2026, 2, 24, 12, tzinfo=UTC)
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=ZONES)  # noqa: DTZ001  (the strategy adds the zone)


@pytest.fixture(scope="module")
def database(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A migrated database."""
    made = new_installation(tmp_path_factory.mktemp("databases"))
    yield made.context.database
    made.close()


@given(at=MOMENTS)
@example(at=datetime(1970, 1, 1, tzinfo=UTC))
@example(at=datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
@example(at=datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC))
def test_a_moment_reads_back_to_the_microsecond(database: Database, at: datetime) -> None:
    """In UTC, from whichever zone it was written; and it is found by its value."""
    with database.write() as connection:
        connection.execute(delete(usage))
        connection.execute(insert(usage).values(client_id="a", hour=at, issued=0, refused=0))
        found = connection.execute(select(usage.c.hour).where(usage.c.hour == at)).scalar_one()
        before = select(usage.c.hour).where(usage.c.hour < at)
        assert connection.execute(before).all() == []

    assert found == at
    assert found.tzinfo is UTC
    assert found.utcoffset() == timedelta()


@given(at=MOMENTS)
def test_micros_and_moment_are_inverse(at: datetime) -> None:
    """How SQLite keeps a moment: whole microseconds, never a float."""
    assert moment(micros(at)) == at
    assert micros(at + timedelta(microseconds=1)) == micros(at) + 1


def test_no_moment_is_none(database: Database) -> None:
    """NULL both ways."""
    with database.write() as connection:
        connection.execute(delete(usage))
        connection.execute(insert(usage).values(client_id="a", hour=NOW, issued=0, refused=0))
        assert connection.execute(select(usage.c.last_issued_at)).scalar_one() is None


def test_the_clock_is_the_databases_own(database: Database) -> None:
    """Aware UTC, moving on within a transaction."""
    with database.read() as connection:
        first, second = database.now(connection), database.now(connection)
    assert first.tzinfo is UTC
    assert first < second or database.dialect is Dialect.SQLITE
    assert abs(first - datetime.now(UTC)) < timedelta(seconds=60)


def test_a_block_that_raises_has_written_nothing(database: Database) -> None:
    """All or nothing, whatever it raises."""
    with pytest.raises(KeyboardInterrupt), database.write() as connection:
        connection.execute(insert(usage).values(client_id="b", hour=NOW, issued=0, refused=0))
        raise KeyboardInterrupt
    with database.read() as connection:
        assert connection.execute(select(usage).where(usage.c.client_id == "b")).all() == []


def test_a_reader_waits_for_no_writer(database: Database) -> None:
    """And does not see what is not committed."""
    with database.write() as writing:
        writing.execute(insert(usage).values(client_id="c", hour=NOW, issued=0, refused=0))
        with database.read() as reading:
            assert reading.execute(select(usage).where(usage.c.client_id == "c")).all() == []
    with database.read() as reading:
        assert len(reading.execute(select(usage).where(usage.c.client_id == "c")).all()) == 1


def test_a_bug_stays_what_it_is(database: Database) -> None:
    """A broken constraint is no database that is away."""
    row = {"client_id": "d", "hour": NOW, "issued": 0, "refused": 0}
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(usage), [row, row])


def test_a_writer_that_waits_too_long_is_told(tmp_path: Path) -> None:
    """SQLite: the write lock is held by another for longer than the busy time-out."""
    path = tmp_path / "hourpass.db"
    patient = open_sqlite(path, busy_timeout_s=30)
    hasty = open_sqlite(path, busy_timeout_s=0.05)
    with patient.write(), pytest.raises(DatabaseUnavailable, match="locked"), hasty.write():
        pass
    with hasty.write() as connection:
        connection.execute(text("create table fine (id integer)"))
    patient.close()
    hasty.close()


def test_writers_take_turns(database: Database) -> None:
    """Twenty threads add one each to what they read: none is lost, on either database."""
    with database.write() as connection:
        connection.execute(insert(usage).values(client_id="e", hour=NOW, issued=0, refused=0))
    mine = usage.c.client_id == "e"

    def add() -> None:
        with database.write() as connection:
            count = connection.execute(
                select(usage.c.issued).where(mine).with_for_update()
            ).scalar_one()
            connection.execute(usage.update().where(mine).values(issued=count + 1))

    threads = [threading.Thread(target=add) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    with database.read() as connection:
        assert connection.execute(select(usage.c.issued).where(mine)).scalar_one() == 20


def test_many_writers_at_once_all_get_their_turn(sqlite_installation: Installation) -> None:
    """SQLite: threads of one process queue; none finds the lock taken for its whole second."""
    path = sqlite_installation.context.settings.sqlite_path
    database = open_sqlite(path, busy_timeout_s=1)
    failed: list[Exception] = []

    def write() -> None:
        for _ in range(10):
            try:
                with database.write() as connection:
                    connection.execute(select(usage.c.issued)).all()
                    time.sleep(0.004)
            except DatabaseUnavailable as fault:
                failed.append(fault)

    threads = [threading.Thread(target=write) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    database.close()

    assert failed == []


def test_a_writer_that_hangs_does_not_hold_the_others_for_ever(tmp_path: Path) -> None:
    """SQLite: who waits for a thread of the same process gives up in time as well."""
    database = open_sqlite(tmp_path / "hourpass.db", busy_timeout_s=0.05)
    refused: list[str] = []

    def write() -> None:
        try:
            with database.write():
                pass
        except DatabaseUnavailable as fault:
            refused.append(str(fault))

    with database.write():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(10)
    database.close()

    assert refused == ["other writers did not let go in time"]


def test_connections_that_the_server_ended_are_made_anew(
    postgres_installation: Installation,
) -> None:
    """PostgreSQL: after it ended them all, at most one transaction meets a dead one."""
    database = postgres_installation.context.database
    others = [database.read() for _ in range(4)]
    for each in others:
        each.__enter__().execute(text("select 1"))
    for each in others:
        each.__exit__(None, None, None)
    end_all = text(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )

    def works() -> bool:
        try:
            with database.look() as connection:
                return bool(connection.execute(text("select 1")).scalar_one())
        except DatabaseUnavailable:
            return False

    def terminate() -> None:
        with psycopg.connect(
            postgres_installation.context.settings.database_url.get_secret_value(), autocommit=True
        ) as bare:
            bare.execute(str(end_all))

    terminate()
    assert [works() for _ in range(6)].count(False) <= 1
    terminate()
    time.sleep(1.1)  # idle for long enough to be asked first
    assert works()


@pytest.mark.parametrize("name", ["plain.db", "with blank.db", "100%25.db", "what?.db", "é#a.db"])
def test_a_file_of_any_name_is_one_file(tmp_path: Path, name: str) -> None:
    """The commands and the commit loop open the same one, for its owner alone."""
    path = tmp_path / name
    database = open_sqlite(path, busy_timeout_s=1)
    with database.write() as connection:
        connection.execute(text("create table here (id integer)"))
    database.close()

    bare = raw_connection(path, busy_timeout_s=1)
    assert bare.execute("select count(*) from here").fetchone() == (0,)
    bare.close()
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """In one line, and it is not touched."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"these are my notes, not a database " * 100)
    before = path.read_bytes()
    database = open_sqlite(path, busy_timeout_s=1)
    with pytest.raises(DatabaseUnavailable, match="not a database"), database.read():
        pass
    database.close()
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(DatabaseUnavailable, match="cannot open"):
        open_sqlite(tmp_path / "nowhere" / "hourpass.db", busy_timeout_s=1)


@pytest.mark.parametrize("url", ["postgresql://u:hidden@[::1/db", "postgresql://u:hidden@h:x/db"])
def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    """It may hold one."""
    with pytest.raises(ValueError, match="give postgresql://<user>@<host>/<database>") as refused:
        open_postgresql(url, statement_timeout_s=1)
    assert "hidden" not in "".join(traceback.format_exception(refused.value))


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    """Where it should have been is in `location`, the password nowhere."""
    database = open_postgresql("postgresql://u:hidden@127.0.0.1:1/db", statement_timeout_s=1)
    with pytest.raises(DatabaseUnavailable) as refused, database.read():
        pass
    database.close()
    assert "hidden" not in str(refused.value) + database.location + repr(database)
    assert database.location == "PostgreSQL 127.0.0.1 database db"


def test_the_umask_does_not_open_the_file(tmp_path: Path) -> None:
    """Mode 0600, whatever the process would allow."""
    before = os.umask(0)
    try:
        open_sqlite(tmp_path / "hourpass.db", busy_timeout_s=1).close()
    finally:
        os.umask(before)
    assert (tmp_path / "hourpass.db").stat().st_mode & 0o777 == 0o600
