"""A restore tells what it brings back to life, and kills what must not come back."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from restoring import back_up, by_name, database_of, make_old, restore, to_0005
from sqlalchemy import text

from hourpass.server.backup.differences import CREATED, DELETED, REVOKED, Kind
from hourpass.server.backup.restores import NotRestored
from hourpass.server.clients import lifecycle
from hourpass.server.clients import store as clients
from hourpass.server.clients.model import Client
from hourpass.server.db import sqlite_copy
from hourpass.server.db.sqlite import driver
from hourpass.server.keys import operations
from hourpass.server.keys import store as keys
from hourpass.server.keys.model import KeyState
from hourpass.server.operators import lifecycle as operators
from hourpass.server.operators.model import Role
from hourpass.server.organizations import operations as organizations
from support.installation import TESTER, Installation
from support.no_links import no_links

NAMES = ("kept", "rotated", "suspended", "deleted", "narrowed", "leaked")
OTHER_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def client(here: Installation, client_id: str) -> Client:
    """As the database has it now."""
    with here.context.database.read() as connection:
        found = clients.get(connection, client_id)
    assert found is not None
    return found


@pytest.fixture
def made(sqlite_installation: Installation) -> dict[str, str]:
    """Six clients: the ID of each by its name."""
    scopes = ("customers:read", "bookings:read")
    return {name: sqlite_installation.create_client(*scopes, name=name).client_id for name in NAMES}


@pytest.fixture
def backup(sqlite_installation: Installation, made: dict[str, str], tmp_path: Path) -> Path:
    """A backup from before every deed."""
    database = sqlite_installation.context.database
    operators.set_role(database, "ann@example.com", None, Role.OWNER, TESTER)
    operators.set_role(database, "bob@example.com", None, Role.OWNER, TESTER)
    organizations.create(database, "acme", "Acme", TESTER)
    return back_up(sqlite_installation, tmp_path / "backup.db")


def do_the_deeds(here: Installation, made: dict[str, str]) -> str:
    """What an operator does when something was stolen; the ID of the revoked key."""
    context = here.context
    database = context.database
    lifecycle.rotate_secret(database, context.keyring(), made["rotated"], TESTER)
    lifecycle.suspend(database, made["suspended"], TESTER)
    lifecycle.delete(database, made["deleted"], TESTER)
    lifecycle.set_scopes(database, made["narrowed"], frozenset({"customers:read"}), TESTER)
    with database.write() as connection:
        before = clients.get(connection, made["leaked"])
        assert before is not None
        now = database.now(connection)
        clients.save(connection, before, before.with_leaked_secret(now, suspend=False))
    here.create_client("customers:read", name="created")
    operators.remove(database, "bob@example.com", TESTER)
    organizations.suspend(database, "acme", TESTER)
    with database.read() as connection:
        active = keys.signing_keys(connection)[0]
    operations.revoke(database, context.policy, active.kid, TESTER)
    return active.kid


def test_what_differs_is_listed_and_nothing_changed(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """Secret, scopes, status and existence, operators, organizations and revoked keys."""
    kid = do_the_deeds(sqlite_installation, made)
    events = sqlite_installation.events()

    restored = restore(sqlite_installation, backup)

    assert restored.done is None
    assert restored.compared
    found = by_name(restored.differences)
    assert set(found) == {*NAMES, "created", "bob@example.com", "acme", kid} - {"kept"}
    assert found["deleted"] == (DELETED,)
    assert found["created"] == (CREATED,)
    assert found["bob@example.com"] == (DELETED,)
    assert found[kid] == (REVOKED,)
    assert [change.sentence for change in found["rotated"]] == ["another secret"]
    assert [change.sentence for change in found["leaked"]] == [
        "its secret was reported as leaked since"
    ]
    assert [change.sentence for change in found["suspended"]] == ["status: suspended → active"]
    assert [change.sentence for change in found["acme"]] == ["status: suspended → active"]
    assert [change.sentence for change in found["narrowed"]] == [
        "scopes: customers:read → bookings:read customers:read"
    ]
    assert sqlite_installation.events() == events
    assert not list(backup.parent.glob("hourpass.db.before*"))


def test_what_was_accepted_is_restored_and_safe(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """The backup's clients under generations that no token has; a revoked key stays revoked."""
    lifecycle.revoke_tokens(sqlite_installation.context.database, made["kept"], TESTER)
    kid = do_the_deeds(sqlite_installation, made)
    highest = client(sqlite_installation, made["kept"]).token_generation
    events = sqlite_installation.events()

    restored = restore(sqlite_installation, backup, accept=True)

    assert restored.done is not None
    assert restored.done.suspended == 0
    assert restored.done.revoked_keys == (kid,)
    for name in NAMES:
        assert client(sqlite_installation, made[name]).token_generation > highest + 1
        assert client(sqlite_installation, made[name]).suspended_at is None
    context = sqlite_installation.context
    with context.database.read() as connection:
        now = context.database.now(connection)
        states = {key.kid: key.state(now) for key in keys.signing_keys(connection)}
        assert ("signing", kid) not in keys.sealed(connection)
    assert states.pop(kid) is KeyState.REVOKED
    assert sorted(states.values()) == [KeyState.ACTIVE, KeyState.NEXT]
    assert context.keyring().signer(now) is not None
    (event,) = sqlite_installation.events(event="backup.restored")
    assert event["actor"]["name"] == "Tester"
    assert event["detail"]["file"] == "backup.db"
    assert event["detail"]["compared"] is True
    assert event["detail"]["differences"] == len(restored.differences)
    assert restored.kept is not None
    old = Installation(backup.parent / "old", f"sqlite:///{restored.kept}")
    assert old.events() == events
    old.close()


