"""A lock that one process of all that use the database holds for as long as it lives.

On PostgreSQL an advisory lock of the session: the database lets go of it when the connection
ends, however that comes about. On SQLite one process serves, so it has it.
"""

import contextlib

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from hourpass.server.db.engine import Database, Dialect, in_our_words

CHORES_LOCK = 0x484F_5552_4348_4F52
"""Every serving process asks for it, every few seconds: so one has it while any is serving."""

# The holder's machine may go without a word: let the database notice within half a minute.
_NOTICE = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
_TRY = text("SELECT pg_try_advisory_lock(:number)")
_STILL_THERE = text("SELECT 1")


class SessionLock:
    """One of the locks of a database, told by its number. For one thread at a time."""

    def __init__(self, database: Database, number: int) -> None:
        """`number` is 64 bits, signed."""
        self._database = database
        self._number = number
        self._connection: Connection | None = None

    def is_ours(self) -> bool:
        """Whether this process holds it now; takes it where nobody does.

        Raises DatabaseUnavailable: then it is not ours.
        """
        if self._database.dialect is Dialect.SQLITE:
            return True
        with in_our_words():
            return self._is_held() or self._take()

    def release(self) -> None:
        """Let another process have it; harmless when it is not ours."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):  # it may be gone already
                connection.close()

    def _is_held(self) -> bool:
        """As long as the session lives; a session that ended took the lock with it."""
        if self._connection is None:
            return False
        try:
            self._connection.execute(_STILL_THERE)
        except SQLAlchemyError:
            self.release()
            return False
        return True

    def _take(self) -> bool:
        # Outside a transaction: one that stays open keeps VACUUM from its work.
        connection = self._database.looker.connect()
        try:
            if not connection.execute(_TRY, {"number": self._number}).scalar_one():
                connection.close()
                return False
            connection.detach()  # the pool gets another: this one holds the lock
            for statement in _NOTICE:
                connection.execute(text(statement))
        except BaseException:
            connection.invalidate()  # it may hold the lock: nobody else must get it
            connection.close()
            raise
        self._connection = connection
        return True
