"""Opening an installation: made once, refused when it is not ours, and then nothing is made."""

import base64
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hourpass.server import config, context
from hourpass.server.context import Context, InstallationFault
from hourpass.server.db import schema
from support.installation import MASTER_KEY, Installation
from support.no_links import no_links
from support.postgres import Cluster

OTHER_KEY = base64.b64encode(bytes(32)).decode()


def opened(environ: dict[str, str], *, may_migrate: bool = False) -> Context:
    """The installation that these variables name."""
    return context.open_context(config.load(environ), may_migrate=may_migrate, busy_timeout_s=10)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder, its mode and what is in it; SQLite's own shared memory apart."""
    return {
        str(file.relative_to(folder)): (file.stat().st_mode, file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.endswith(("-shm", "-wal"))
    }


@pytest.fixture
def embedded(tmp_path: Path) -> dict[str, str]:
    """The variables of an embedded installation that is still to be made."""
    return {"HOURPASS_DATA_DIR": str(tmp_path / "data" / "hourpass")}


@pytest.mark.spec(
    "contract", "Settings", "made once in the data dir (0600) on the embedded default"
)
def test_the_first_start_makes_everything(tmp_path: Path, embedded: dict[str, str]) -> None:
    """Folder, database and master key, for their owner alone, whatever the umask."""
    data = tmp_path / "data" / "hourpass"
    before = os.umask(0)
    try:
        opened(embedded).database.close()
    finally:
        os.umask(before)

    assert data.stat().st_mode & 0o777 == 0o700
    for name in ("hourpass.db", "master.key"):
        assert (data / name).stat().st_mode & 0o777 == 0o600
    key = (data / "master.key").read_text()
    assert len(base64.b64decode(key)) == 32
    assert key.endswith("\n")


def test_the_second_start_makes_nothing(tmp_path: Path, embedded: dict[str, str]) -> None:
    """The same key opens the same keys."""
    first = opened(embedded)
    peppers = first.keyring().peppers
    first.database.close()
    before = snapshot(tmp_path)

    second = opened(embedded)

    assert second.keyring().peppers == peppers
    second.database.close()
    assert snapshot(tmp_path) == before


def test_a_new_installation_has_an_organization_keys_and_their_events(
    tmp_path: Path, embedded: dict[str, str]
) -> None:
    """Audited from its first row on."""
    here = Installation(tmp_path / "here", f"sqlite:///{tmp_path}/new.db")

    events = here.events()

    assert [event["event"] for event in events] == [
        "organization.created",
        "key.created",
        "key.created",
    ]
    assert {event["actor"]["type"] for event in events} == {"system"}
    assert events[0]["organization"] == "default"
    here.close()


@pytest.mark.spec("contract", "Keys at rest", "a database whose key is missing or wrong is refused")
def test_a_missing_master_key_is_refused(tmp_path: Path, embedded: dict[str, str]) -> None:
    """It says which file to put back, and does not make another one."""
    opened(embedded).database.close()
    key = tmp_path / "data" / "hourpass" / "master.key"
    kept = key.read_text()
    key.unlink()
    before = snapshot(tmp_path)

    for may_migrate in (False, True):
        with pytest.raises(InstallationFault, match=r"master\.key is missing .* put it back"):
            opened(embedded, may_migrate=may_migrate)

    assert snapshot(tmp_path) == before
    key.write_text(kept)
    opened(embedded).database.close()


@pytest.mark.spec("contract", "Keys at rest", "a database whose key is missing or wrong is refused")
@pytest.mark.parametrize("may_migrate", [False, True])
def test_a_wrong_master_key_is_refused(installation: Installation, may_migrate: bool) -> None:
    """On both databases; the right one still opens it afterwards, and no row was written."""
    events = installation.events()
    environ = {**installation.environ, "HOURPASS_MASTER_KEY": OTHER_KEY}

    with pytest.raises(InstallationFault, match="does not open this database's keys") as refused:
        opened(environ, may_migrate=may_migrate)

    assert OTHER_KEY not in str(refused.value)
    assert installation.events() == events
    installation.context.keyring()


@pytest.mark.parametrize("content", ["", "\n", "hunter2", "\0" * 44, "AAAA"])
def test_a_spoiled_master_key_is_refused(
    tmp_path: Path, embedded: dict[str, str], content: str
) -> None:
    """It is neither replaced nor shown."""
    opened(embedded).database.close()
    (tmp_path / "data" / "hourpass" / "master.key").write_text(content)
    before = snapshot(tmp_path)

    with pytest.raises(InstallationFault, match=r"master\.key cannot be read") as refused:
        opened(embedded)

    assert "hunter2" not in str(refused.value)
    assert snapshot(tmp_path) == before


def test_a_master_key_of_the_settings_is_written_nowhere(
    tmp_path: Path, embedded: dict[str, str]
) -> None:
    """Who keeps the key elsewhere does not want it beside the database."""
    opened({**embedded, "HOURPASS_MASTER_KEY": MASTER_KEY}).database.close()

    assert not (tmp_path / "data" / "hourpass" / "master.key").exists()
    assert not [f for f, (_, octets) in snapshot(tmp_path).items() if MASTER_KEY.encode() in octets]
    with pytest.raises(InstallationFault, match="is missing"):
        opened(embedded)


def test_several_master_keys_open_what_any_of_them_sealed(installation: Installation) -> None:
    """Old and new, in either order, while a key is being changed."""
    for keys in (f"{OTHER_KEY}\n{MASTER_KEY}", f"{MASTER_KEY}\n{OTHER_KEY}"):
        made = opened({**installation.environ, "HOURPASS_MASTER_KEY": keys})
        assert made.keyring().peppers == installation.context.keyring().peppers
        made.database.close()


def test_a_lost_database_is_not_found_again_with_its_key(
    tmp_path: Path, embedded: dict[str, str]
) -> None:
    """The key of old stays the key: a new database is sealed under it, not under another."""
    opened(embedded).database.close()
    data = tmp_path / "data" / "hourpass"
    key = (data / "master.key").read_text()
    for file in data.glob("hourpass.db*"):
        file.unlink()

    opened(embedded).database.close()

    assert (data / "master.key").read_text() == key


def rows(here: Context) -> dict[str, int]:
    """How many of each there are."""
    tables = (schema.installation, schema.organization, schema.signing_key, schema.sealed_key)
    with here.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables
        }


