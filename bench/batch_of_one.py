"""A batch of one on PostgreSQL beside its own statements, sent by the bare driver.

What is asked of the database is written down while the commit backend runs, and sent again word
for word over a connection that is set up alike. What the backend costs on top is what it decides
and remembers: the requests are parsed already, and nothing is signed.
"""

import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench.contestants import cpu_of
from hourpass.server.clients.secrets import Secret
from hourpass.server.tokens.authenticate import TokenRequest
from hourpass.server.tokens.commit_postgres import _VERIFIED_WRITE, PostgresCommit
from hourpass.server.tokens.exchange import Issued
from hourpass.server.tokens.refusals import RefusalCounters
from support.installation import Installation
from support.postgres import Cluster

BARE, BACKEND = "the same statements, bare driver", "a batch of one, commit backend"
CLIENTS = 1_000
_AT_ONCE = 100
_AS_DRIVERS_WRITE_IT = re.sub(r"\$\d", "%s", _VERIFIED_WRITE)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one transaction, in microseconds: as it takes, and CPU time here and in the database."""

    us: float
    cpu_us: float


def measure(
    installation: Installation, cluster: Cluster, credentials: Path, *, rounds: int, seconds: int
) -> dict[str, Cost]:
    """Both in turns, a hundred transactions at a time; medians of the rounds."""
    requests, refusals = _requests(credentials), RefusalCounters()
    url = installation.context.settings.database_url.get_secret_value()
    backend, other = (PostgresCommit(url, installation.context.facts) for _ in range(2))
    try:
        statements = _written_down(backend, requests)
        bare = other._connected()

        def ask_backend(number: int) -> None:
            backend.commit([requests[number]], refusals)

        def ask_driver(number: int) -> None:
            for statement, values in statements[number]:
                bare.execute(statement, values, prepare=True).fetchall()

        sides = {BARE: ask_driver, BACKEND: ask_backend}
        taken: dict[str, list[Cost]] = {name: [] for name in sides}
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for _ in progress.track(range(rounds), description="batches of one"):
                for name, cost in _round(sides, cluster, seconds).items():
                    taken[name].append(cost)
    finally:
        backend.close()
        other.close()
    return {
        name: Cost(median(cost.us for cost in costs), median(cost.cpu_us for cost in costs))
        for name, costs in taken.items()
    }


def _round(
    sides: Mapping[str, Callable[[int], None]], cluster: Cluster, seconds: int
) -> dict[str, Cost]:
    wall, cpu, count = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0.0), 0
    until = time.monotonic() + 2 * seconds
    while time.monotonic() < until:
        for name, ask in sides.items():
            cpu_before, before = time.process_time() + cpu_of(cluster.pid), time.perf_counter()
            for number in range(_AT_ONCE):
                ask((count + number) % CLIENTS)
            wall[name] += time.perf_counter() - before
            cpu[name] += time.process_time() + cpu_of(cluster.pid) - cpu_before
        count += _AT_ONCE
    return {name: Cost(wall[name] / count * 1e6, cpu[name] / count * 1e6) for name in sides}


def _requests(credentials: Path) -> list[TokenRequest]:
    pairs = credentials.read_text("ascii").split()[:CLIENTS]
    parts = (base64.b64decode(pair).decode().split(":", 1) for pair in pairs)
    return [
        TokenRequest(
            client_id=client_id,
            secret=Secret(secret),
            method="client_secret_basic",
            request_id=f"bench-{number}",
            ip="127.0.0.1",
        )
        for number, (client_id, secret) in enumerate(parts)
    ]


def _written_down(
    backend: PostgresCommit, requests: Sequence[TokenRequest]
) -> list[list[tuple[Any, Any]]]:
    """What the backend asks of the database for each request, once it remembers the client."""
    connection, send = backend._connected(), backend._connected().execute
    write = backend._verified_write
    said: list[list[tuple[Any, Any]]] = []

    def note(statement: Any, values: Any = None, **more: Any) -> Any:
        said[-1].append((statement, values))
        return send(statement, values, **more)

    def note_write(values: Sequence[str]) -> Any:
        said[-1].append((_AS_DRIVERS_WRITE_IT, values))
        return write(values)

    for noting in (False, True):
        if noting:
            connection.execute = note  # type: ignore[method-assign, assignment]  # just this one's
            backend._verified_write = note_write  # type: ignore[assignment]  # just this one's
        for request in requests:
            said.append([])
            outcomes, _ = backend.commit([request], RefusalCounters())
            assert isinstance(outcomes[0], Issued)
        if not noting:
            said.clear()
    connection.execute = send  # type: ignore[method-assign]  # as it was
    backend._verified_write = write
    return said
