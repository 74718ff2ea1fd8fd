"""Online checks beside an empty route of the same server: `/verify` and `/introspect`.

A thousand tokens of as many clients are asked about in turn, each seen before.
"""

import sys
from pathlib import Path

import httpx

from bench import load
from bench.contestants import PIN, Contestant, start_program
from bench.rates import Rates, in_turns
from support.installation import Credentials, Installation

CONNECTIONS = (32, 128)
TOKENS = 1_000
EMPTY = "an empty route (`/healthz`)"


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
            connections: in_turns(contestants, connections, rounds=rounds, seconds=seconds)
            for connections in CONNECTIONS
        }
    finally:
        unread.stop()


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
