"""A backup is whole, of one moment, its owner's alone, and made while others write."""

import os
import threading
from pathlib import Path

import pytest
from restoring import back_up, database_of, told
from sqlalchemy import text

from hourpass.server.backup import copies
from hourpass.server.backup.copies import NotBackedUp
from hourpass.server.db import sqlite_copy
from hourpass.server.db.sqlite import driver
from support.installation import MASTER_KEY, Installation
from support.no_links import no_links

_ROW = "UPDATE organization SET name = :name"


def test_a_backup_is_of_one_moment_while_others_write(
    sqlite_installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page at a time, with a commit between each two: it ends, and holds none of them."""
    made = sqlite_installation.create_client("customers:read")
    database = sqlite_installation.context.database
    written: list[int] = []

    def commit_meanwhile(done: int, _total: int) -> None:
        with database.write() as connection:
            connection.execute(text(_ROW), {"name": f"after page {done}"})
        written.append(done)

    monkeypatch.setattr(sqlite_copy, "_PAGES_A_STEP", 1)
    target = tmp_path / "copy.db"
    before = sqlite_installation.events()
    done = copies.back_up(
        database_of(sqlite_installation), target, commit_meanwhile, overwrite=False
    )

    assert len(written) > 20
    assert written == sorted(written)
    copy = Installation(tmp_path / "restored", f"sqlite:///{target}")
    with copy.context.database.read() as connection:
        names = connection.execute(text("SELECT name FROM organization")).scalars().all()
    assert names == ["Default organization"]
    assert copy.events() == before
    assert made.client_id in {event["client_id"] for event in before}
    copy.close()
    assert done.size == target.stat().st_size


def test_a_backup_ends_although_somebody_writes_all_the_time(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """Everything acknowledged before it began is in it."""
    database = sqlite_installation.context.database
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            with database.write() as connection:
                connection.execute(text(_ROW), {"name": str(number)})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = sqlite_installation.create_client("customers:read")
        back_up(sqlite_installation, tmp_path / "copy.db")
    finally:
        over.set()
        writer.join()

    copy = Installation(tmp_path / "restored", f"sqlite:///{tmp_path}/copy.db")
    assert copy.events(client_id=made.client_id)
    copy.close()


def test_a_backup_is_one_file_of_its_owner(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """Mode 0600, nothing beside it, no WAL to lose, and no master key in it."""
    sqlite_installation.create_client("customers:read")
    folder = tmp_path / "backups"
    folder.mkdir()

    target = back_up(sqlite_installation, folder / "hourpass.db")

    assert [file.name for file in folder.iterdir()] == ["hourpass.db"]
    assert target.stat().st_mode & 0o777 == 0o600
    octets = target.read_bytes()
    assert octets[18:20] == b"\x01\x01"  # the rollback journal, in SQLite's header
    assert MASTER_KEY.encode() not in octets
    assert bytes(range(32)) not in octets


def test_a_backup_overwrites_nothing(sqlite_installation: Installation, tmp_path: Path) -> None:
    """Neither another file, unless told to, nor in any case the database or what is beside it."""
    sqlite_installation.create_client("customers:read")
    database = database_of(sqlite_installation)
    other = tmp_path / "other"
    other.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(database)

    with pytest.raises(NotBackedUp, match="exists; name another file, or say --force"):
        copies.back_up(database, other, told, overwrite=False)
    assert other.read_text() == "precious"
    for target in (database, link, Path(f"{database}-wal"), Path(f"{database}-lock")):
        with pytest.raises(NotBackedUp, match="is the database itself"):
            copies.back_up(database, target, told, overwrite=True)
    copies.back_up(database, other, told, overwrite=True)
    assert sqlite_copy.faults(other) == []
    assert sqlite_installation.events()


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_came_meanwhile_is_not_overwritten(
    sqlite_installation: Installation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    links: bool,
) -> None:
    """Nor on a file system without links, where a backup without --force can be made as well."""
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    other = tmp_path / "other"

    def write_it(_done: int, _total: int) -> None:
        other.write_text("precious")

    with pytest.raises(NotBackedUp, match="exists; name another file, or say --force"):
        copies.back_up(database_of(sqlite_installation), other, write_it, overwrite=False)

    assert other.read_text() == "precious"
    assert sqlite_copy.faults(back_up(sqlite_installation, tmp_path / "copy.db")) == []


@pytest.mark.parametrize(
    ("target", "reason"), [("", "is a folder"), ("nowhere/copy.db", "there is no folder")]
)
def test_a_place_that_is_none_is_refused(
    sqlite_installation: Installation, tmp_path: Path, target: str, reason: str
) -> None:
    """In one line that says what to name instead."""
    with pytest.raises(NotBackedUp, match=reason):
        copies.back_up(database_of(sqlite_installation), tmp_path / target, told, overwrite=True)


def test_a_damaged_database_gives_no_backup(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """A copy that was not verified is worse than none: it would be trusted."""
    sqlite_installation.create_client("customers:read")
    sqlite_installation.close()
    database = database_of(sqlite_installation)
    sqlite_copy.settle(database)
    octets = bytearray(database.read_bytes())
    octets[4096 * 5 : 4096 * 40] = b"\xff" * (4096 * 35)
    database.write_bytes(octets)

    with pytest.raises(NotBackedUp):
        copies.back_up(database, tmp_path / "copy.db", told, overwrite=False)

    assert not [file for file in tmp_path.iterdir() if "copy" in file.name]


def test_what_is_no_installation_gives_no_backup(tmp_path: Path) -> None:
    """An absent database is not made; another program's is not copied."""
    other = tmp_path / "other.db"
    with driver.connect(str(other)) as connection:
        connection.execute("CREATE TABLE customer (id INTEGER)")
    connection.close()

    for database, reason in (
        (tmp_path / "none.db", "there is no database"),
        (other, "not a database of Hourpass's"),
    ):
        with pytest.raises(NotBackedUp, match=reason):
            copies.back_up(database, tmp_path / "copy.db", told, overwrite=False)
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "copy.db").exists()
