"""A flood of client IDs that nobody has."""

import asyncio

import pytest

from support import floods
from support.installation import Installation, Server

IDS = 20_000
MOST_MB = 15.0  # what the budgets and counters of a process may take, and Python's own slack


@pytest.mark.spec("threats", "23", "memory is bounded however many IDs are tried")
def test_memory_stays_flat_however_many_ids_are_tried(sqlite_installation: Installation) -> None:
    """Each is refused, from addresses that have spent their budget and from others."""
    server = Server(sqlite_installation)
    try:
        assert server.process is not None
        credentials = server.installation.create_client("customers:read")
        port, pid = server.installation.port, server.process.pid
        asyncio.run(floods.unknown_ids(port, IDS // 10, connections=32))
        before = floods.resident_mb(pid)
        found = asyncio.run(floods.unknown_ids(port, IDS, connections=32))
        grown = floods.resident_mb(pid) - before

        assert found.keys() == {401, 429}
        assert found.total() == IDS
        assert grown < MOST_MB
        assert server.token(credentials).status_code == 200
    finally:
        server.stop()
    refusals = server.installation.events(event="token.refused")
    assert len(refusals) < 100
    assert sum(event["detail"].get("count", 1) for event in refusals) == IDS + IDS // 10
