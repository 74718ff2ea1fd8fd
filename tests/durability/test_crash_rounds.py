"""`kill -9` under load: what was acknowledged is there (the long run is `python -m faults`)."""

from pathlib import Path

import pytest
from faults import crash, journal, judge

from support.installation import Installation
from support.postgres import Cluster

ROUNDS = 5


@pytest.mark.spec("threats", "21", "Nothing acknowledged is lost (N1–N5)")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_in_a_crash(kind: str, tmp_path: Path) -> None:
    """Clients, rotations, suspensions and tokens survive the death of server and commands."""
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
    assert verdict.tokens > 50 * ROUNDS / 5
    assert verdict.deeds > ROUNDS


def test_a_deed_of_unknown_outcome_leaves_two_statuses_that_are_right(tmp_path: Path) -> None:
    """Also when others began after it; what is acknowledged later narrows them down."""
    path = tmp_path / "deeds.jsonl"
    steps = [
        {"done": "create", "secret": "first"},
        {"begins": "suspend"},
        {"unknown": "suspend"},
        {"begins": "rotate"},
        {"unknown": "rotate"},
    ]
    expected = _replayed(path, steps)
    assert expected.statuses == {"active", "suspended"}
    assert not expected.secret_is_sure

    expected = _replayed(path, [*steps, {"begins": "rotate"}, {"done": "rotate", "secret": "new"}])
    assert expected.statuses == {"active", "suspended"}
    assert (expected.secret, expected.old, expected.secret_is_sure) == ("new", ["first"], True)

    expected = _replayed(path, [*steps, {"begins": "activate"}, {"done": "activate"}])
    assert expected.statuses == {"active"}


def _replayed(path: Path, steps: list[dict[str, str]]) -> judge.Expected:
    path.unlink(missing_ok=True)
    written = journal.Journal(path)
    for step in steps:
        written.write(client_id="m2m_x", **step)
    expected: dict[str, judge.Expected] = {}
    judge.replay(path, expected, judge.Verdict())
    return expected["m2m_x"]
