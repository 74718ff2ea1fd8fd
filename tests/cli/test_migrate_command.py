"""`hourpass migrate`, and what every command does with a database that is not ready."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from command_outcomes import each, json_of, refusal
from sqlalchemy import text

from hourpass.server import config
from hourpass.server.context import open_database
from support.installation import Installation
from support.postgres import Cluster


@pytest.fixture
def unmigrated(cluster: Cluster, tmp_path: Path) -> Iterator[Installation]:
    """An installation on an empty PostgreSQL database."""
    cluster.execute("create database hp_unmigrated")
    made = Installation(tmp_path / "unmigrated", cluster.url("hp_unmigrated"))
    yield made
    made.close()
    cluster.execute("drop database hp_unmigrated with (force)")


def _execute(installation: Installation, *statements: str) -> None:
    database = open_database(config.load(installation.environ), busy_timeout_s=5)
    try:
        with database.write() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        database.close()


def test_a_shared_database_is_migrated_when_told(unmigrated: Installation) -> None:
    """Before, a server and a command say what to run; afterwards it is harmless."""
    serve, listed = each(unmigrated, [("serve",), ("clients", "list")])
    for outcome in (serve, listed):
        assert refusal(outcome).endswith(
            "database hp_unmigrated is empty: run `hourpass migrate`, then start again"
        )

    first = unmigrated.command("migrate")
    again = json_of(unmigrated.command("migrate", "--json"))

    assert (first.status, first.stdout) == (0, "")
    assert first.stderr == "PostgreSQL 127.0.0.1 database hp_unmigrated is up to date.\n"
    assert again == {
        "database": "PostgreSQL 127.0.0.1 database hp_unmigrated",
        "version": "0.1.0",
        "state": "current",
    }
    assert [event["event"] for event in unmigrated.events()].count("key.created") == 2


def test_a_database_of_a_newer_version_is_left_alone(installation: Installation) -> None:
    """No command touches it; the line says to upgrade."""
    made = installation.create_client("customers:read")
    with installation.context.database.read() as connection:
        newest = MigrationContext.configure(connection).get_current_revision()
    installation.close()
    _execute(
        installation,
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE schema_version SET oldest_beside = '9998'",
    )

    outcomes = each(
        installation, [("migrate",), ("serve",), ("clients", "suspend", made.client_id)]
    )

    for outcome in outcomes:
        assert "was migrated by a newer Hourpass, or holds other tables" in refusal(outcome)
    _execute(installation, f"UPDATE alembic_version SET version_num = '{newest}'")
    assert [event["event"] for event in installation.events(client_id=made.client_id)] == [
        "client.created"
    ]


def test_a_database_of_another_program_is_left_alone(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """One that holds other tables is refused; the embedded default makes itself elsewhere."""
    other, new = tmp_path / "other.db", tmp_path / "new" / "hourpass.db"
    other_url = f"sqlite:///{other}"
    _execute(
        Installation(tmp_path / "other", other_url), "CREATE TABLE customer (id INTEGER NOT NULL)"
    )

    refused = sqlite_installation.command("migrate", environ={"HOURPASS_DATABASE_URL": other_url})
    made = sqlite_installation.command(
        "clients", "list", environ={"HOURPASS_DATABASE_URL": f"sqlite:///{new}"}
    )

    assert "holds other tables" in refusal(refused)
    assert made.status == 0
    assert new.stat().st_mode & 0o777 == 0o600
    assert new.parent.stat().st_mode & 0o777 == 0o700
