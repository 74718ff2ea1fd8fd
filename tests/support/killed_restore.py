"""Restores a backup again and again, killed each time one step of the file system later.

Run as a program, so that it can fork: `killed_restore.py CRASHED FOLDER BACKUP`. CRASHED is a
folder with `hourpass.db` as a killed server left it, WAL and all; each round begins with a copy of
it at FOLDER. Prints, as JSON, what each round left: `[step, faults, names of the clients]`.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from sqlalchemy import text

from hourpass.server import config, context
from hourpass.server.backup import restores
from hourpass.server.backup.made_safe import Restore
from hourpass.server.db import sqlite_copy
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.db.sqlite import open_sqlite
from support.installation import TESTER

_STEPS = frozenset({"os.link", "os.rename", "os.remove"})


def _told(_done: int, _total: int) -> None:
    pass


def killed(database: Path, backup: Path, step: int) -> bool:
    """Restore in a child that is killed before its step; whether it was."""
    child = os.fork()
    if child == 0:
        left = [step]

        def on_event(name: str, _arguments: object) -> None:
            if name in _STEPS:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(on_event)
        policy = context.key_policy(config.load())
        how = Restore(by=TESTER, policy=policy, accept=True, keep_active=False)
        restores.restore_file(backup, database, how, _told)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def found(database: Path) -> tuple[list[str], list[str]]:
    """What is wrong with a database as the next server meets it, and who is in it."""
    opened = open_sqlite(database, busy_timeout_s=5)
    try:
        with opened.read() as connection:
            names = connection.execute(text("SELECT name FROM client ORDER BY name")).scalars()
            clients = list(names)
    except DatabaseUnavailable as fault:
        return [str(fault)], []
    finally:
        opened.close()
    return sqlite_copy.faults(database), clients


def main(crashed: Path, folder: Path, backup: Path) -> None:
    """See above."""
    outcomes, step, was_killed = [], 0, True
    while was_killed:
        step += 1
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(crashed, folder)
        was_killed = killed(folder / "hourpass.db", backup, step)
        outcomes.append([step, *found(folder / "hourpass.db")])
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
