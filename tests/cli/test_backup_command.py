"""`hourpass backup` and `hourpass restore` beside a server, as an operator gives them."""

import time
from pathlib import Path

import pytest
from command_outcomes import each, json_of, refusal
from sqlalchemy import text

from support.installation import Installation, Server


@pytest.mark.spec("contract", "Command line", "hourpass backup FILE | restore FILE")
def test_a_backup_is_restored(sqlite_installation: Installation, tmp_path: Path) -> None:
    """Made while serving; refused while serving; listed; accepted; old tokens are dead then."""
    here = sqlite_installation
    made = here.create_client("customers:read", "hourpass.introspect:bookings", name="ERP sync")
    here.close()
    file = tmp_path / "backup.db"
    server = Server(here)
    try:
        before = server.token(made, scope="customers:read").json()["access_token"]
        copied = here.command("backup", str(file), "--json")
        after = server.token(made, scope="customers:read").json()["access_token"]
        suspended = here.command("clients", "suspend", made.client_id)
        running = here.command("restore", str(file))
    finally:
        server.stop()
    assert set(json_of(copied)) == {"file", "bytes", "schema"}
    assert suspended.status == 0
    assert "a server or a command has" in refusal(running)

    listed = here.command("restore", str(file))
    accepted = here.command("restore", str(file), "--accept")

    assert listed.status == 1
    assert "status: suspended → active" in listed.stdout
    assert made.client_id in listed.stdout
    assert listed.stderr.startswith(
        "hourpass: the backup differs, as listed (1); nothing was changed."
    )
    assert accepted.status == 0
    assert "No token that was issued before is valid" in accepted.stderr
    assert made.secret not in accepted.stderr + accepted.stdout
    server.start()
    try:
        fresh = server.token(made, scope="customers:read").json()["access_token"]
        alive = [
            server.http.post("/introspect", data={"token": token}, headers=made.basic).json()
            for token in (before, after, fresh)
        ]
    finally:
        server.stop()
    assert [answer["active"] for answer in alive] == [False, False, True]
    assert len(list(tmp_path.rglob("*.before-restore-*"))) == 1


def test_with_postgresql_its_own_tools_are_named(
    postgres_installation: Installation, tmp_path: Path
) -> None:
    """And `restore --after` is, which suspends everybody when there is nothing to compare with."""
    here = postgres_installation
    made = here.create_client("customers:read")
    file = str(tmp_path / "backup.db")

    copy, put_back, both, unreadable = each(
        here,
        [
            ("backup", file),
            ("restore", file),
            ("restore", file, "--after"),
            ("restore", "--after"),
        ],
        HOURPASS_OLD_DATABASE_URL_FILE=str(tmp_path / "none"),
    )
    after = json_of(here.command("restore", "--after", "--json"))

    assert "pg_basebackup or pg_dump" in refusal(copy)
    assert "`hourpass restore --after`" in refusal(put_back)
    assert refusal(both, 2) == "give the FILE to restore, or --after, and not both"
    assert "HOURPASS_OLD_DATABASE_URL_FILE: cannot read the file" in refusal(unreadable, 2)
    assert after["restored"] is True
    assert after["compared"] is False
    assert after["clients_suspended"] == 1
    assert after["differences"] == []
    shown = json_of(here.command("clients", "show", made.client_id, "--json"))
    assert shown["status"] == "suspended"


def test_a_restored_database_that_is_served_is_refused(
    postgres_installation: Installation,
) -> None:
    """By whichever node; nothing is changed, and once all are stopped it goes through."""
    here = postgres_installation
    here.create_client("customers:read")
    here.close()
    server = Server(here)
    try:
        _wait_for_chores(here)
        served = here.command("restore", "--after")
    finally:
        server.stop()
    stopped = here.command("restore", "--after", "--json")

    assert refusal(served).startswith("a server runs on PostgreSQL 127.0.0.1 database hp_own_")
    assert json_of(stopped)["restored"] is True
    assert len(here.events(event="backup.restored")) == 1


def _wait_for_chores(here: Installation) -> None:
    """A server asks for their lock just after it has begun to answer."""
    held = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database "
        "WHERE datname = current_database() AND locktype = 'advisory'"
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with here.context.database.read() as connection:
            if connection.execute(held).scalar_one():
                return
        time.sleep(0.02)
    raise AssertionError("no process does the chores")


def test_an_old_database_that_cannot_be_reached_is_named(
    installation: Installation, tmp_path: Path
) -> None:
    """Not the restored one, which is well; and what to do without it."""
    installation.create_client("customers:read")
    installation.close()
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"this is no database, although it is long enough to be looked at" * 20)
    urls = {
        "postgresql://hourpass:hunter2@127.0.0.1:1/old": "PostgreSQL 127.0.0.1 database old",
        f"sqlite:///{garbage}": f"SQLite {garbage}",
    }

    for url, location in urls.items():
        said = refusal(
            installation.command("restore", "--after", environ={"HOURPASS_OLD_DATABASE_URL": url})
        )

        assert said.startswith(f"the old database ({location}) is not available: ")
        assert "to go on without it" in said
        assert "unset HOURPASS_OLD_DATABASE_URL" in said
        assert "hunter2" not in said
    assert not installation.events(event="backup.restored")
