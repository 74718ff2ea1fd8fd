"""Whether what was acknowledged is there, by the journals of those who got the answers.

N1  a created client exists and its shown secret works
N2  a rotated-away secret never works again
N3  every token that left has exactly one audit row
N4  a suspension survives; a deleted client stays deleted
N5  what was not acknowledged is whole or absent, never half

Beside them: scopes are as acknowledged, revoked tokens stay revoked, and every deed that was
acknowledged and changed something has exactly one audit event, of its kind.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, text

from faults import journal
from faults.deeds import origin
from faults.expected import EVENTS, Expected, Told, replay
from faults.windows import Window
from support.installation import Credentials, Installation, Server

_PATIENCE_S = 20.0
_CLIENTS = """
    SELECT client.client_id, version, token_generation, scope
    FROM client LEFT JOIN client_scope ON client_scope.client_seq = client.seq
"""
_EVENTS = """
    SELECT event, client_id, actor_id, ip, detail FROM audit_event WHERE event LIKE :kind
"""
_ORDINARY = frozenset((0, 409, 412, 502, 503, 504))
"""What a fault may cost: no answer, 503 from Hourpass or a balancer, and a refusal because
an earlier deed, of which nobody knows, is under way or was done."""


@dataclass(slots=True)
class Verdict:
    """What the rounds showed; `losses` has to stay empty."""

    rounds: int = 0
    tokens: int = 0
    deeds: int = 0
    losses: list[str] = field(default_factory=list)
    odd: set[int] = field(default_factory=set)
    """Statuses that no fault excuses, such as 500, and 401 for a client that is good."""
    window: Window | None = None
    """What the callers saw in the worst round; None when nobody looked."""


@dataclass(slots=True, kw_only=True)
class Row:
    """A client as it is in the database."""

    version: int
    generation: int
    scopes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An audit event."""

    event: str
    client_id: str
    origin: str
    generation: int = 0
    """That of the tokens, of an event that raised it."""


def check(
    installation: Installation,
    server: Server,
    deeds: Iterable[Path],
    tokens: Iterable[Path],
    verdict: Verdict,
) -> None:
    """Compare the journals with what the server does now; add to the verdict."""
    asked = [entry for path in deeds for entry in journal.read(path)]
    answered = [entry for path in tokens for entry in journal.read(path)]
    told = replay(asked)
    verdict.odd |= odd([*asked, *answered])
    verdict.deeds += told.acknowledged
    verdict.losses += told.losses
    for client_id, client in told.clients.items():
        verdict.losses += _refuted_by_server(client_id, client, server)
    with installation.context.database.read() as connection:
        rows = _clients(connection)
        events = [
            _recorded(*row) for row in connection.execute(text(_EVENTS), {"kind": "client.%"})
        ]
        details = connection.scalars(
            text("SELECT detail FROM audit_event WHERE event = 'token.issued'")
        )
        on_record = Counter(json.loads(detail)["jti"] for detail in details)
    verdict.losses += refuted_by_rows(told.clients, rows)
    verdict.losses += revived(rows, events)
    verdict.losses += refuted_by_events(told, events)
    verdict.losses += halves(rows, events)
    left = [entry["jti"] for entry in answered if "jti" in entry]
    verdict.tokens = len(left)
    verdict.losses += [
        f"token {jti} has {on_record[jti]} rows" for jti in left if on_record[jti] != 1
    ]


def odd(entries: Iterable[dict[str, Any]]) -> set[int]:
    """Of the answers in a journal, the statuses that no fault excuses."""
    return {entry["status"] for entry in entries if "status" in entry} - _ORDINARY


def odd_answers(statuses: Iterable[int]) -> str:
    """What is wrong when there are any."""
    told = ", ".join(map(str, sorted(statuses)))
    return f"callers got answers of status {told}" if told else ""


