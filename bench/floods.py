"""What a flood costs those who have no part in it: another client's p99, and memory; and what is
answered when more is asked than can be served.

`python -m bench.floods PORT CLIENT_ID PER_SECOND` is the flood of wrong secrets, until ended.
"""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress

from bench import load
from bench.contestants import HERE, Contestant
from bench.load import Measured
from hourpass.server.connections import files_allowed
from support import floods
from support.installation import Installation

WRONG_PER_SECOND = 200
IDLE = 10_000
CONNECTIONS = (1, 8)
CROWDS = (128, 2_000, 8_000)
_SETTLES_IN_S = 5.0  # what a crowd that is gone had asked for is answered first
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The p99 of one client's tokens, in milliseconds, alone and during something else."""

    during: str
    connections: int
    quiet_ms: float
    flooded_ms: float
    failed: int

    @property
    def ratio(self) -> float:
        """How much longer it took."""
        return self.flooded_ms / self.quiet_ms


def wrong_secrets(
    installation: Installation, running: Contestant, credentials: Path, *, rounds: int, seconds: int
) -> list[Neighbour]:
    """Another client's p99, in turns without and with the flood."""
    flooded = installation.create_client("customers:read").client_id
    found = []
    for connections in CONNECTIONS:
        quiet: list[Measured] = []
        during: list[Measured] = []
        rates: list[float] = []
        _tokens(running, credentials, connections, 1)  # warms up
        for _ in range(rounds):
            quiet.append(_tokens(running, credentials, connections, seconds))
            with _flood(installation.port, flooded, rates):
                during.append(_tokens(running, credentials, connections, seconds))
        words = f"{median(rates):.0f} wrong secrets a second for one client"
        found.append(_neighbour(words, connections, quiet, during))
    return found


def idle_connections(
    installation: Installation, running: Contestant, credentials: Path, *, rounds: int, seconds: int
) -> tuple[Neighbour, float, float]:
    """The p99 without and with 10,000 idle connections; resident MB before and with them."""
    before = running.resident_mb()
    connections = CONNECTIONS[-1]
    quiet = [_tokens(running, credentials, connections, seconds) for _ in range(rounds)]

    async def held() -> tuple[list[Measured], float]:
        async with floods.idle(installation.port, IDLE, HEALTHZ):
            during = [
                await asyncio.to_thread(_tokens, running, credentials, connections, seconds)
                for _ in range(rounds)
            ]
            return during, running.resident_mb()

    during, with_them = asyncio.run(held())
    neighbour = _neighbour(f"{IDLE:,} idle connections", connections, quiet, during)
    return neighbour, before, with_them


