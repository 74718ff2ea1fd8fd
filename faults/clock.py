"""Clocks of nodes that jump, by libfaketime in the server's process alone.

Under it each look at the clock reads a file, so how long callers waited says nothing of the server
and is left out.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from faults import journal
from faults.load import Load
from faults.outcome import Outcome
from faults.scene import Scene, judged, serving
from hourpass.resource_server import KeysUnavailable, Verifier
from support.installation import Server

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), Path("libfaketime.so.1"))
_AUDIENCE = "https://api.example.com"
HOUR, DAY = 3600, 86_400
# The load alone may keep such a server busy.
_SHED_FOR_S = 10.0


def jumps(scene: Scene) -> Iterator[Outcome]:
    """Forward by 90 days on PostgreSQL, backward by an hour on SQLite, and back again."""
    with scene.postgres() as (installation, _):
        clock = Clock(scene.new_folder())
        load = Load(installation)
        with serving(installation, **clock.environ) as server:
            with load.on(server.url):
                scene.say("PostgreSQL: the node's clock jumps 90 days forward")
                clock.jump(90 * DAY)
                time.sleep(3)
                load.wait_until_well()
                off = _farthest(load)
                problem = cannot_verify(server)
                clock.jump(0)
                load.wait_until_well()
            if off > 5:
                problem = f"a token says it was issued {off:.0f} s from now"
            yield without_times(
                "the clock of a node jumps 90 days forward, and back",
                "PostgreSQL",
                load,
                server,
                recovery="the database's clock counts",
                problem=problem,
            )
    with scene.sqlite() as installation:
        clock = Clock(scene.new_folder())
        load = Load(installation)
        with serving(installation, **clock.environ) as server:
            with load.on(server.url):
                scene.say("SQLite: the clock jumps an hour backward")
                clock.jump(-HOUR)
                time.sleep(3)
                load.wait_until_well()
                went = _farthest(load)
                clock.jump(0)
                load.wait_until_well()
                problem = cannot_verify(server)
            if not problem and abs(went - HOUR) > 60:
                problem = f"tokens were issued {went:.0f} s from now, not an hour: no jump"
            yield without_times(
                "the clock jumps an hour backward, and forward again",
                "SQLite",
                load,
                server,
                recovery="by itself",
                problem=problem,
            )


def without_times(
    fault: str, database: str, load: Load, server: Server, *, recovery: str, problem: str
) -> Outcome:
    """A management token that is not of now is refused, and its owner gets another."""
    outcome = judged(
        fault, database, load, server, recovery=recovery, problem=problem, ordinary=(401,)
    )
    return replace(outcome, window=None)


class Clock:
    """What a program takes for the time, in seconds from what it is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self.jump(0)
        self.environ = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else each wait with a deadline ends late by half a second: a change of threads is one.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def jump(self, offset_s: int) -> None:
        """From now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(self._file)


def _farthest(load: Load) -> float:
    """How far the newest tokens' `iat` are from when they came, in seconds."""
    to_wall = time.time() - time.monotonic()
    newest = [entry for entry in journal.read(load.tokens) if "jti" in entry][-50:]
    return max(float(abs(entry["iat"] - (entry["at"] + to_wall))) for entry in newest)


def cannot_verify(server: Server) -> str:
    """Why a token of this moment is not good at an API whose clock is right; empty when it is."""
    credentials = server.installation.create_client("customers:read")
    answer = server.token(credentials)
    if answer.status_code != 200:
        return f"a new client gets {answer.status_code}: {answer.text}"
    token = answer.json()["access_token"]
    until = time.monotonic() + _SHED_FOR_S
    while True:
        try:
            Verifier(server.url, _AUDIENCE).verify(token)
        except Exception as fault:  # noqa: BLE001  (whatever it is, it goes into the results)
            # KeysUnavailable is said to be for a moment: the server is busy.
            if not isinstance(fault, KeysUnavailable) or time.monotonic() > until:
                return f"a new token does not verify: {fault!r}"
            time.sleep(0.5)
        else:
            return ""
