"""Floods, and a database that hangs: those who have no part in it get their answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from faults.load import Load
from faults.outcome import Outcome
from faults.scene import Scene, judged, serving
from faults.windows import too_slow
from support import floods as flood
from support.installation import Installation, Server

_HUNG_S = 10
_FLOOD_S = 10.0
_IDS = 1_000_000
_FLOODING = 64
_IDLE = 10_000
_WRONG_PER_SECOND = 200
_MOST_MB = 20.0
_HALF_A_HEAD = b"POST /token HTTP/1.1\r\nHost: x\r\n"
_HALF_A_BODY = (
    b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 100\r\n\r\ngrant_type="
)


def hung(scene: Scene) -> Iterator[Outcome]:
    """PostgreSQL is stopped, takes statements and says nothing, and goes on."""
    with scene.postgres() as (installation, cluster):
        load = Load(installation)
        with serving(installation) as server:
            with load.on(server.url):
                scene.say(f"PostgreSQL hangs for {_HUNG_S} s")
                with cluster.hung():
                    time.sleep(_HUNG_S)
                load.wait_until_well()
            yield judged(
                f"PostgreSQL hangs for {_HUNG_S} s (SIGSTOP)",
                "PostgreSQL",
                load,
                server,
                recovery="by itself",
                problem=too_slow(load.window()),
            )


Flood = Callable[[Installation], AbstractAsyncContextManager[None]]


def floods(scene: Scene) -> Iterator[Outcome]:
    """Each kind beside callers who have no part in it, on each database."""
    kinds: dict[str, Flood] = {
        f"{_WRONG_PER_SECOND} wrong secrets a second for one client": _wrong_secrets,
        f"{_IDS:,} unknown client IDs": _unknown_ids,
        f"{_IDLE:,} connections with half a head": lambda it: _held(it, _HALF_A_HEAD),
        f"{_IDLE:,} connections with half a body": lambda it: _held(it, _HALF_A_BODY),
    }
    with scene.sqlite() as installation:
        yield from _each(scene, installation, "SQLite", kinds)
    with scene.postgres() as (installation, _):
        yield from _each(scene, installation, "PostgreSQL", kinds)


def _each(
    scene: Scene, installation: Installation, database: str, kinds: dict[str, Flood]
) -> Iterator[Outcome]:
    with serving(installation) as server:
        for name, kind in kinds.items():
            scene.say(f"{database}: {name}")
            load = Load(installation)
            load.forget()
            with load.on(server.url):
                grown = asyncio.run(_under(kind, installation, server))
                load.wait_until_well(1.0)
            failed = load.window().failed
            problem = f"{failed} requests of others failed" if failed else ""
            if kind is _unknown_ids and grown > _MOST_MB:
                problem = f"memory grew by {grown:.0f} MB"
            recovery = f"none needed; memory {grown:+.0f} MB"
            yield judged(name, database, load, server, recovery=recovery, problem=problem)


async def _under(kind: Flood, installation: Installation, server: Server) -> float:
    """How many MB the server has gained at the end of the flood."""
    assert server.process is not None
    before = flood.resident_mb(server.process.pid)
    async with kind(installation):
        return flood.resident_mb(server.process.pid) - before


@asynccontextmanager
async def _wrong_secrets(installation: Installation) -> AsyncIterator[None]:
    client_id = installation.create_client("customers:read").client_id
    sending = asyncio.create_task(
        flood.wrong_secrets(installation.port, client_id, per_second=_WRONG_PER_SECOND)
    )
    await asyncio.sleep(_FLOOD_S)
    yield
    sending.cancel()
    await sending


@asynccontextmanager
async def _unknown_ids(installation: Installation) -> AsyncIterator[None]:
    await flood.unknown_ids(installation.port, _IDS, connections=_FLOODING)
    yield


@asynccontextmanager
async def _held(installation: Installation, octets: bytes) -> AsyncIterator[None]:
    async with flood.idle(installation.port, _IDLE, octets):
        await asyncio.sleep(_FLOOD_S / 2)
        yield
        await asyncio.sleep(_FLOOD_S / 2)
