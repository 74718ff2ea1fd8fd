"""Online checks beside an empty route of the same server: `/verify` and `/introspect`.

A thousand tokens of as many clients are asked about in turn, each seen before.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

from bench import load
from bench.contestants import PIN, Contestant, start_program
from support.installation import Credentials, Installation

CONNECTIONS = (32, 128)
TOKENS = 1_000
EMPTY = "an empty route (`/healthz`)"


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, and how many of them failed."""

    rps: float
    p99_ms: float
    cpu_us: float
    failed: int


Rates = dict[str, Rate]


def measure(
    installation: Installation,
    running: Contestant,
    credentials: Path,
    *,
    rounds: int,
    seconds: int,
) -> dict[int, Rates]:
    """By number of connections; all requests in turns."""
    unread = _without_the_read(installation)
    try:
        asked = _requests(installation, running, credentials)
        contestants = {
            EMPTY: (running, asked["empty"]),
            "`/verify`": (running, asked["verify"]),
            "`/introspect`": (running, asked["introspect"]),
            "`/verify` without the read": (unread, asked["verify"]),
            "`/introspect` without the read": (unread, asked["introspect"]),
        }
        return {
            connections: _turns(contestants, connections, rounds=rounds, seconds=seconds)
            for connections in CONNECTIONS
        }
    finally:
        unread.stop()


def _turns(
    contestants: Mapping[str, tuple[Contestant, Path]],
    connections: int,
    *,
    rounds: int,
    seconds: int,
) -> Rates:
    taken: dict[str, list[Rate]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, (contestant, requests) in contestants.items():
            before = contestant.cpu_s()
            measured = load.send(
                contestant.url, requests, connections=connections, seconds=seconds if number else 1
            )
            cpu_us = (contestant.cpu_s() - before) / max(measured.requests, 1) * 1e6
            failed = measured.non200 + measured.errors
            if number:  # the first round only warms up
                taken[name].append(Rate(measured.rps, measured.p99_ms, cpu_us, failed))
    return {
        name: Rate(
            rps=median(rate.rps for rate in rates),
            p99_ms=median(rate.p99_ms for rate in rates),
            cpu_us=median(rate.cpu_us for rate in rates),
            failed=sum(rate.failed for rate in rates),
        )
        for name, rates in taken.items()
    }


def _requests(
    installation: Installation, running: Contestant, credentials: Path
) -> dict[str, Path]:
    pairs = credentials.read_text("ascii").split()
    tokens = []
    with httpx.Client(base_url=running.url, trust_env=False) as http:
        for pair in pairs[:: max(1, len(pairs) // TOKENS)][:TOKENS]:
            answer = http.post(
                "/token",
                data={"grant_type": "client_credentials"},
                headers={"Authorization": f"Basic {pair}"},
            )
            tokens.append(str(answer.json()["access_token"]))
    api = installation.create_client("hourpass.introspect:bookings", name="Bookings API")
    folder = installation.folder
    return {
        "empty": load.write(folder / "empty", [load.request("GET", "/healthz", {})]),
        "verify": load.write(folder / "verify", map(_verify, tokens)),
        "introspect": load.write(
            folder / "introspect", (_introspect(api, token) for token in tokens)
        ),
    }


def _verify(token: str) -> str:
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/customer/4711/bookings?page=2",
    }
    return load.request("GET", "/verify?api=bookings", headers)


def _introspect(api: Credentials, token: str) -> str:
    headers = {**api.basic, "Content-Type": "application/x-www-form-urlencoded"}
    return load.request("POST", "/introspect", headers, f"token={token}")


def _without_the_read(installation: Installation) -> Contestant:
    command = [*PIN, sys.executable, "-m", "bench.unread"]
    return start_program("without the read", command, installation.environ)
