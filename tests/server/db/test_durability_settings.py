"""What would let an acknowledged commit be lost is found before the server starts."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text

from hourpass.server.context import durability_faults
from hourpass.server.db import postgres, sqlite
from support.installation import Installation
from support.postgres import Cluster

OWN = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@pytest.mark.spec("threats", "21", "Nothing acknowledged is lost")
def test_an_installation_as_it_comes_is_durable(installation: Installation) -> None:
    """Nothing to complain about on either database."""
    assert durability_faults(installation.context.settings) == []


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Any]:
    """A bare SQLite connection, as the commit loop has it."""
    with contextlib.closing(
        sqlite.raw_connection(tmp_path / "hourpass.db", busy_timeout_s=1)
    ) as made:
        yield made


def test_sqlite_syncs_each_commit(connection: Any) -> None:
    """synchronous is FULL, the journal is on disk, and foreign keys are kept."""
    assert sqlite.weak_settings(connection) == []
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    journal = "wal" if sqlite.wal_is_safe else "truncate"
    assert connection.execute("PRAGMA journal_mode").fetchone() == (journal,)


@pytest.mark.parametrize(
    ("pragma", "fault"),
    [
        ("synchronous=OFF", "synchronous is 0, must be FULL (2)"),
        ("synchronous=NORMAL", "synchronous is 1, must be FULL (2)"),
        ("journal_mode=MEMORY", "journal_mode is memory, must be on disk"),
        ("journal_mode=OFF", "journal_mode is off, must be on disk"),
    ],
)
def test_weak_settings_of_sqlite(connection: Any, pragma: str, fault: str) -> None:
    """Each is named with what it has to be."""
    connection.execute(f"PRAGMA {pragma}").fetchone()
    assert sqlite.weak_settings(connection) == [fault]


@pytest.mark.parametrize("pragma", ["synchronous=EXTRA", "journal_mode=DELETE", "journal_mode=WAL"])
def test_strong_settings_of_sqlite(connection: Any, pragma: str) -> None:
    """More than FULL, and any journal on disk."""
    connection.execute(f"PRAGMA {pragma}").fetchone()
    assert sqlite.weak_settings(connection) == []


def test_a_database_may_be_set_to_lose_commits(
    postgres_installation: Installation, cluster: Cluster
) -> None:
    """`alter database … set synchronous_commit=off`, as some do for speed."""
    settings = postgres_installation.context.settings
    url = settings.database_url.get_secret_value()
    name = url.rpartition("/")[2]
    assert durability_faults(settings) == []

    cluster.execute(f"alter database {name} set synchronous_commit = off")

    assert durability_faults(settings) == [
        "synchronous_commit is off, must be on, remote_write or remote_apply"
    ]
    cluster.execute(f"alter database {name} set synchronous_commit = local")
    assert durability_faults(settings) == []  # there is no standby to wait for


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A cluster whose settings these tests spoil."""
    running = Cluster()
    yield running
    running.remove()


@contextlib.contextmanager
def spoiled(cluster: Cluster, setting: str, value: str) -> Iterator[psycopg.Connection]:
    """A session of ours on a cluster with this setting, once it is in force."""
    cluster.execute(f"alter system set {setting} = {value}")
    cluster.execute("select pg_reload_conf()")
    try:
        with contextlib.closing(
            postgres.raw_connection(cluster.url("postgres"), statement_timeout_s=5)
        ) as session:
            wait_for(session, setting, value.strip("'"))
            yield session
    finally:
        cluster.execute(f"alter system reset {setting}")
        cluster.execute("select pg_reload_conf()")


def wait_for(session: psycopg.Connection, setting: str, value: str) -> None:
    """The postmaster passes a reload on in its own time."""
    for _ in range(10_000):
        found = session.execute("select current_setting(%s)", (setting,)).fetchone()
        if found == (value,):
            return
    raise AssertionError(f"{setting} is still {found}")


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_cluster_that_may_lose_everything(own_cluster: Cluster, setting: str) -> None:
    """Each of its switches is named."""
    with spoiled(own_cluster, setting, "off") as session:
        assert postgres.weak_settings(session) == [f"{setting} is off, must be on"]


def test_several_weak_settings_are_told_at_once(own_cluster: Cluster) -> None:
    """Whoever repairs them repairs them once."""
    with spoiled(own_cluster, "fsync", "off") as session:
        session.execute("set synchronous_commit = off")
        assert postgres.weak_settings(session) == [
            "fsync is off, must be on",
            "synchronous_commit is off, must be on, remote_write or remote_apply",
        ]


def test_with_a_standby_local_is_not_enough(own_cluster: Cluster) -> None:
    """Whoever names standbys wants commits on them; `on` and better are."""
    with spoiled(own_cluster, "synchronous_standby_names", "'b'") as session:
        expected = {
            "local": ["synchronous_commit is local, must be on, remote_write or remote_apply"],
            "on": [],
            "remote_write": [],
            "remote_apply": [],
        }
        for value, faults in expected.items():
            session.execute(f"set synchronous_commit = {value}".encode())
            assert postgres.weak_settings(session) == faults


def test_our_sessions_give_up_in_time(postgres_installation: Installation) -> None:
    """A statement has a time-out, and times are read in UTC."""
    url = postgres_installation.context.settings.database_url.get_secret_value()
    with contextlib.closing(postgres.raw_connection(url, statement_timeout_s=0.05)) as session:
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("select pg_sleep(5)")
        assert session.execute("show timezone").fetchone() == ("UTC",)


def test_the_options_of_the_url_count(cluster: Cluster) -> None:
    """In the pool and in bare sessions; what Hourpass needs itself stays as it is."""
    wanted = quote("-c synchronous_commit=remote_write -c statement_timeout=0")
    url = f"{cluster.url('postgres')}?options={wanted}"
    show = "select current_setting('synchronous_commit'), current_setting('statement_timeout')"
    expected = ("remote_write", "5s")

    with contextlib.closing(postgres.raw_connection(url, statement_timeout_s=5)) as session:
        assert session.execute(show.encode()).fetchone() == expected
    database = postgres.open_postgresql(url, statement_timeout_s=5)
    try:
        with database.read() as connection:
            assert tuple(connection.execute(text(show)).one()) == expected
    finally:
        database.close()

    async def asynchronous() -> object:
        session = await postgres.raw_async_connection(url, statement_timeout_s=5)
        async with session:
            return await (await session.execute(show.encode())).fetchone()

    assert asyncio.run(asynchronous()) == expected
