"""The schema's history on both databases: from nothing to now, all or nothing, once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from hourpass.server import config, context
from hourpass.server.catalogue import store as catalogue
from hourpass.server.context import InstallationFault
from hourpass.server.db import migrate
from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect
from hourpass.server.db.migrate import SchemaState
from hourpass.server.db.postgres import open_postgresql
from hourpass.server.db.schema import installation as installation_table
from hourpass.server.db.schema import metadata
from hourpass.server.db.sqlite import open_sqlite
from support.installation import Installation
from support.postgres import Cluster

LATER = '''
"""What a later Hourpass might add."""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    {then}
'''
_names = iter(range(1, 1_000_000))


@pytest.fixture
def new_database(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Database]]:
    """Opens an empty database, the same one each time; closed afterwards."""
    opened: list[Database] = []
    if backend == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")
        name = f"migrations_{next(_names)}"
        cluster.execute(f"create database {name}")

    def make() -> Database:
        if backend == "sqlite":
            opened.append(open_sqlite(tmp_path / "hourpass.db", busy_timeout_s=30))
        else:
            opened.append(open_postgresql(cluster.url(name), statement_timeout_s=30))
        return opened[-1]

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def later_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Makes this process a later Hourpass, which has one migration more."""

    def upgrade_the_program(then: str = "pass", oldest_beside: str | None = None) -> None:
        versions = tmp_path / "versions"
        versions.mkdir(exist_ok=True)
        (head,) = ScriptDirectory.from_config(migrate._config()).get_heads()
        (versions / "later.py").write_text(LATER.format(head=head, then=then))
        ours = Path(migrate.__file__).parent / "migrations" / "versions"
        before = migrate._config

        def config_with_later() -> Config:
            made = before()
            made.set_main_option("version_locations", f"{ours}:{versions}")
            return made

        monkeypatch.setattr(migrate, "_config", config_with_later)
        monkeypatch.setattr(migrate, "NEWEST", "9999")
        if oldest_beside is not None:
            monkeypatch.setattr(migrate, "OLDEST_BESIDE", oldest_beside)

    return upgrade_the_program


def tables(database: Database) -> set[str]:
    """Those that are there; a partition is part of its table."""
    with database.read() as connection:
        return {
            name
            for name in inspect(connection).get_table_names()
            if not name.startswith("audit_event_")
        }


