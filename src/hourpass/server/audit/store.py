"""The audit table: append, and read newest first."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, text

from hourpass.server.audit.events import Actor, AuditEvent, Event, StoredEvent
from hourpass.server.db.columns import micros, moment
from hourpass.server.db.engine import Dialect
from hourpass.server.db.schema import audit_event as table

_MONTH = timedelta(days=32)
_CLIENT = "m2m_"  # how client IDs begin
_APPEND = insert(table)  # made once: to make a statement costs more than to execute it


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events; None means any. `since` is inclusive, `until` exclusive."""

    client_id: str | None = None
    event: str | None = None
    actor: str | None = None
    organization: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_deed: bool = False
    """Only what somebody did: all but the tokens that were issued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position in the trail, whose order is that of time and, within a moment, of the IDs."""

    time: datetime
    id: int

    @classmethod
    def of(cls, stored: StoredEvent) -> "Position":
        """That of an event."""
        return cls(time=stored.time, id=stored.id)

    @classmethod
    def from_json(cls, value: object) -> "Position":
        """What `as_json` made; raises ValueError for anything else."""
        match value:
            case [int(at), int(number)]:
                return cls(time=moment(at), id=number)
        raise ValueError("no position in the audit trail")

    def as_json(self) -> list[int]:
        """For a cursor: microseconds since 1970, and the ID."""
        return [micros(self.time), self.id]


def record(connection: Connection, events: Sequence[AuditEvent], now: datetime) -> None:
    """Write events in the caller's transaction: they stand or fall with the deed."""
    connection.execute(_APPEND, [values(event, now) for event in events])


def values(event: AuditEvent, now: datetime) -> dict[str, object]:
    """One event as column values."""
    origin = event.origin
    return {
        "time": now,
        "event": event.event.value,
        "actor_type": origin.actor.type,
        "actor_id": origin.actor.id,
        "actor_name": origin.actor.name,
        "client_id": event.client_id,
        "client_name": event.client_name,
        "organization": event.organization,
        "request_id": origin.request_id,
        "ip": origin.ip,
        "detail": json.dumps(event.detail, ensure_ascii=False, separators=(",", ":")),
    }


def page(
    connection: Connection, wanted: EventFilter, *, limit: int, before: Position | None = None
) -> list[StoredEvent]:
    """Up to `limit` events before a position in the trail, newest first."""
    query = _filtered(wanted).order_by(table.c.time.desc(), table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.time <= before.time).where(
            or_(table.c.time < before.time, table.c.id < before.id)
        )
    if connection.dialect.name == Dialect.POSTGRESQL:
        # Mostly a month has all that is asked for: spare the other partitions the question.
        end = datetime.now(UTC) if wanted.until is None else wanted.until
        begin = _earlier(end if before is None else min(end, before.time), _MONTH)
        if wanted.since is None or wanted.since < begin:
            found = connection.execute(query.where(table.c.time >= begin)).all()
            if len(found) == limit:
                return [_stored(row) for row in found]
    return [_stored(row) for row in connection.execute(query)]


def written_after(
    connection: Connection, wanted: EventFilter, after_id: int, *, limit: int
) -> list[StoredEvent]:
    """The last `limit` events that were written after the one with this ID, the last one first.

    On PostgreSQL those of the last month: no other partition is asked.
    """
    # All there are with such IDs are few: no index but that of the IDs is worth its while.
    query = _filtered(wanted, by_index=False).where(table.c.id > after_id)
    query = query.order_by(table.c.id.desc()).limit(limit)
    if connection.dialect.name == Dialect.POSTGRESQL:
        query = query.where(table.c.time >= datetime.now(UTC) - _MONTH)
    return [_stored(row) for row in connection.execute(query)]


def following(
    connection: Connection,
    wanted: EventFilter,
    after: Position | None,
    *,
    newest_id: int,
    limit: int,
) -> list[StoredEvent]:
    """Up to `limit` events after a position, oldest first, without those after `newest_id`."""
    query = _filtered(wanted).where(table.c.id <= newest_id)
    if after is not None:
        query = query.where(table.c.time >= after.time).where(
            or_(table.c.time > after.time, table.c.id > after.id)
        )
    query = query.order_by(table.c.time, table.c.id).limit(limit)
    if connection.dialect.name == Dialect.POSTGRESQL and after is not None:
        found = connection.execute(query.where(table.c.time < after.time + _MONTH)).all()
        if len(found) == limit:
            return [_stored(row) for row in found]
    return [_stored(row) for row in connection.execute(query)]


def newest_details(
    connection: Connection, event: str, organization: str | None, since: datetime, *, limit: int
) -> list[dict[str, object]]:
    """The details of the newest events of a kind from `since` on; None: of every organization."""
    wanted = EventFilter(event=event, organization=organization, since=since)
    query = _filtered(wanted).with_only_columns(table.c.detail)
    query = query.order_by(table.c.time.desc(), table.c.id.desc()).limit(limit)
    return [json.loads(text) for text in connection.scalars(query)]


def newest_id(connection: Connection) -> int:
    """The ID of the last event written; 0 before the first."""
    query = select(table.c.id).order_by(table.c.id.desc()).limit(1)
    recent = query.where(table.c.time >= datetime.now(UTC) - _MONTH)  # of few partitions
    for each in (recent, query) if connection.dialect.name == Dialect.POSTGRESQL else (query,):
        number: int | None = connection.execute(each).scalar_one_or_none()
        if number is not None:
            return number
    return 0


def _earlier(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment - by
    except OverflowError:  # somebody asked for the year 1
        return moment


def _filtered(wanted: EventFilter, *, by_index: bool = True) -> Select[tuple[object, ...]]:
    query = select(table)
    equal = {
        table.c.client_id: wanted.client_id,
        table.c.event: wanted.event,
        table.c.actor_id: wanted.actor,
        table.c.organization: wanted.organization,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where((column if by_index else func.coalesce(column, "")) == value)
    if wanted.is_deed or _is_of_deeds(wanted):
        query = query.where(table.c.event != text("'token.issued'"))  # as the indexes say it
    if wanted.since is not None:
        query = query.where(table.c.time >= wanted.since)
    if wanted.until is not None:
        query = query.where(table.c.time < wanted.until)
    return query


def _is_of_deeds(wanted: EventFilter) -> bool:
    """Whether no issued token can be among them: then the small indexes serve.

    The actor of an issued token is its client.
    """
    return wanted.event not in (None, Event.TOKEN_ISSUED) or (
        wanted.actor is not None and not wanted.actor.startswith(_CLIENT)
    )


def _stored(row: Row[tuple[object, ...]]) -> StoredEvent:
    return StoredEvent(
        id=row.id,
        time=row.time,
        event=row.event,
        actor=Actor(row.actor_type, row.actor_id, row.actor_name),
        client_id=row.client_id,
        client_name=row.client_name,
        organization=row.organization,
        request_id=row.request_id,
        ip=row.ip,
        detail=json.loads(row.detail),
    )
