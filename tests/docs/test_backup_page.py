"""The commands for PostgreSQL on the page about backups, run with PostgreSQL's own tools."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from page_runner import ROOT, blocks_of

from support.installation import Installation, clean_environ
from support.postgres import USER, Cluster


@pytest.fixture
def dumped(cluster: Cluster, tmp_path: Path) -> Installation:
    """An installation in the database that the page names."""
    cluster.execute("create role postgres superuser login")
    cluster.execute("create database hourpass")
    made = Installation(tmp_path / "dumped", cluster.url("hourpass"))
    made.apply_catalogue()
    made.create_client("customers:read", name="stays")
    made.close()
    return made


def test_the_commands_for_postgresql(
    cluster: Cluster, dumped: Installation, tmp_path: Path
) -> None:
    """Dump, base backup, restore into a new database, and the step afterwards, in order."""
    blocks = [
        block.text for block in blocks_of(ROOT / "docs/backup.md") if block.mark == "on PostgreSQL"
    ]
    where, *commands = blocks
    assert "PGHOST=db.example.com PGPORT=5432 PGUSER=hourpass" in where
    environ = {
        **clean_environ(),
        **dumped.environ,
        "PATH": f"{Path(sys.executable).parent}:{cluster.tools}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(cluster.port),
        "PGUSER": USER,
        "PGDATABASE": "hourpass",
        "HOURPASS_DATABASE_URL": cluster.url("hourpass_restored"),
        "HOURPASS_OLD_DATABASE_URL": cluster.url("hourpass"),
    }

    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(commands)],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr.decode()
    assert len(commands) == 4
    assert (tmp_path / "hourpass.list").read_text().count("TABLE DATA") > 10
    restored = Installation(tmp_path / "restored", cluster.url("hourpass_restored"))
    (event,) = restored.events(event="backup.restored")
    assert event["detail"]["compared"] is True
    assert restored.events(event="client.created")[0]["client_name"] == "stays"
    restored.close()
