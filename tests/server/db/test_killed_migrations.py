"""kill -9 in each migration, at its first statement, its last and before the commit of all: nothing
has changed, and it can be run again."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from hourpass.server.db import migrate
from hourpass.server.db.engine import Database
from hourpass.server.db.migrate import SchemaState
from support import killed_migration
from support.postgres import Cluster

# A first release's data, which every later migration has to keep or make something of.
_ROWS = """
INSERT INTO installation VALUES (1, 1, 1, {then});
INSERT INTO organization VALUES ('default', 'Default organization', {then}, NULL);
INSERT INTO client (client_id, organization, name, description, created_at, created_by_type,
    created_by_id, created_by_name, token_generation, version)
SELECT 'm2m_0000000000000000000' || n, 'default', 'ERP-Sync ' || n, '', {then}, 'cli', 'ann',
    'Ann', 1, 1 FROM (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) AS numbers;
INSERT INTO client_credential (client_seq, digest, pepper_version, created_at)
SELECT seq, {digest}, 1, {then} FROM client;
INSERT INTO audit_event (time, event, actor_type, actor_id, actor_name, detail)
VALUES ({then}, 'client.created', 'cli', 'ann', 'Ann', '{{}}')
"""
_COUNTED = ("installation", "organization", "client", "client_credential", "audit_event")


def _first_release(database: Database) -> None:
    with database.write() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    on_sqlite = database.dialect.value == "sqlite"
    then = "1700000000000000" if on_sqlite else "'2023-11-14T22:13:20Z'"
    digest = "randomblob(32)" if on_sqlite else "sha256(client_id::bytea)"
    with database.write() as connection:
        for statement in _ROWS.format(then=then, digest=digest).split(";"):
            connection.exec_driver_sql(statement)


def _counts(database: Database) -> list[int]:
    with database.read() as connection:
        return [
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in _COUNTED
        ]


@pytest.mark.parametrize("starts_empty", [True, False])
def test_a_killed_migration_has_changed_nothing(
    backend: str,
    starts_empty: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """From nothing, and from the first release's data; then a run to the end finds all of it."""
    if backend == "sqlite":
        url = f"sqlite:///{tmp_path}/hourpass.db"
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.execute(f"create database killed_{starts_empty}")
        url = cluster.url(f"killed_{starts_empty}".lower())
    database = killed_migration.opened(url)
    if not starts_empty:
        _first_release(database)
        before = _counts(database)
    database.close()

    done = subprocess.run(
        [sys.executable, killed_migration.__file__, url],
        check=True,
        capture_output=True,
        timeout=120,
    )

    outcome = json.loads(done.stdout)
    parts = Counter(outcome["parts"])
    script = ScriptDirectory.from_config(migrate._config())
    every = {each.revision for each in script.walk_revisions()}
    if not starts_empty:
        every.remove("0001")
    killed_in = {f"{revision} upgrade" for revision in every}
    with_rows_on_postgresql = backend == "postgresql" and not starts_empty
    prepared = set(killed_migration.prepares()) if with_rows_on_postgresql else set()
    assert set(parts) == killed_in | {"COMMIT"} | prepared
    assert all(parts[part] == 2 for part in killed_in)  # at its first statement and its last
    assert all(parts[part] > 5 for part in prepared), parts
    assert outcome["found"] == ["None" if starts_empty else "0001"]
    database = killed_migration.opened(url)
    assert migrate.state(database) is SchemaState.CURRENT
    if not starts_empty:
        assert _counts(database) == before
        with database.read() as connection:
            words = connection.execute(text("SELECT count(*) FROM client_word WHERE word = 'erp'"))
            assert words.scalar_one() == 3
            words = connection.execute(text("SELECT word FROM organization_word ORDER BY word"))
            assert "default" in words.scalars().all()
    database.close()
