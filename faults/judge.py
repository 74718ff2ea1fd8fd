"""Whether what was acknowledged is there, by the journals of those who got the answers.

N1  a created client exists and its shown secret works
N2  a rotated-away secret never works again
N3  every token that left has exactly one audit row
N4  a suspension survives; a deleted client stays deleted
N5  what was not acknowledged is whole or absent, never half
"""

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import text

from faults import journal
from support.installation import Credentials, Installation, Server

_ENTRIES = ("begins", "unknown", "absent", "done")
_PATIENCE_S = 20.0


@dataclass(slots=True)
class Verdict:
    """What the rounds showed; `losses` has to stay empty."""

    rounds: int = 0
    tokens: int = 0
    deeds: int = 0
    losses: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Expected:
    """What a client has to be, by the journal.

    A deed that began and has no end may have been done or not, and there can be several: while
    the database is down each attempt fails with its outcome unknown. So there may be more than
    one status that is right, until a deed that was acknowledged says which.
    """

    secret: str
    old: list[str] = field(default_factory=list)
    statuses: set[str] = field(default_factory=lambda: {"active"})
    secret_is_sure: bool = True
    history: list[str] = field(default_factory=list)


def check(
    installation: Installation,
    server: Server,
    deeds: Iterable[Path],
    tokens: Iterable[Path],
    verdict: Verdict,
) -> None:
    """Compare the journals with what the server does now; add to the verdict."""
    expected: dict[str, Expected] = {}
    for path in deeds:
        replay(path, expected, verdict)
    for client_id, client in expected.items():
        answer = _ask(server, Credentials(client_id, client.secret))
        got = "active" if answer.status_code == 200 else answer.json().get("reason", "refused")
        wanted = {"refused" if status == "deleted" else status for status in client.statuses}
        if not client.secret_is_sure:
            wanted.add("refused")  # a new secret that was never shown may be the live one
        if got not in wanted:
            verdict.losses.append(
                f"{client_id} is {got}, wanted {sorted(wanted)}: {', '.join(client.history)}"
            )
        for old in client.old:
            answered = _ask(server, Credentials(client_id, old)).json()
            # Very many old secrets from one address: their budget of failures is spent.
            is_refused = answered.get("error") in ("invalid_client", "rate_limited")
            if not is_refused or "reason" in answered:
                verdict.losses.append(f"an old secret of {client_id} works again")
    with installation.context.database.read() as connection:
        rows = connection.execute(
            text("SELECT detail FROM audit_event WHERE event = 'token.issued'")
        ).scalars()
        on_record = Counter(json.loads(row)["jti"] for row in rows)
    left = [entry["jti"] for path in tokens for entry in journal.read(path) if "jti" in entry]
    verdict.tokens = len(left)
    verdict.losses += [
        f"token {jti} has {on_record[jti]} rows" for jti in left if on_record[jti] != 1
    ]


def _ask(server: Server, credentials: Credentials) -> httpx.Response:
    """An answer that says something of these credentials."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        answer = server.token(credentials)
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def replay(deeds: Path, expected: dict[str, Expected], verdict: Verdict) -> None:
    """What every client has to be, by the journal; what cannot be is a loss."""
    for entry in journal.read(deeds):
        client = expected.get(entry["client_id"])
        if client is not None:
            client.history += [f"{what} {entry[what]}" for what in _ENTRIES if what in entry]
        if "begins" in entry and client is not None:
            client.statuses |= _after(entry["begins"], client.statuses)
            client.secret_is_sure &= entry["begins"] != "rotate"
        if "absent" in entry and client is not None:
            if "deleted" not in client.statuses:
                verdict.losses.append(f"{entry['client_id']} is gone: {', '.join(client.history)}")
            client.statuses = {"deleted"}
        if "done" not in entry:
            continue
        verdict.deeds += 1
        if client is None:
            expected[entry["client_id"]] = Expected(entry["secret"])
            continue
        client.statuses = _after(entry["done"], client.statuses - {"deleted"})
        if entry["done"] == "rotate":
            client.old.append(client.secret)
            client.secret, client.secret_is_sure = entry["secret"], True


def _after(deed: str, statuses: set[str]) -> set[str]:
    """What a client can be once the deed was done; a rotation leaves the status alone."""
    ends = {"suspend": "suspended", "activate": "active", "delete": "deleted"}
    return {ends[deed]} if deed in ends else set(statuses)
