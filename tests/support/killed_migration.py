"""Migrates a database again and again, killed each time at another point, then to the end.

Run as a program, so that it can fork: `killed_migration.py DATABASE_URL`. It prints, as JSON,
which parts it was killed in, time by time, and every revision that was found in the database after
one of these.

A part is a revision and its function, such as "0007 prepare", or "COMMIT". The number that a
migration leaves in the database is the last statement of its `upgrade`.
"""

import json
import os
import random
import re
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from alembic import command, context  # noqa: F401  (loaded before the children are made)
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from hourpass.server.db import migrate
from hourpass.server.db.engine import Database
from hourpass.server.db.postgres import open_postgresql
from hourpass.server.db.sqlite import open_sqlite

_AT_RANDOM = 4
_FILE = re.compile(r"/versions/(\d{4})_\w+\.py$")
_COMMIT = "COMMIT"
_PARTS = ("prepare", "upgrade")


def opened(url: str) -> Database:
    """The database at an address."""
    if url.startswith("sqlite"):
        return open_sqlite(Path(url.removeprefix("sqlite:///")), busy_timeout_s=30)
    return open_postgresql(url, statement_timeout_s=30)


def killed(url: str, part: str = _COMMIT, number: int = 0) -> list[str]:
    """Migrate in a child that is killed before a statement, counted within its part from 1.

    Where it does not get to that, it is killed before it commits. The parts of all statements on
    the way, in order: the last is the one before which it was killed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _kill_before(part, number, writing)
        migrate.upgrade(opened(url))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        way = pipe.read().split("\n")[:-1]
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the child was to be killed, and has ended by itself: {way}")
    return way


def _kill_before(part: str, number: int, writing: int) -> None:
    left = {part: number}
    upgraded = [""]  # the part that the last statement of an `upgrade` was of

    def on_way(here: str) -> None:
        os.write(writing, f"{here}\n".encode())
        left[here] = left.get(here, 0) - 1
        if left[here] == 0 or here == _COMMIT:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(Engine, "before_cursor_execute")
    def on_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        here = _part(sys._getframe())
        if here.endswith("upgrade"):
            upgraded[0] = here
        elif re.match(r"(INSERT INTO|UPDATE) alembic_version\b", statement):
            here = upgraded[0]  # the number that it leaves
        if here:
            on_way(here)

    @event.listens_for(Engine, "commit")
    def on_commit(_connection: Any) -> None:
        here = _part(sys._getframe()) or (_COMMIT if upgraded[0] else "")
        if here:
            on_way(here)


def _part(frame: FrameType | None) -> str:
    """Which migration, and what of it, is being run; empty where none is."""
    while frame is not None:
        found = _FILE.search(frame.f_code.co_filename)
        if found and frame.f_code.co_name in _PARTS:
            return f"{found[1]} {frame.f_code.co_name}"
        frame = frame.f_back
    return ""


def killed_at_random(url: str) -> None:
    """Migrate in a child that is killed after a moment, unless it is faster."""
    child = os.fork()
    if child == 0:
        migrate.upgrade(opened(url))
        os._exit(0)
    time.sleep(random.uniform(0.0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def prepares() -> list[str]:
    """The migrations that have something to do before; in no order."""
    script = ScriptDirectory.from_config(migrate._config())
    found = (each for each in script.walk_revisions() if hasattr(each.module, "prepare"))
    return [f"{each.revision} prepare" for each in found]


def _revision(url: str) -> str | None:
    database = opened(url)
    try:
        return migrate.revision(database)
    finally:
        database.close()


def main(url: str) -> None:
    """See above."""
    parts: list[str] = []
    found = set()

    def kill(part: str = _COMMIT, number: int = 0) -> list[str]:
        way = killed(url, part, number)
        parts.append(way[-1])
        found.add(_revision(url))
        return way

    way: list[str] = []
    for part in prepares():
        # What has been prepared stays, so the way is shorter each time, and this ends. One
        # statement after another takes half a minute.
        number = 1
        while (way := kill(part, number))[-1] != _COMMIT:
            number += 2
    for part in dict.fromkeys(way):
        if part.endswith("upgrade"):
            kill(part, 1)
            kill(part, way.count(part))
    for _ in range(_AT_RANDOM):
        killed_at_random(url)
    migrate.upgrade(opened(url))
    print(json.dumps({"parts": parts, "found": sorted(str(each) for each in found)}))


if __name__ == "__main__":
    main(sys.argv[1])
