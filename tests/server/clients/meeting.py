"""Databases that arrange races: real transactions, whose moments the test chooses."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection

from hourpass.server.db.engine import Database

_PATIENCE_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingDatabase(Database):
    """Each thread's first write waits until every thread is about to write.

    So what each has read is old by the time it writes, for all but the fastest.
    """

    barrier: threading.Barrier
    _met: threading.local = field(default_factory=threading.local)

    @classmethod
    def of(cls, database: Database, parties: int) -> "MeetingDatabase":
        """The same database, for so many threads at once."""
        return cls(**_parts(database), barrier=threading.Barrier(parties))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See `Database`."""
        if not getattr(self._met, "already", False):
            self._met.already = True
            self.barrier.wait(_PATIENCE_S)
        with Database.write(self) as connection:
            yield connection


@dataclass(frozen=True, slots=True, kw_only=True)
class LingeringDatabase(Database):
    """Every writing transaction does something else first when it is about to commit."""

    before_commit: Callable[[], object]

    @classmethod
    def of(cls, database: Database, before_commit: Callable[[], object]) -> "LingeringDatabase":
        """The same database, lingering."""
        return cls(**_parts(database), before_commit=before_commit)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See `Database`."""
        with Database.write(self) as connection:
            yield connection
            self.before_commit()


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """Do each in a thread of its own; what each returned or raised."""

    def done(deed: Callable[[], object]) -> object:
        try:
            return deed()
        except Exception as raised:  # noqa: BLE001  (whatever it is, the test looks at it)
            return raised

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(done, deeds))


def _parts(database: Database) -> dict[str, Any]:
    return {part.name: getattr(database, part.name) for part in fields(Database)}
