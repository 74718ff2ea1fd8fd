"""Sums of issued and refused requests per client and hour, added to the database in batches.

A token request never updates its client's row: these sums say when a client last got a token.
What is not yet added when the process dies is lost, and what was being added when PostgreSQL's
connection was lost may count twice; the audit trail is exact.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class Sum:
    """What one client did in one hour."""

    issued: int = 0
    refused: int = 0
    last_issued_at: datetime | None = None


Key = tuple[str, datetime]


class UsageSums:
    """The sums of one process that are not in the database yet; used by one thread."""

    def __init__(self) -> None:
        self._sums: dict[Key, Sum] = {}
        self._hour: tuple[datetime, datetime] | None = None

    def issued(self, client_id: str, moment: datetime) -> None:
        """One token more."""
        entry = self._entry(client_id, moment)
        entry.issued += 1
        entry.last_issued_at = moment

    def refused(self, client_id: str, moment: datetime) -> None:
        """One refusal more."""
        self._entry(client_id, moment).refused += 1

    def take(self, limit: int) -> list[tuple[Key, Sum]]:
        """Up to `limit` sums, sorted so that two processes never lock each other out."""
        keys = sorted(list(self._sums)[:limit])
        return [(key, self._sums.pop(key)) for key in keys]

    def put_back(self, sums: Iterable[tuple[Key, Sum]]) -> None:
        """Sums that could not be written after all."""
        for key, old in sums:
            entry = self._sums.setdefault(key, Sum())
            entry.issued += old.issued
            entry.refused += old.refused
            entry.last_issued_at = entry.last_issued_at or old.last_issued_at

    def __len__(self) -> int:
        return len(self._sums)

    def _entry(self, client_id: str, moment: datetime) -> Sum:
        key = (client_id, self._hour_of(moment))
        entry = self._sums.get(key)
        if entry is None:
            entry = self._sums[key] = Sum()
        return entry

    def _hour_of(self, moment: datetime) -> datetime:
        """The same object for the same batch: `replace` costs more than the sums do."""
        if self._hour is None or self._hour[0] != moment:
            self._hour = (moment, moment.replace(minute=0, second=0, microsecond=0))
        return self._hour[1]