ONE_OF_EACH = {"installation": 1, "organization": 1, "signing_key": 2, "sealed_key": 4}


def at_once(times: int, deed: Callable[[], Context]) -> list[Context]:
    """Several starts at the same moment."""
    barrier = threading.Barrier(times)

    def begin(_: int) -> Context:
        barrier.wait(30)
        return deed()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(begin, range(times)))


@pytest.mark.parametrize("again", range(5))
def test_first_starts_at_once_make_one_installation(
    tmp_path: Path, embedded: dict[str, str], again: int
) -> None:
    """A server and a command, say: one master key, one set of keys, and both can go on."""
    made = at_once(6, lambda: opened(embedded))

    assert rows(made[0]) == ONE_OF_EACH
    peppers = [each.keyring().peppers for each in made]
    assert peppers == [peppers[0]] * 6
    for each in made:
        each.database.close()
    opened(embedded).database.close()
    data = tmp_path / "data" / "hourpass"
    assert {file.name.partition("-")[0] for file in data.iterdir()} == {"hourpass.db", "master.key"}


def test_first_starts_at_once_on_postgresql(cluster: Cluster, tmp_path: Path) -> None:
    """Several nodes on an empty database: one of them makes what all of them use."""
    cluster.execute("create database first_starts")
    here = Installation(tmp_path / "here", cluster.url("first_starts"))

    made = at_once(4, lambda: opened(here.environ, may_migrate=True))

    assert rows(made[0]) == ONE_OF_EACH
    peppers = [each.keyring().peppers for each in made]
    assert peppers == [peppers[0]] * 4
    for each in made:
        each.database.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """In one line, with its name."""
    (tmp_path / "file").touch()
    with pytest.raises(InstallationFault, match="cannot make the folder"):
        opened({"HOURPASS_DATA_DIR": str(tmp_path / "file" / "data")})


def test_a_folder_that_cannot_hold_the_key_is_told(tmp_path: Path) -> None:
    """In one line that says what to do; once that is done, the start goes on."""
    (tmp_path / "file").touch()
    environ = {
        "HOURPASS_DATABASE_URL": f"sqlite:///{tmp_path}/hourpass.db",
        "HOURPASS_DATA_DIR": str(tmp_path / "file" / "data"),
    }
    with pytest.raises(InstallationFault, match=r"cannot write .*master\.key: .*; let HOURPASS_D"):
        opened(environ)

    (tmp_path / "file").unlink()
    opened(environ).database.close()


def test_a_file_system_without_links_will_do(
    tmp_path: Path, embedded: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master key is made there, too, and opens the installation afterwards."""
    monkeypatch.setattr(os, "link", no_links)
    opened(embedded).database.close()

    opened(embedded).database.close()
    data = tmp_path / "data" / "hourpass"
    assert (data / "master.key").stat().st_mode & 0o777 == 0o600
    assert {file.name.partition("-")[0] for file in data.iterdir()} == {"hourpass.db", "master.key"}


def test_a_copy_of_the_folder_is_the_installation(tmp_path: Path, embedded: dict[str, str]) -> None:
    """Database and key belong together and to nothing else."""
    first = opened(embedded)
    peppers = first.keyring().peppers
    first.database.close()
    shutil.copytree(tmp_path / "data" / "hourpass", tmp_path / "copy")

    copied = opened({"HOURPASS_DATA_DIR": str(tmp_path / "copy")})

    assert copied.keyring().peppers == peppers
    copied.database.close()


def test_the_management_apis_identifier_follows_the_issuer(installation: Installation) -> None:
    """`<issuer>/api/v1`, the catalogue's as well as the context's."""
    here = installation.context

    assert here.management_identifier == f"http://localhost:{installation.port}/api/v1"
    assert here.catalogue().management_identifier == here.management_identifier
    assert here.facts().catalogue == here.catalogue()

    assert MASTER_KEY not in repr(here)
