"""An embedded installation, its backup, and ways to restore it."""

from pathlib import Path

from hourpass.server import config, context
from hourpass.server.backup import copies, restores
from hourpass.server.backup.differences import Change, Difference
from hourpass.server.backup.made_safe import Restore
from hourpass.server.backup.restores import Restored
from support.installation import TESTER, Installation


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


def by_name(found: tuple[Difference, ...]) -> dict[str, tuple[Change, ...]]:
    """What differs, by the name of whom."""
    return {difference.name: difference.changes for difference in found}
