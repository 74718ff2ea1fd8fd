"""Migrates a database again and again, killed each time one statement later, then to the end.

Run as a program, so that it can fork: `killed_migration.py DATABASE_URL EVERY`. It prints, as JSON,
how many times it was killed, and every revision that was found in the database afterwards.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from alembic import command, context  # noqa: F401  (loaded before the children are made)
from sqlalchemy import Engine, event

from hourpass.server.db import migrate
from hourpass.server.db.engine import Database
from hourpass.server.db.postgres import open_postgresql
from hourpass.server.db.sqlite import open_sqlite

_AT_RANDOM = 4


def opened(url: str) -> Database:
    """The database at an address."""
    if url.startswith("sqlite"):
        return open_sqlite(Path(url.removeprefix("sqlite:///")), busy_timeout_s=30)
    return open_postgresql(url, statement_timeout_s=30)


def killed(url: str, statement: int | None, delay_s: float = 0.0) -> bool:
    """Migrate in a child that is killed before a statement, or after a while; whether it was."""
    child = os.fork()
    if child == 0:
        if statement is not None:
            _kill_before(statement)
        migrate.upgrade(opened(url))
        os._exit(0)
    if statement is None:
        time.sleep(delay_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _kill_before(statement: int) -> None:
    left = [statement]

    @event.listens_for(Engine, "before_cursor_execute")
    def on_statement(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _revision(url: str) -> str | None:
    database = opened(url)
    try:
        return migrate.revision(database)
    finally:
        database.close()


def main(url: str, every: int) -> None:
    """See above."""
    kills, statement, found = 0, 1, set()
    for _ in range(_AT_RANDOM):
        killed(url, None, random.uniform(0.0, 0.05))
        found.add(_revision(url))
    while killed(url, statement):
        kills += 1
        statement += every
        found.add(_revision(url))
    print(json.dumps({"kills": kills, "found": sorted(str(each) for each in found)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