def unknown_ids(
    installation: Installation, running: Contestant, count: int
) -> tuple[float, float, dict[int, int]]:
    """Resident MB before and after so many client IDs that nobody has; what was answered.

    Before: after the first tenth, when all that is made once has been made.
    """
    asyncio.run(floods.unknown_ids(installation.port, count // 10))
    before = running.resident_mb()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{count:,} unknown client IDs", total=count)
        sent = floods.unknown_ids(
            installation.port,
            count,
            connections=64,
            done=lambda number: progress.advance(task, number),
        )
        answered = asyncio.run(sent)
    return before, running.resident_mb(), dict(sorted(answered.items()))


@dataclass(frozen=True, slots=True)
class Crowd:
    """What so many connections were answered that ask without a pause."""

    connections: int
    tokens_a_second: float
    p99_ms: float
    """Of all answers."""
    shed: float
    """The share of answers that were no token."""
    errors: int
    """Connections that failed, and answers that took more than five seconds."""


def overload(running: Contestant, credentials: Path, *, rounds: int, seconds: int) -> list[Crowd]:
    """Crowds of several sizes in turn, the largest far above what is served; medians."""
    files_allowed()  # raises our own limit, which wrk gets as well
    found: dict[int, list[Measured]] = {each: [] for each in CROWDS}
    for _ in range(rounds):
        for connections, taken in found.items():
            time.sleep(_SETTLES_IN_S)
            taken.append(_tokens(running, credentials, connections, seconds))
    return [
        Crowd(
            connections,
            median(each.rps * (1 - each.non200 / each.requests) for each in taken),
            median(each.p99_ms for each in taken),
            median(each.non200 / each.requests for each in taken),
            sum(each.errors for each in taken),
        )
        for connections, taken in found.items()
    ]


def measure(
    kind: str,
    installation: Installation,
    running: Contestant,
    credentials: Path,
    *,
    rounds: int,
    seconds: int,
    ids: int,
) -> list[str]:
    """All of it on one server; the lines of its section."""
    with Console(stderr=True).status(f"{kind}: wrong secrets …"):
        neighbours = wrong_secrets(
            installation, running, credentials, rounds=rounds, seconds=seconds
        )
    before, after, answered = unknown_ids(installation, running, ids)
    with Console(stderr=True).status(f"{kind}: {IDLE:,} idle connections …"):
        neighbour, alone, held = idle_connections(
            installation, running, credentials, rounds=rounds, seconds=seconds
        )
    with Console(stderr=True).status(f"{kind}: {CROWDS[-1]:,} connections that ask …"):
        crowds = overload(running, credentials, rounds=rounds, seconds=seconds)
    told = ", ".join(f"{number:,} were {status}" for status, number in answered.items())
    return [
        "| another client's tokens during | connections | p99 ms, quiet | p99 ms, then | ratio |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {each.during}{f' ({each.failed} failed)' if each.failed else ''} "
            f"| {each.connections} | {each.quiet_ms:.2f} | {each.flooded_ms:.2f} "
            f"| {each.ratio:.2f} |"
            for each in (*neighbours, neighbour)
        ),
        "",
        f"- Resident memory with {IDLE:,} idle connections: {held:.0f} MB (without: {alone:.0f})",
        f"- Resident memory after {ids:,} unknown IDs: {after:.0f} MB (before: {before:.0f})",
        f"- Of these requests {told}",
        "",
        "| connections that ask without a pause | tokens/s | p99 ms | of answers 503 |",
        "|---:|---:|---:|---:|",
        *(
            f"| {each.connections:,}{f' ({each.errors} failed)' if each.errors else ''} "
            f"| {each.tokens_a_second:,.0f} | {each.p99_ms:.0f} | {each.shed:.1%} |"
            for each in crowds
        ),
    ]


def _tokens(running: Contestant, credentials: Path, connections: int, seconds: int) -> Measured:
    return load.tokens(
        running.url, credentials, connections=connections, seconds=seconds, pinned=True
    )


def _neighbour(
    during: str, connections: int, quiet: list[Measured], flooded: list[Measured]
) -> Neighbour:
    return Neighbour(
        during,
        connections,
        median(each.p99_ms for each in quiet),
        median(each.p99_ms for each in flooded),
        sum(each.non200 + each.errors for each in (*quiet, *flooded)),
    )


def _command(*arguments: object) -> list[str]:
    """This module as a program, on the core that the load has: the server keeps its own."""
    pin = ["taskset", "-c", "1"] if shutil.which("taskset") else []
    return [*pin, sys.executable, "-m", "bench.floods", *map(str, arguments)]


@contextmanager
def _flood(port: int, client_id: str, rates: list[float]) -> Iterator[None]:
    """While the block runs; its rate is appended."""
    command = _command(port, client_id, WRONG_PER_SECOND)
    flood = subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True)
    assert flood.stdout is not None
    try:
        flood.stdout.readline()  # it is connected and begins
        began = time.monotonic()
        yield
    finally:
        lasted = time.monotonic() - began
        flood.send_signal(signal.SIGTERM)
        told, _ = flood.communicate(timeout=20)
    answered = {int(status): number for status, number in json.loads(told).items()}
    if answered.keys() - {401, 429}:
        raise RuntimeError(f"the flood was answered {answered}")
    rates.append(sum(answered.values()) / lasted)


async def _send(port: int, client_id: str, per_second: float) -> None:
    def connected() -> None:
        sys.stdout.write("begun\n")
        sys.stdout.flush()

    flood = floods.wrong_secrets(port, client_id, per_second=per_second, connected=connected)
    sending = asyncio.create_task(flood)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sending.cancel)
    sys.stdout.write(json.dumps(await sending))


if __name__ == "__main__":
    port, client_id, per_second = sys.argv[1:]
    asyncio.run(_send(int(port), client_id, float(per_second)))