def test_an_old_database_of_an_older_version_is_compared(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """A new version was installed, and not started yet: nobody is suspended for that."""
    kid = do_the_deeds(sqlite_installation, made)
    make_old(sqlite_installation.context.database)
    database = database_of(sqlite_installation)

    listed = restore(sqlite_installation, backup)

    assert listed.compared
    assert listed.done is None
    assert set(by_name(listed.differences)) == {  # no "leaked": the older version noted none
        *("rotated", "suspended", "deleted", "narrowed", "created"),
        *("bob@example.com", "acme", kid),
    }
    assert _version(database) == "0005"

    accepted = restore(sqlite_installation, backup, accept=True)

    assert accepted.done is not None
    assert accepted.done.suspended == 0
    assert accepted.done.revoked_keys == (kid,)
    assert accepted.kept is not None
    assert _version(accepted.kept) == "0005"
    assert not list(database.parent.glob(f".{database.name}.*"))  # no copy is left


def test_an_older_database_that_cannot_be_migrated_is_no_lost_one(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """It is whole, so somebody can help; for a lost one everybody would be suspended."""
    make_old(sqlite_installation.context.database)
    database = database_of(sqlite_installation)
    sqlite_installation.close()
    _change(database, "CREATE TABLE schema_version (id INTEGER)")

    with pytest.raises(NotRestored, match=r"is of an older version, .* already exists.* move it"):
        restore(sqlite_installation, backup)

    assert _version(database) == "0005"
    assert not list(database.parent.glob(f".{database.name}.*"))


def test_two_restores_of_one_backup_share_no_generation(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """A token from between them is as dead as one from before the first."""
    restore(sqlite_installation, backup)
    first = client(sqlite_installation, made["kept"])
    lifecycle.revoke_tokens(sqlite_installation.context.database, made["kept"], TESTER)
    between = client(sqlite_installation, made["kept"]).token_generation

    restore(sqlite_installation, backup)

    second = client(sqlite_installation, made["kept"])
    assert second.token_generation > between > first.token_generation
    assert second.version > first.version + 1


def test_nor_do_they_when_the_one_between_is_lost(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """Nothing but the clock tells the second from the first then."""
    restore(sqlite_installation, backup)
    first = client(sqlite_installation, made["kept"]).token_generation
    sqlite_installation.close()
    began = int(time.time())
    while int(time.time()) == began:
        time.sleep(0.01)
    database_of(sqlite_installation).unlink()

    restore(sqlite_installation, backup)

    assert client(sqlite_installation, made["kept"]).token_generation > first


def _gone(database: Path) -> None:
    database.unlink()


def _damaged(database: Path) -> None:
    octets = bytearray(database.read_bytes())
    octets[100:] = b"\xff" * (len(octets) - 100)
    database.write_bytes(octets)
    Path(f"{database}-wal").write_bytes(b"the log of a damaged database")


def _no_database(database: Path) -> None:
    database.write_text("hello")


def _anothers(database: Path) -> None:
    database.unlink()
    other = Installation(database.parent / "fresh", f"sqlite:///{database}")
    assert other.events()
    other.close()


@pytest.mark.parametrize("spoil", [_gone, _damaged, _no_database, _anothers])
@pytest.mark.parametrize("keep_active", [False, True])
def test_with_nothing_to_compare_with_everybody_is_suspended(
    sqlite_installation: Installation,
    made: dict[str, str],
    backup: Path,
    spoil: Callable[[Path], None],
    keep_active: bool,
) -> None:
    """Lost, damaged, or of a server that was started on an empty folder; every key is replaced."""
    with sqlite_installation.context.database.read() as connection:
        before = {key.kid for key in keys.signing_keys(connection)}
    sqlite_installation.close()
    database = database_of(sqlite_installation)
    sqlite_copy.settle(database)
    spoil(database)

    restored = restore(sqlite_installation, backup, keep_active=keep_active)

    assert restored.done is not None
    assert not restored.compared
    assert restored.done.suspended == (0 if keep_active else len(NAMES))
    for name in NAMES:
        assert (client(sqlite_installation, made[name]).suspended_at is None) is keep_active
    assert set(restored.done.revoked_keys) == before
    context = sqlite_installation.context
    with context.database.read() as connection:
        now = context.database.now(connection)
        known = keys.signing_keys(connection)
    assert {key.kid for key in known if key.revoked_at is None}.isdisjoint(before)
    assert context.keyring().signer(now) is not None
    assert sqlite_copy.faults(database) == []


def test_sign_ins_end(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """An invitation that was used since would make a second person of it."""
    with sqlite_installation.context.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM operator_link")).scalar_one() == 2

    restore(sqlite_installation, backup)

    with sqlite_installation.context.database.read() as connection:
        for table in ("operator_link", "operator_session", "operator_challenge"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0


def test_nobody_may_have_the_database_open(
    sqlite_installation: Installation, backup: Path, made: dict[str, str]
) -> None:
    """Neither a process of ours, even one that does nothing, nor another program."""
    database = database_of(sqlite_installation)
    other = Installation(backup.parent / "other", f"sqlite:///{database}")
    other.context  # noqa: B018  (a server that waits for requests)
    with pytest.raises(NotRestored, match=r"a server or a command has .* open; stop it"):
        restore(sqlite_installation, backup)
    other.close()

    shell = driver.connect(str(database))
    shell.execute("SELECT * FROM client").fetchall()
    with pytest.raises(NotRestored, match=r"another program has .* open; stop it"):
        restore(sqlite_installation, backup)
    shell.close()

    assert restore(sqlite_installation, backup).done is not None


def _newer(file: Path) -> None:
    _change(file, "UPDATE alembic_version SET version_num = '9999'")


def _newer_that_fits_not(file: Path) -> None:
    _newer(file)
    _change(file, "UPDATE schema_version SET oldest_beside = '9999'")


def _of_another(file: Path) -> None:
    file.unlink()
    with driver.connect(str(file)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
    connection.close()


def _cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 4096 * 10])


def _change(file: Path, statement: str) -> None:
    connection = driver.connect(str(file))
    with connection:
        connection.execute(statement)
    connection.close()


def _version(file: Path) -> str:
    connection = driver.connect(str(file))
    ((version,),) = connection.execute("SELECT version_num FROM alembic_version")
    connection.close()
    return str(version)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_newer, "is of a newer Hourpass"),
        (_newer_that_fits_not, "is of a newer Hourpass"),
        (_of_another, "is not a database of Hourpass's"),
        (_cut_off, "cannot be restored|cannot restore"),
        (_no_database, "cannot restore .*not a database"),
        (lambda file: file.write_bytes(b""), "is not a database of Hourpass's"),
        (_gone, "there is no file"),
    ],
)
def test_a_file_that_is_no_backup_is_refused(
    sqlite_installation: Installation,
    made: dict[str, str],
    backup: Path,
    spoil: Callable[[Path], None],
    reason: str,
) -> None:
    """And the database stays what it is."""
    events = sqlite_installation.events()
    spoil(backup)
    before = sorted(database_of(sqlite_installation).parent.glob("*hourpass.db*"))

    with pytest.raises(NotRestored, match=reason):
        restore(sqlite_installation, backup, accept=True)

    assert sqlite_installation.events() == events
    assert sorted(database_of(sqlite_installation).parent.glob("*hourpass.db*")) == before


def test_a_backup_under_another_master_key_is_refused(
    sqlite_installation: Installation, backup: Path
) -> None:
    """It could neither sign a token nor check a secret."""
    other = Installation(
        backup.parent / "other",
        sqlite_installation.environ["HOURPASS_DATABASE_URL"],
        {"HOURPASS_MASTER_KEY": OTHER_KEY},
    )
    sqlite_installation.close()

    with pytest.raises(NotRestored, match="the master key does not open the keys in"):
        restore(other, backup, accept=True)

    assert not sqlite_installation.events(event="backup.restored")


def test_a_backup_of_an_older_version_is_brought_up_to_date(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """In the copy: the file itself stays as it is."""
    for statement in to_0005():
        _change(backup, statement)
    before = backup.read_bytes()

    assert restore(sqlite_installation, backup).done is not None

    assert client(sqlite_installation, made["kept"]).name == "kept"
    assert backup.read_bytes() == before


def test_a_plain_copy_of_the_file_can_be_restored(
    sqlite_installation: Installation, made: dict[str, str], tmp_path: Path
) -> None:
    """Somebody stopped the server and copied the file, which is in WAL mode."""
    sqlite_installation.close()
    copy = tmp_path / "copy.db"
    shutil.copy(database_of(sqlite_installation), copy)

    assert restore(sqlite_installation, copy).done is not None

    assert client(sqlite_installation, made["kept"]).name == "kept"


def test_a_restore_needs_no_links(
    sqlite_installation: Installation,
    made: dict[str, str],
    backup: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old database is kept as a copy then."""
    do_the_deeds(sqlite_installation, made)
    events = sqlite_installation.events()
    monkeypatch.setattr(os, "link", no_links)

    restored = restore(sqlite_installation, backup, accept=True)

    assert restored.kept is not None
    old = Installation(backup.parent / "old", f"sqlite:///{restored.kept}")
    assert old.events() == events
    old.close()
    assert client(sqlite_installation, made["deleted"]).name == "deleted"


def test_a_second_name_of_the_database_goes(
    sqlite_installation: Installation, backup: Path
) -> None:
    """A killed restore leaves one that looks like an old database; those that are, stay."""
    database = database_of(sqlite_installation)
    second, old = (database.with_name(f"{database.name}.before-restore-{n}") for n in (1, 2))
    os.link(database, second)
    shutil.copy(backup, old)

    restored = restore(sqlite_installation, backup)

    assert restored.done is not None
    assert set(database.parent.glob("*.before-restore-*")) == {old, restored.kept}


def test_a_link_to_the_database_stays_one(
    sqlite_installation: Installation, backup: Path, tmp_path: Path
) -> None:
    """By whatever name it is called it is the same database, with one lock; drafts are dropped."""
    database = database_of(sqlite_installation)
    (tmp_path / "linked").mkdir()
    link = tmp_path / "linked" / "other-name.db"
    link.symlink_to(database)
    left = database.with_name(f".{database.name}.0123456789ab-wal")
    left.touch()
    linked = Installation(tmp_path / "linked", f"sqlite:///{link}")
    sqlite_installation.context  # noqa: B018  (has it open)
    with pytest.raises(NotRestored, match=r"a server or a command has .* open"):
        restore(linked, backup)
    sqlite_installation.close()

    assert restore(linked, backup).done is not None

    assert link.is_symlink()
    assert not left.exists()
    assert sqlite_installation.events(event="backup.restored")


def test_kinds_are_told_apart(
    sqlite_installation: Installation, made: dict[str, str], backup: Path
) -> None:
    """For scripts."""
    kid = do_the_deeds(sqlite_installation, made)

    restored = restore(sqlite_installation, backup)

    shapes = [difference.as_json() for difference in restored.differences]
    assert {shape["kind"] for shape in shapes} == {kind.value for kind in Kind}
    assert shapes[-1] == {
        "kind": "signing key",
        "id": kid,
        "name": kid,
        "changes": [
            {
                "what": "revoked since: revoked again by the restore",
                "old": None,
                "restored": None,
            }
        ],
    }
