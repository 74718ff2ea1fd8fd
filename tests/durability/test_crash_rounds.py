"""`kill -9` under load: what was acknowledged is there (the long run is `faults/run`)."""

from pathlib import Path

import pytest
from faults import crash
from faults.load import Load, NotWell

from support.installation import Installation, Server
from support.postgres import Cluster

ROUNDS = 4


@pytest.mark.spec("threats", "21", "Nothing acknowledged is lost (N1–N5)")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_in_a_crash(kind: str, tmp_path: Path) -> None:
    """Clients, rotations, suspensions and tokens survive the death of the server."""
    if kind == "sqlite":
        installation = Installation(tmp_path / "sqlite", f"sqlite:///{tmp_path}/hourpass.db")
        installation.apply_catalogue()
        verdict = crash.run(installation, ROUNDS)
    else:
        cluster = Cluster()
        try:
            cluster.execute("create database hp")
            installation = Installation(tmp_path / "postgres", cluster.url("hp"))
            installation.apply_catalogue()
            verdict = crash.run(installation, ROUNDS, cluster=cluster)
        finally:
            cluster.remove()
    installation.close()

    assert verdict.losses == []
    assert verdict.rounds == ROUNDS
    assert verdict.tokens > 10 * ROUNDS
    assert verdict.deeds > ROUNDS
    assert verdict.window is not None
    assert 0 < verdict.window.gap_s < 30
    assert verdict.window.failed > 0


def test_a_load_that_ended_by_itself_is_noticed(sqlite_installation: Installation) -> None:
    """Otherwise a round in which nothing was done would count as one that lost nothing."""
    load = Load(sqlite_installation)
    server = Server(sqlite_installation)
    try:
        with load.on(server.url):
            load._workers[0].kill()
            load._workers[0].wait()
            with pytest.raises(NotWell, match="a process of the load ended"):
                load.wait_until_well()
    finally:
        server.stop()
