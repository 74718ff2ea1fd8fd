"""Refusals on record without letting a flood fill the disk.

The first of a minute for (client or none, reason, address block) is an event of its own; the
rest of that minute become one more, with a count. Memory is bounded: past `MAX_OPEN` counters
all further refusals share one.
"""

import ipaddress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hourpass.server.audit.events import SYSTEM, Actor, AuditEvent, Event, Origin, rfc3339
from hourpass.server.tokens.exchange import Refused

MAX_OPEN = 1000
WINDOW = timedelta(seconds=60)

_Key = tuple[str | None, str, str]
_OVERFLOW: _Key = (None, "too_many_kinds", "")


@dataclass(slots=True)
class _Counter:
    opened_at: datetime
    event: AuditEvent
    count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Whether its minute is; also when the clock was set back, by as much or more."""
        return abs(now - self.opened_at) >= WINDOW


class RefusalCounters:
    """The open counters of one process; used by one thread."""

    def __init__(self) -> None:
        self._open: dict[_Key, _Counter] = {}
        self._before: dict[_Key, _Counter | None] = {}  # what this batch has changed, as it was

    def note(self, refused: Refused, now: datetime) -> AuditEvent | None:
        """Count a refusal; returns the event to write when it is the first of its minute."""
        block = address_block(refused.ip)
        client_id = refused.client.client_id if refused.client is not None else None
        key: _Key = (client_id, refused.reason, block)
        if key not in self._open and len(self._open) >= MAX_OPEN:
            key = _OVERFLOW
        counter = self._open.get(key)
        if key not in self._before:
            self._before[key] = None if counter is None else replace(counter)
        if counter is None or (not counter.count and counter.is_over(now)):
            event = _overflow_event() if key == _OVERFLOW else _event(refused, block)
            self._open[key] = _Counter(now, event)
            return event
        # Past its minute, but its sum is not written yet: it goes on counting until then.
        counter.count += 1
        counter.first_at = counter.first_at or now
        counter.last_at = now
        return None

    def written(self) -> None:
        """The events that `note` returned are durable, and their callers are told."""
        self._before.clear()

    def not_written(self) -> None:
        """They are not: it is as if this batch had not been counted."""
        for key, counter in self._before.items():
            if counter is None:
                self._open.pop(key, None)
            else:
                self._open[key] = counter
        self._before.clear()

    def due(self, now: datetime, *, everything: bool = False) -> list[AuditEvent]:
        """The sums whose minute is over (or all): call `forget` once they are written."""
        return [
            _sum(counter)
            for counter in self._open.values()
            if counter.count and (everything or counter.is_over(now))
        ]

    def forget(self, now: datetime, *, everything: bool = False) -> None:
        """Close the counters whose minute is over (or all)."""
        self._open = {
            key: counter
            for key, counter in self._open.items()
            if not everything and not counter.is_over(now)
        }

    def __len__(self) -> int:
        return len(self._open)


def address_block(ip: str) -> str:
    """The /32 of an IPv4 address, the /64 of an IPv6 one; empty for no address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return f"{address.ipv4_mapped}/32"
        return str(ipaddress.ip_network((address, 64), strict=False))
    return f"{address}/32"


def _event(refused: Refused, block: str) -> AuditEvent:
    client = refused.client
    return AuditEvent(
        event=Event.TOKEN_REFUSED,
        origin=Origin(
            actor=Actor("client", client.client_id, client.name) if client else _STRANGER,
            request_id=refused.request_id,
            ip=refused.ip or None,
        ),
        client_id=client.client_id if client else None,
        client_name=client.name if client else None,
        organization=client.organization if client else None,
        detail={"reason": refused.reason, "address_block": block},
    )


_STRANGER = Actor("client", "", "unknown client")


def _overflow_event() -> AuditEvent:
    return AuditEvent(
        event=Event.TOKEN_REFUSED,
        origin=Origin(actor=SYSTEM),
        detail={"reason": _OVERFLOW[1], "address_block": ""},
    )


def _sum(counter: _Counter) -> AuditEvent:
    event = counter.event
    first, last = counter.first_at, counter.last_at
    assert first is not None and last is not None  # noqa: S101  (a count has both)
    return AuditEvent(
        event=event.event,
        origin=Origin(actor=event.origin.actor, ip=event.origin.ip),
        client_id=event.client_id,
        client_name=event.client_name,
        organization=event.organization,
        detail={
            **event.detail,
            "count": counter.count,
            "first_at": rfc3339(first),
            "last_at": rfc3339(last),
        },
    )