def _is_no_partition(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or not (name or "").startswith("audit_event_")


def test_the_newest_migration_is_known_by_name() -> None:
    """Whoever adds one says so where the state is looked at."""
    assert ScriptDirectory.from_config(migrate._config()).get_heads() == [migrate.NEWEST]


def test_revisions_can_be_compared() -> None:
    """Four digits, each above the one before: an older program compares what it does not know."""
    script = ScriptDirectory.from_config(migrate._config())
    revisions = [revision.revision for revision in script.walk_revisions()]

    assert revisions == sorted(revisions, reverse=True)
    assert all(len(revision) == 4 and revision.isdecimal() for revision in revisions)
    assert migrate.OLDEST_BESIDE in revisions
    assert migrate.OLDEST_BESIDE >= "0008"  # the first that understands what is said there


def test_an_empty_database_becomes_current(new_database: Callable[[], Database]) -> None:
    """Looking changes nothing; upgrading makes every table; upgrading again is harmless."""
    database = new_database()
    assert migrate.state(database) is SchemaState.EMPTY
    assert tables(database) == set()

    assert migrate.upgrade(database) is SchemaState.EMPTY

    assert migrate.state(database) is SchemaState.CURRENT
    assert tables(database) == {*metadata.tables, "alembic_version"}
    assert migrate.upgrade(database) is SchemaState.CURRENT
    assert migrate.state(database) is SchemaState.CURRENT


def test_the_migrated_schema_is_the_schema(new_database: Callable[[], Database]) -> None:
    """Tables, columns, types, nullability, indexes, unique and foreign keys: no difference."""
    database = new_database()
    migrate.upgrade(database)

    with database.read() as connection:
        # SQLite has no identity columns: there a default would always differ.
        defaults = database.dialect is Dialect.POSTGRESQL
        options = {
            "compare_type": True,
            "compare_server_default": defaults,
            "include_name": _is_no_partition,
        }
        differences = compare_metadata(
            MigrationContext.configure(connection, opts=options), metadata
        )
    assert differences == []


def test_the_comparison_would_notice(new_database: Callable[[], Database]) -> None:
    """A dropped index and an added column are differences."""
    database = new_database()
    migrate.upgrade(database)
    with database.write() as connection:
        connection.execute(text("drop index ix_audit_event_time"))
        connection.execute(text("alter table organization add column colour text"))

    with database.read() as connection:
        options = {"include_name": _is_no_partition}
        differences = compare_metadata(
            MigrationContext.configure(connection, opts=options), metadata
        )
    assert {difference[0] for difference in differences} == {"remove_column", "add_index"}


def test_a_database_that_is_behind_is_brought_up_to_date(
    new_database: Callable[[], Database], later_release: Callable[..., None]
) -> None:
    """Made by this Hourpass, met by a later one."""
    database = new_database()
    migrate.upgrade(database)
    later_release()
    assert migrate.state(database) is SchemaState.BEHIND

    assert migrate.upgrade(database) is SchemaState.BEHIND

    assert migrate.state(database) is SchemaState.CURRENT
    assert "later" in tables(database)


def test_an_api_of_before_is_open_to_all(new_database: Callable[[], Database]) -> None:
    """Of revision 0009, and one that a server of then writes beside this one."""
    database = new_database()
    insert = (
        "INSERT INTO api (key, identifier, name, base_url, position)"
        " VALUES ('{0}', 'urn:example:{0}', '{0}', 'urn:example:{0}', 1)"
    )
    with database.write() as connection:
        alembic = migrate._config()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "0009")
        connection.execute(text(insert.format("before")))

    assert migrate.upgrade(database) is SchemaState.BEHIND

    with database.write() as connection:
        connection.execute(text(insert.format("beside")))
        now = database.now(connection)
        first = {"id": 1, "catalogue_version": 1, "keys_version": 1, "created_at": now}
        connection.execute(installation_table.insert(), first)
    with database.read() as connection:
        apis = catalogue.load(connection, "").apis
    assert {api.key: api.organizations for api in apis} == {"before": None, "beside": None}


def test_a_database_that_is_ahead_is_left_alone(
    new_database: Callable[[], Database],
    later_release: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later Hourpass has been here, whose schema this one cannot live beside, and went."""
    database = new_database()
    later_release(oldest_beside="9999")
    migrate.upgrade(database)
    monkeypatch.undo()
    before = tables(database)

    assert migrate.state(database) is SchemaState.AHEAD
    assert migrate.upgrade(database) is SchemaState.AHEAD
    assert tables(database) == before


def test_a_newer_schema_may_be_lived_beside(
    new_database: Callable[[], Database],
    later_release: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later Hourpass says that this version can go on; that of what is older still, it cannot."""
    database = new_database()
    newest = migrate.NEWEST
    later_release(oldest_beside=newest)
    migrate.upgrade(database)
    monkeypatch.undo()
    before = tables(database)

    assert migrate.state(database) is SchemaState.NEWER
    assert migrate.upgrade(database) is SchemaState.NEWER
    assert tables(database) == before
    monkeypatch.setattr(migrate, "NEWEST", "0001")
    assert migrate.state(database) is SchemaState.AHEAD


def test_somebody_elses_tables_are_left_alone(new_database: Callable[[], Database]) -> None:
    """They are no empty database."""
    database = new_database()
    with database.write() as connection:
        connection.execute(text("create table accounts (id integer)"))

    assert migrate.state(database) is SchemaState.AHEAD
    assert migrate.upgrade(database) is SchemaState.AHEAD
    assert tables(database) == {"accounts"}


def test_a_migration_that_fails_leaves_nothing(
    new_database: Callable[[], Database], later_release: Callable[..., None]
) -> None:
    """Neither its first half nor its version; nor those before it."""
    database = new_database()
    later_release(then='raise RuntimeError("half way")')

    with pytest.raises(RuntimeError, match="half way"):
        migrate.upgrade(database)

    assert migrate.state(database) is SchemaState.EMPTY
    assert tables(database) == set()


def test_several_upgrades_at_once_are_one(new_database: Callable[[], Database]) -> None:
    """Of four nodes that start at the same moment one migrates, and the others find it done."""
    databases = [new_database() for _ in range(4)]
    barrier = threading.Barrier(4)

    def upgrade(database: Database) -> SchemaState:
        barrier.wait(30)
        return migrate.upgrade(database)

    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(upgrade, databases))

    assert sorted(states) == [SchemaState.CURRENT] * 3 + [SchemaState.EMPTY]
    assert migrate.state(databases[0]) is SchemaState.CURRENT


