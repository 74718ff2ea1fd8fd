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


@dataclass(slots=True)
class Verdict:
    """What the rounds showed; `losses` has to stay empty."""

    rounds: int = 0
    tokens: int = 0
    deeds: int = 0
    losses: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Client:
    """What a client has to be, by the journal; `open` is a deed whose end is not known."""

    secret: str
    old: list[str] = field(default_factory=list)
    status: str = "active"
    open: str | None = None


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
    expected: dict[str, _Client] = {}
    _replay(deeds, expected, verdict)
    for client_id, client in expected.items():
        answer = server.token(Credentials(client_id, client.secret))
        got = "active" if answer.status_code == 200 else answer.json().get("reason", "refused")
        wanted = {client.status, *_ends(client)}
        wanted = {"refused" if status == "deleted" else status for status in wanted}
        if client.open == "rotate":
            wanted.add("refused")  # the new secret was never shown, and may be the live one
        if got not in wanted:
            verdict.losses.append(f"{client_id} is {got}, wanted {sorted(wanted)}")
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


def _replay(deeds: Path, expected: dict[str, _Client], verdict: Verdict) -> None:
    for entry in journal.read(deeds):
        client = expected.get(entry["client_id"])
        if "begins" in entry and client is not None:
            client.open = entry["begins"]
        if "done" not in entry:
            continue
        verdict.deeds += 1
        if client is None:
            expected[entry["client_id"]] = _Client(entry["secret"])
            continue
        client.open = None
        match entry["done"]:
            case "rotate":
                client.old.append(client.secret)
                client.secret = entry["secret"]
            case "suspend":
                client.status = "suspended"
            case "activate":
                client.status = "active"
            case "delete":
                client.status = "deleted"


def _ends(client: _Client) -> set[str]:
    """What a deed that was under way may have made of the client."""
    match client.open:
        case "suspend":
            return {"suspended"}
        case "activate":
            return {"active"}
        case "delete":
            return {"deleted"}
    return set()


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
