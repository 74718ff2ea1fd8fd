"""A real database by whose clock it is whatever time the test says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete

from hourpass.oauth.jose import Algorithm
from hourpass.server.db.engine import Database
from hourpass.server.db.schema import audit_event, sealed_key, signing_key
from hourpass.server.keys import keyring, operations, store
from hourpass.server.keys.keyring import Keyring
from hourpass.server.keys.master import MasterKeys
from hourpass.server.keys.model import SigningKey
from hourpass.server.keys.operations import KeyPolicy

START = datetime(2026, 2, 24, 12, tzinfo=UTC)
PERIOD = timedelta(days=90)
MASTER = MasterKeys.parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
POLICY = KeyPolicy(master=MASTER, algorithm=Algorithm.ES256, period=PERIOD)


@dataclass
class Clock:
    """What time it is."""

    now: datetime = START


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedDatabase(Database):
    """The same tables, another time."""

    clock: Clock

    @classmethod
    def of(cls, database: Database) -> "TurnedDatabase":
        """With all its keys made anew at START, and no audit events but theirs."""
        turned = cls(
            **{part.name: getattr(database, part.name) for part in fields(Database)},
            clock=Clock(),
        )
        spares = POLICY.spares()
        with turned.write() as connection:
            for table in (signing_key, sealed_key, audit_event):
                connection.execute(delete(table))
            operations.make_first(connection, POLICY, spares, START)
        return turned

    def now(self, connection: Connection) -> datetime:
        """See `Database`."""
        return self.clock.now

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """Until the block ends."""
        before, self.clock.now = self.clock.now, moment
        yield
        self.clock.now = before

    def signing_keys(self) -> list[SigningKey]:
        """Every key there ever was, in the order in which they sign."""
        with self.read() as connection:
            return store.signing_keys(connection)

    def keyring(self, master: MasterKeys = MASTER) -> Keyring:
        """As a process would open it now."""
        with self.read() as connection:
            return keyring.load(connection, master)

    def sealed_kids(self) -> set[str]:
        """The keys whose private half is still there."""
        with self.read() as connection:
            return {name for _, name in store.sealed(connection, store.SIGNING)}
