"""`kill -9` under load, round after round; then look whether what was acknowledged is there.

N1  a created client exists and its shown secret works
N2  a rotated-away secret never works again
N3  every token that left has exactly one audit row
N4  a suspension survives; a deleted client stays deleted
N5  what was not acknowledged is whole or absent, never half
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from faults import journal
from support.installation import Credentials, Installation, Server, clean_environ
from support.postgres import Cluster

_ROOT = Path(__file__).parent.parent
_ENTRIES = ("begins", "unknown", "absent", "done")


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


def run(installation: Installation, rounds: int, *, cluster: Cluster | None = None) -> Verdict:
    """Kill the server and the commands beside it in mid-work, `rounds` times.

    With `cluster`, every second round crashes PostgreSQL as well.
    """
    verdict = Verdict()
    steady = [installation.create_client("customers:read") for _ in range(20)]
    file = installation.folder / "steady.json"
    file.write_text(json.dumps([[c.client_id, c.secret] for c in steady]))
    deeds, tokens = installation.folder / "deeds.jsonl", installation.folder / "tokens.jsonl"
    server = Server(installation)
    try:
        for number in range(rounds):
            _work_until_killed(
                [
                    _start(installation, "faults.deeds", str(deeds)),
                    _start(installation, "faults.tokens", str(tokens), server.url, str(file)),
                ],
                server,
                (tokens, deeds),
                cluster if number % 2 else None,
            )
            installation.close()
            server.start()
            verdict.rounds += 1
            _check(installation, server, deeds, tokens, verdict)
            deeds.unlink()  # each round has clients of its own
    finally:
        server.stop()
    return verdict


def _work_until_killed(
    workers: list[subprocess.Popen[bytes]],
    server: Server,
    growing: tuple[Path, ...],
    cluster: Cluster | None,
) -> None:
    """Let them work for a moment, then kill all, in any order."""
    try:
        _wait_for_growth(*growing)
        time.sleep(random.uniform(0.2, 1.0))
        server.kill()
        if cluster is not None:
            cluster.stop(signal.SIGQUIT)
            cluster.start()
    finally:
        random.shuffle(workers)
        for worker in workers:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def _check(
    installation: Installation, server: Server, deeds: Path, tokens: Path, verdict: Verdict
) -> None:
    expected: dict[str, Expected] = {}
    replay(deeds, expected, verdict)
    for client_id, client in expected.items():
        answer = server.token(Credentials(client_id, client.secret))
        got = "active" if answer.status_code == 200 else answer.json().get("reason", "refused")
        wanted = {"refused" if status == "deleted" else status for status in client.statuses}
        if not client.secret_is_sure:
            wanted.add("refused")  # a new secret that was never shown may be the live one
        if got not in wanted:
            verdict.losses.append(
                f"{client_id} is {got}, wanted {sorted(wanted)}: {', '.join(client.history)}"
            )
        for old in client.old:
            answered = server.token(Credentials(client_id, old)).json()
            if answered.get("error") != "invalid_client" or "reason" in answered:
                verdict.losses.append(f"an old secret of {client_id} works again")
    with installation.context.database.read() as connection:
        rows = connection.execute(
            text("SELECT detail FROM audit_event WHERE event = 'token.issued'")
        ).scalars()
        on_record = Counter(json.loads(row)["jti"] for row in rows)
    left = [entry["jti"] for entry in journal.read(tokens) if "jti" in entry]
    verdict.tokens = len(left)
    verdict.losses += [
        f"token {jti} has {on_record[jti]} rows" for jti in left if on_record[jti] != 1
    ]


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


def _start(installation: Installation, module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**clean_environ(), **installation.environ},
        cwd=_ROOT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_for_growth(*files: Path) -> None:
    sizes = [file.stat().st_size if file.exists() else 0 for file in files]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        now = [file.stat().st_size if file.exists() else 0 for file in files]
        if all(new > old for new, old in zip(now, sizes, strict=True)):
            return
        time.sleep(0.02)
    raise RuntimeError("the load did not start")