def test_a_migration_waits_longer_than_any_statement(
    postgres_installation: Installation, later_release: Callable[..., None]
) -> None:
    """An hour's migration is no hung request: the time-out of statements is not its own."""
    settings = postgres_installation.context.settings
    database = open_postgresql(settings.database_url.get_secret_value(), statement_timeout_s=0.1)
    later_release(then='op.execute("select pg_sleep(0.4)")')
    try:
        assert migrate.upgrade(database) is SchemaState.BEHIND
    finally:
        database.close()


def test_a_migration_does_not_queue_behind_a_dump(
    postgres_installation: Installation, later_release: Callable[..., None]
) -> None:
    """Every token request would wait behind it: it gives up, changes nothing, and says so."""
    database = postgres_installation.context.database
    later_release(then='op.add_column("client", sa.Column("contact", sa.Text()))')
    with database.read() as dump:
        dump.execute(text("LOCK TABLE client IN ACCESS SHARE MODE"))

        with pytest.raises(
            DatabaseUnavailable, match=r"\(pg_dump, say\) keeps a table.* a year ahead"
        ):
            migrate.upgrade(database)

    assert migrate.state(database) is SchemaState.BEHIND
    assert migrate.upgrade(database) is SchemaState.BEHIND
    assert migrate.state(database) is SchemaState.CURRENT


@pytest.mark.parametrize("may_migrate", [True, False])
def test_an_installation_that_is_ahead_is_not_opened(
    installation: Installation,
    later_release: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    may_migrate: bool,
) -> None:
    """It says what to do, and nothing is changed."""
    installation.close()
    later_release(oldest_beside="9999")
    installation.context  # noqa: B018  (a later Hourpass migrates)
    installation.close()
    monkeypatch.undo()

    with pytest.raises(InstallationFault, match="upgrade this Hourpass or name another database"):
        context.open_context(
            config.load(installation.environ), may_migrate=may_migrate, busy_timeout_s=5
        )


def test_an_installation_that_is_behind_names_the_command(
    installation: Installation, later_release: Callable[..., None]
) -> None:
    """`hourpass migrate`; the tables stay as they are until it is run."""
    settings = config.load(installation.environ)
    installation.context  # noqa: B018  (migrates)
    later_release()

    with pytest.raises(InstallationFault, match="is behind: run `hourpass migrate`"):
        context.open_context(settings, busy_timeout_s=5)

    assert migrate.state(installation.context.database) is SchemaState.BEHIND
    opened = context.open_context(settings, may_migrate=True, busy_timeout_s=5)
    assert migrate.state(opened.database) is SchemaState.CURRENT
    opened.database.close()


def test_an_empty_shared_database_is_migrated_on_demand_only(
    cluster: Cluster, tmp_path: Path
) -> None:
    """On PostgreSQL a command that was pointed at the wrong database makes nothing in it."""
    name = f"migrations_{next(_names)}"
    cluster.execute(f"create database {name}")
    here = Installation(tmp_path / "here", cluster.url(name))
    settings = config.load(here.environ)

    with pytest.raises(InstallationFault, match="is empty: run `hourpass migrate`"):
        context.open_context(settings, busy_timeout_s=5)

    database = open_postgresql(cluster.url(name), statement_timeout_s=5)
    assert tables(database) == set()
    assert database.dialect is Dialect.POSTGRESQL
    database.close()
