"""A database, whichever it is: transactions, its clock, and its failures in our words."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionFree

_NOW = select(func.clock_timestamp())
_GAVE_UP = ("57014", "55P03")

BUDGET_S = 2.0
"""How long anybody who asks waits for the database; then the answer is that it is not available,
whatever becomes of the statement."""

PATIENCE_S: ContextVar[float | None] = ContextVar("PATIENCE_S", default=None)
"""How long a statement may take in this context (and in threads begun in it) when the database
does not keep its own time; None: for ever. Longer than `statement_timeout`, so that a database
which is well speaks first."""


class Dialect(StrEnum):
    """The two databases."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class DatabaseUnavailable(Exception):
    """The database did not answer, or not in time; nothing of the transaction may be assumed."""


class DatabaseBusy(DatabaseUnavailable):
    """Somebody else held what was needed for as long as anybody waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database that the process uses. Close it when done."""

    dialect: Dialect
    engine: Engine
    reader: Engine
    looker: Engine
    location: str
    """Where it is, for people; holds no password."""
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)
    """Held while this process writes, where only one can: they queue here, not in the database."""
    release: Callable[[], None] | None = field(default=None, repr=False)
    """Called once closed: lets go of what was held as long as the database was open."""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; it waits for no writer."""
        with in_our_words(), self.reader.begin() as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """For one statement that only reads: without a transaction it takes one round trip."""
        with in_our_words(), self.looker.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; committed when the block ends, rolled back if it raises.

        On SQLite it holds the write lock from its first statement: read inside it what it
        decides on, and keep it short.
        """
        with in_our_words(), self.turn, self.engine.begin() as connection:
            yield connection

    def now(self, connection: Connection) -> datetime:
        """This moment by the one clock that counts: PostgreSQL's own, or the process's."""
        if self.dialect is Dialect.POSTGRESQL:
            moment: datetime = connection.execute(_NOW).scalar_one()
            return moment.astimezone(UTC)
        return datetime.now(UTC)

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()
        self.reader.dispose()
        if self.release is not None:
            self.release()


@contextmanager
def in_our_words() -> Iterator[None]:
    """Failures of connection or disk become DatabaseUnavailable; bugs stay what they are."""
    try:
        yield
    except (OperationalError, InterfaceError, NoConnectionFree) as fault:
        kind = DatabaseBusy if _is_busy(fault) else DatabaseUnavailable
        raise kind(first_line(fault)) from fault
    except DBAPIError as fault:
        # SQLite says exactly DatabaseError of a file that is damaged, or no database at all.
        if fault.connection_invalidated or type(fault) is DatabaseError:
            raise DatabaseUnavailable(first_line(fault)) from fault
        raise


def _is_busy(fault: Exception) -> bool:
    """SQLite's busy time-out was over, or PostgreSQL's `statement_timeout` or `lock_timeout`."""
    original = getattr(fault, "orig", None)
    name = getattr(original, "sqlite_errorname", None) or ""
    return name.startswith("SQLITE_BUSY") or getattr(original, "sqlstate", None) in _GAVE_UP


def first_line(fault: Exception) -> str:
    """What a driver says of a failure, without the hints and positions below."""
    original = getattr(fault, "orig", None) or fault
    return (str(original).strip().splitlines() or [type(original).__name__])[0]
