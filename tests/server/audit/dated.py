"""A real database whose clock says what the test says, and events of any time in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from hourpass.server.audit import store
from hourpass.server.audit.events import SYSTEM, AuditEvent, Event, Origin
from hourpass.server.audit.partitions import Partition, partitions
from hourpass.server.db.engine import Database, Dialect
from support.audit_trail import as_written


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedDatabase(Database):
    """The same tables, another time."""

    clock: list[datetime] = field(default_factory=list)

    @classmethod
    def of(cls, database: Database, now: datetime | None = None) -> "DatedDatabase":
        """At a moment; at this one unless told."""
        parts = {part.name: getattr(database, part.name) for part in fields(Database)}
        return cls(**parts, clock=[now or datetime.now(UTC)])

    def now(self, connection: Connection) -> datetime:
        """See `Database`."""
        return self.clock[0]

    def write_at(self, moments: Sequence[datetime], client_id: str = "m2m_1") -> None:
        """One issued token for each moment."""
        event = AuditEvent(
            event=Event.TOKEN_ISSUED, origin=Origin(actor=SYSTEM), client_id=client_id
        )
        with self.write() as connection:
            for moment in moments:
                store.record(connection, [event], moment)

    def issued(self) -> list[tuple[int, datetime]]:
        """ID and time of every token issued, in the order of IDs."""
        with self.read() as connection:
            wanted = store.EventFilter(event=Event.TOKEN_ISSUED)
            return [(each.id, each.time) for each in as_written(connection, wanted)]

    def partitions(self) -> list[Partition]:
        """Those that are there now."""
        with self.read() as connection:
            return partitions(connection)

    def rows_in(self, table: str) -> int:
        """How many there are in one partition."""
        assert self.dialect is Dialect.POSTGRESQL
        with self.read() as connection:
            count: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            return count
