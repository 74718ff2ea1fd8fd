"""The management API of a small and of a very large installation: lists, a client, creating.

Asked over HTTP with one connection, small and large in turn; what counts is the ratio of the
median times. Creating is asked with eight connections at once, server on one core.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
from sqlalchemy import func, select, update

from bench import load
from bench.contestants import Contestant
from bench.load import Measured
from hourpass.server.catalogue.model import MANAGEMENT_SCOPES
from hourpass.server.context import Context
from hourpass.server.db.schema import client
from support.installation import Installation

_CREATING = 8
_PATHS = {
    "a page of 50": "/clients?limit=50",
    "active": "/clients?limit=50&status=active",
    "suspended": "/clients?limit=50&status=suspended",
    "expired": "/clients?limit=50&status=expired",
    "a scope": "/clients?limit=50&scope=bookings:read",
    "a scope and suspended": "/clients?limit=50&scope=bookings:read&status=suspended",
    "search, all found": "/clients?limit=50&search=integration",
    "search, few found": "/clients?limit=50&search=int+993",
}
_NEW = '{"name":"CRM sync","scopes":["bookings:read"],"expires_in_days":365}'


@dataclass(frozen=True, slots=True)
class Row:
    """What one call took, in milliseconds, in the small and the large installation."""

    name: str
    few_ms: float
    many_ms: float
    failed: int


@dataclass(slots=True)
class Side:
    """A running installation, and a client of it that may see everything."""

    installation: Installation
    running: Contestant
    token: str
    client_id: str
    clients: int

    @classmethod
    def of(cls, installation: Installation, running: Contestant) -> "Side":
        """One client in a hundred is suspended, one expired: as in a real installation."""
        _age(installation.context)
        manager = installation.create_client(*MANAGEMENT_SCOPES, name="Back office")
        answer = httpx.post(
            f"{running.url}/token",
            data={"grant_type": "client_credentials", "resource": f"{running.url}/api/v1"},
            auth=(manager.client_id, manager.secret),
            trust_env=False,
        )
        with installation.context.database.read() as connection:
            count = connection.execute(select(func.count()).select_from(client)).scalar_one()
        return cls(installation, running, answer.json()["access_token"], manager.client_id, count)

    def call(self, method: str, path: str, body: str = "") -> Path:
        """The file of one call."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if body:
            headers["Content-Type"] = "application/json"
        call = load.request(method, f"/api/v1{path}", headers, body)
        return load.write(self.installation.folder / "call", [call])


def lists(few: Side, many: Side, *, rounds: int, seconds: int) -> list[Row]:
    """Every list, in turns."""
    rows = []
    for name, path in {**_PATHS, "one client": ""}.items():
        taken: dict[int, list[Measured]] = {0: [], 1: []}
        for number in range(rounds + 1):
            for turn, side in enumerate((few, many)):
                call = side.call("GET", path or f"/clients/{side.client_id}")
                measured = load.send(side.running.url, call, connections=1, seconds=seconds)
                if number:  # the first round only warms up
                    taken[turn].append(measured)
        times = [median(each.p50_ms for each in taken[turn]) for turn in (0, 1)]
        failed = sum(each.non200 + each.errors for turn in (0, 1) for each in taken[turn])
        rows.append(Row(name, times[0], times[1], failed))
    return rows


def creating(side: Side, *, rounds: int, seconds: int) -> tuple[Measured, float]:
    """Clients created with durable audit rows: wrk's figures, and CPU time each in ms."""
    call = side.call("POST", "/clients", _NEW)
    taken: list[tuple[Measured, float]] = []
    for number in range(rounds + 1):
        before = side.running.cpu_s()
        measured = load.send(side.running.url, call, connections=_CREATING, seconds=seconds)
        cpu_ms = (side.running.cpu_s() - before) / max(measured.requests, 1) * 1e3
        if number:
            taken.append((measured, cpu_ms))
    return sorted(taken, key=lambda pair: pair[0].rps)[len(taken) // 2]


def _age(context: Context) -> None:
    with context.database.write() as connection:
        now = context.database.now(connection)
        connection.execute(update(client).where(client.c.seq % 100 == 7).values(suspended_at=now))
        connection.execute(update(client).where(client.c.seq % 100 == 8).values(expires_at=now))
