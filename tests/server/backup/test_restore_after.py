"""`restore --after`: a database that another program has restored, on SQLite and PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from restoring import by_name, how, make_old

from hourpass.oauth.errors import InvalidToken
from hourpass.server import config
from hourpass.server.backup import restores
from hourpass.server.backup.restores import NotRestored, Restored
from hourpass.server.clients import lifecycle
from hourpass.server.db import migrate, sqlite_copy
from hourpass.server.db.engine import Dialect
from hourpass.server.tokens.check import OnlineCheck
from support.installation import TESTER, Credentials, Installation, Server
from support.postgres import Cluster

READ = "hourpass.clients:read"
_names = iter(range(1, 1000))


@pytest.fixture
def copied(
    installation: Installation, backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Installation]]:
    """Copies the installation's database as the database's own tools would; it is closed."""
    made: list[Installation] = []

    def copy() -> Installation:
        installation.close()
        number = next(_names)
        if backend == "sqlite":
            source = config.load(installation.environ).sqlite_path
            sqlite_copy.settle(source)
            shutil.copy(source, tmp_path / f"copy{number}.db")
            url = f"sqlite:///{tmp_path}/copy{number}.db"
        else:
            cluster: Cluster = request.getfixturevalue("cluster")
            name = installation.environ["HOURPASS_DATABASE_URL"].rpartition("/")[2]
            cluster.execute(f"create database copy_{number} template {name} strategy file_copy")
            url = cluster.url(f"copy_{number}")
        # The same issuer, so that tokens of the one are tokens of the other.
        extra = {"HOURPASS_PORT": str(installation.port)}
        made.append(Installation(tmp_path / f"copy{number}", url, extra))
        return made[-1]

    yield copy
    for each in made:
        each.close()


def after(here: Installation, old: Installation | None, **wanted: bool) -> Restored:
    """As the command does it."""
    before = None if old is None else old.context.database
    return restores.after_restore(here.context.database, before, how(here, **wanted))


def token_of(installation: Installation, client: Credentials) -> str:
    """A token for the management API, from a server that is stopped again."""
    installation.context  # noqa: B018  (migrates)
    server = Server(installation)
    try:
        token: str = server.token(client).json()["access_token"]
    finally:
        server.stop()
    return token


def test_no_token_from_before_is_valid(
    installation: Installation, copied: Callable[[], Installation]
) -> None:
    """One issued after the backup included."""
    client = installation.create_client(READ)
    backup = copied()
    token = token_of(installation, client)
    here = backup.context
    check = OnlineCheck(here.database, here.settings.issuer)
    assert check.strictly(token, audience=here.management_identifier).scopes == {READ}

    restored = after(backup, installation)

    assert restored.done is not None
    with pytest.raises(InvalidToken, match="revoked"):
        check.strictly(token, audience=here.management_identifier)


def test_what_differs_is_listed_first(
    installation: Installation, copied: Callable[[], Installation]
) -> None:
    """Nothing is changed until it is accepted; nobody is suspended then."""
    kept = installation.create_client("customers:read", name="kept").client_id
    stolen = installation.create_client("customers:read", name="stolen").client_id
    backup = copied()
    lifecycle.suspend(installation.context.database, stolen, TESTER)

    listed = after(backup, installation)

    assert listed.done is None
    assert set(by_name(listed.differences)) == {"stolen"}
    assert not backup.events(event="backup.restored")

    accepted = after(backup, installation, accept=True)

    assert accepted.done is not None
    assert accepted.done.suspended == 0
    (event,) = backup.events(event="backup.restored")
    assert event["detail"]["differences"] == 1
    for client_id in (kept, stolen):
        client = lifecycle.read(backup.context.database, client_id, TESTER)
        assert client.token_generation > 1
        assert client.suspended_at is None


@pytest.mark.parametrize("keep_active", [False, True])
def test_without_an_old_database_all_are_suspended(
    installation: Installation, keep_active: bool
) -> None:
    """And every signing key is another one."""
    client_id = installation.create_client("customers:read").client_id
    before = set(installation.context.keyring().private)

    restored = after(installation, None, keep_active=keep_active)

    assert restored.done is not None
    assert not restored.compared
    client = lifecycle.read(installation.context.database, client_id, TESTER)
    assert (client.suspended_at is None) is keep_active
    assert set(restored.done.revoked_keys) == before
    assert before.isdisjoint(installation.context.keyring().private)


def test_an_old_database_that_is_none_is_refused(
    installation: Installation,
    new_installation: Callable[..., Installation],
    copied: Callable[[], Installation],
    tmp_path: Path,
) -> None:
    """The restored one itself, where nothing would differ; or another installation's."""
    backup = copied()
    same = Installation(tmp_path / "same", backup.environ["HOURPASS_DATABASE_URL"])
    with pytest.raises(NotRestored, match="is the restored one itself"):
        after(backup, same, accept=True)
    same.close()

    other = new_installation(tmp_path / "other")
    with other.context.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE installation SET created_at = created_at + "
            + ("1" if connection.dialect.name == "sqlite" else "interval '1 second'")
        )
    with pytest.raises(NotRestored, match="another installation's"):
        after(backup, other, accept=True)
    other.close()

    assert not backup.events(event="backup.restored")


def test_an_old_database_of_an_older_version(
    installation: Installation, copied: Callable[[], Installation]
) -> None:
    """SQLite: a migrated copy is compared. PostgreSQL: the command that it needs is named."""
    client_id = installation.create_client("customers:read", name="stolen").client_id
    backup = copied()
    database = installation.context.database
    lifecycle.suspend(database, client_id, TESTER)
    make_old(database)

    if database.dialect is Dialect.SQLITE:
        restored = restores.after_restore(backup.context.database, database, how(backup))

        assert restored.done is None
        assert set(by_name(restored.differences)) == {"stolen"}
    else:
        with pytest.raises(NotRestored, match=r"is of an older version: .* `hourpass migrate`"):
            restores.after_restore(backup.context.database, database, how(backup))
    assert migrate.revision(database) == "0005"
    assert not backup.events(event="backup.restored")
