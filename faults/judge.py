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

import httpx
from sqlalchemy import Connection, text

from faults import journal
from faults.expected import EVENTS, Deed, Expected, replay
from faults.windows import Window
from support.installation import Credentials, Installation, Server

_PATIENCE_S = 20.0
_CLIENTS = """
    SELECT client.client_id, version, token_generation, scope
    FROM client LEFT JOIN client_scope ON client_scope.client_seq = client.seq
"""
_EVENTS = "SELECT event, client_id, request_id FROM audit_event WHERE event LIKE :kind"


@dataclass(slots=True)
class Verdict:
    """What the rounds showed; `losses` has to stay empty."""

    rounds: int = 0
    tokens: int = 0
    deeds: int = 0
    losses: list[str] = field(default_factory=list)
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
    request_id: str | None


def check(
    installation: Installation,
    server: Server,
    deeds: Iterable[Path],
    tokens: Iterable[Path],
    verdict: Verdict,
) -> None:
    """Compare the journals with what the server does now; add to the verdict."""
    told = replay(entry for path in deeds for entry in journal.read(path))
    verdict.deeds += told.acknowledged
    verdict.losses += told.losses
    for client_id, client in told.clients.items():
        verdict.losses += _refuted_by_server(client_id, client, server)
    with installation.context.database.read() as connection:
        rows = _clients(connection)
        events = [Recorded(*row) for row in connection.execute(text(_EVENTS), {"kind": "client.%"})]
        details = connection.scalars(
            text("SELECT detail FROM audit_event WHERE event = 'token.issued'")
        )
        on_record = Counter(json.loads(detail)["jti"] for detail in details)
    verdict.losses += refuted_by_rows(told.clients, rows)
    verdict.losses += refuted_by_events(told.deeds, events)
    verdict.losses += halves(rows, events)
    left = [entry["jti"] for path in tokens for entry in journal.read(path) if "jti" in entry]
    verdict.tokens = len(left)
    verdict.losses += [
        f"token {jti} has {on_record[jti]} rows" for jti in left if on_record[jti] != 1
    ]


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
        if row.generation < client.generation:
            yield (
                f"{client_id} is at token generation {row.generation}, "
                f"was told {client.generation}: {told}"
            )


def refuted_by_events(deeds: dict[str, Deed], events: Iterable[Recorded]) -> Iterator[str]:
    """Deeds that have too few audit events, too many, or other ones."""
    by_deed: dict[str, list[Recorded]] = {}
    for event in events:
        if event.request_id in deeds:
            by_deed.setdefault(event.request_id, []).append(event)
    for request_id, deed in deeds.items():
        found = by_deed.get(request_id, [])
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
