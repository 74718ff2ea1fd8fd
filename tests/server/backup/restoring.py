"""An embedded installation, its backup, and ways to restore it."""

from pathlib import Path

from hourpass.server import config, context
from hourpass.server.backup import copies, restores
from hourpass.server.backup.differences import Change, Difference
from hourpass.server.backup.made_safe import Restore
from hourpass.server.backup.restores import Restored
from hourpass.server.db.engine import Database, Dialect
from hourpass.server.db.migrate import NEWEST
from support.installation import TESTER, Installation

_IS_0005 = "UPDATE alembic_version SET version_num = '0005'"
_REVERSALS = {
    "0011": ("DROP TABLE organization_word",),
    "0010": ("ALTER TABLE api DROP COLUMN organizations",),
    "0009": ("ALTER TABLE operator_session DROP COLUMN browser",),
    "0008": ("DROP TABLE schema_version",),
    "0007": (
        "DROP INDEX ix_audit_event_client_id_time",
        "DROP INDEX ix_audit_event_organization_time",
        "CREATE INDEX ix_audit_event_client_id_id ON audit_event (client_id, id)",
    ),
    "0006": ("ALTER TABLE client DROP COLUMN leaked_at",),
}
"""What takes each migration back from an embedded database, the newest first."""


def to_0005() -> list[str]:
    """Takes an embedded database back, so that it can be migrated again; without the column that
    0006 adds nothing can be compared."""
    migrations = [f"{number:04}" for number in range(int(NEWEST), 5, -1)]
    lacking = [name for name in migrations if name not in _REVERSALS]
    assert not lacking, f"add to _REVERSALS in {__file__} what takes back {', '.join(lacking)}"
    return [*(line for name in migrations for line in _REVERSALS[name]), _IS_0005]


def told(_done: int, _total: int) -> None:
    """Nobody looks at the progress."""


def back_up(installation: Installation, target: Path) -> Path:
    """A backup of an installation that may be in use."""
    copies.back_up(database_of(installation), target, told, overwrite=False)
    return target


def database_of(installation: Installation) -> Path:
    """The file of an embedded installation."""
    return config.load(installation.environ).sqlite_path


def how(installation: Installation, *, accept: bool = False, keep_active: bool = False) -> Restore:
    """A restore as that installation's settings have it."""
    policy = context.key_policy(config.load(installation.environ))
    return Restore(by=TESTER, policy=policy, accept=accept, keep_active=keep_active)


def restore(
    installation: Installation, file: Path, *, accept: bool = False, keep_active: bool = False
) -> Restored:
    """Restore a backup to an installation, which is closed."""
    installation.close()
    wanted = how(installation, accept=accept, keep_active=keep_active)
    return restores.restore_file(file, database_of(installation), wanted, told)


def make_old(database: Database) -> None:
    """Leave it as an earlier version of Hourpass had it; PostgreSQL's, which is not migrated again,
    in a part only."""
    in_part = [*_REVERSALS["0006"], _IS_0005]
    with database.write() as connection:
        for statement in to_0005() if database.dialect is Dialect.SQLITE else in_part:
            connection.exec_driver_sql(statement)


def by_name(found: tuple[Difference, ...]) -> dict[str, tuple[Change, ...]]:
    """What differs, by the name of whom."""
    return {difference.name: difference.changes for difference in found}