def _refuted_by_server(client_id: str, client: Expected, server: Server) -> Iterator[str]:
    answer = _ask(server, Credentials(client_id, client.secret))
    is_good = answer.status_code == 200
    got = "active" if is_good else answer.json().get("reason", "refused")
    wanted = {"refused" if status == "deleted" else status for status in client.statuses}
    if not client.secret_is_sure:
        wanted.add("refused")  # a new secret that was never shown may be the live one
    if got not in wanted:
        yield f"{client_id} is {got}, wanted {sorted(wanted)}: {', '.join(client.history)}"
    if is_good and frozenset(answer.json()["scope"].split()) not in client.scopes:
        yield f"a token of {client_id} has {answer.json()['scope']}: {', '.join(client.history)}"
    for old in client.old:
        answer = _ask(server, Credentials(client_id, old))
        # A reason is told to whoever proves the secret; 429 to whoever proved none too often.
        if answer.status_code not in (401, 429) or "reason" in answer.json():
            yield f"an old secret of {client_id} works again"


def _ask(server: Server, credentials: Credentials) -> httpx.Response:
    """An answer that says something of these credentials."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        answer = server.token(credentials)
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def _recorded(event: str, client_id: str, actor_id: str, ip: str | None, detail: str) -> Recorded:
    generation = json.loads(detail).get("token_generation", 0)
    return Recorded(event, client_id, origin(actor_id, ip), generation)


def _clients(connection: Connection) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for found in connection.execute(text(_CLIENTS)):
        client_id, version, generation, scope = found
        row = rows.setdefault(client_id, Row(version=version, generation=generation))
        row.scopes.add(scope)
    return rows


def refuted_by_rows(clients: dict[str, Expected], rows: dict[str, Row]) -> Iterator[str]:
    """What the rows of the clients that are left say against what callers were told."""
    for client_id, client in clients.items():
        row = rows.get(client_id)
        if row is None:  # whether it may be gone is asked of the server
            continue
        told = ", ".join(client.history)
        if row.scopes not in client.scopes:
            yield f"{client_id} has the scopes {sorted(row.scopes)}: {told}"


def revived(rows: dict[str, Row], events: Iterable[Recorded]) -> Iterator[str]:
    """Tokens that were revoked, as the audit trail has it, and are good again."""
    for event in events:
        row = rows.get(event.client_id)
        if row is not None and row.generation < event.generation:
            yield (
                f"{event.client_id} is at token generation {row.generation}, "
                f"was at {event.generation}"
            )


def refuted_by_events(told: Told, events: Iterable[Recorded]) -> Iterator[str]:
    """Deeds that have too few audit events, too many, or other ones."""
    by_deed: dict[str, list[Recorded]] = {}
    for event in events:
        if event.origin in told.deeds:
            by_deed.setdefault(event.origin, []).append(event)
    for deed in told.deeds.values():
        found = by_deed.get(deed.origin, [])
        is_its = all(
            event.event == EVENTS[deed.kind] and deed.client_id in ("", event.client_id)
            for event in found
        )
        if not is_its or len(found) not in deed.events:
            seen = ", ".join(f"{event.event} of {event.client_id}" for event in found) or "none"
            yield (
                f"{deed.kind} of {deed.client_id or 'a new client'} should have "
                f"{' or '.join(map(str, sorted(deed.events)))} audit events of its own, has {seen}"
            )
    for key, requests in told.keys.items():
        number = sum(len(by_deed.get(deed.origin, [])) for deed in requests.deeds)
        if number not in requests.events:
            yield f"{len(requests.deeds)} requests with the key {key} made {number} clients"


def halves(rows: dict[str, Row], events: Iterable[Recorded]) -> Iterator[str]:
    """Changes without an event, or events without the change: each deed is one version.

    This holds of deeds as well whose outcome nobody was told.
    """
    count: Counter[str] = Counter()
    deleted: Counter[str] = Counter()
    for event in events:
        counted = deleted if event.event == EVENTS["delete"] else count
        counted[event.client_id] += 1
    for client_id in sorted({*rows, *count, *deleted}):
        row = rows.get(client_id)
        if row is None and deleted[client_id] != 1:
            yield f"{client_id} is gone, with {deleted[client_id]} events that say so"
        elif row is not None and (deleted[client_id] or count[client_id] != row.version):
            yield (
                f"{client_id} is at version {row.version}, with {count[client_id]} events "
                f"of changes and {deleted[client_id]} of being deleted"
            )
