"""kill -9 in each step of a restore: the old database or the restored one, and no mixture."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hourpass.server import config
from hourpass.server.backup import copies
from hourpass.server.db import sqlite_copy
from support import killed_restore
from support.installation import Installation, clean_environ


@pytest.mark.spec("threats", "21", "nothing acknowledged is lost")
@pytest.mark.parametrize("damaged", [False, True])
def test_a_killed_restore_leaves_one_database_whole(
    sqlite_installation: Installation, tmp_path: Path, damaged: bool
) -> None:
    """The old one had crashed as well: what is only in its WAL belongs to it alone.

    A damaged one is as it was, or replaced; its WAL, which is sound, goes with it.
    """
    here = sqlite_installation
    here.create_client("customers:read", name="in the backup")
    file = tmp_path / "backup.db"
    database = config.load(here.environ).sqlite_path
    copies.back_up(database, file, lambda _done, _total: None, overwrite=False)
    here.close()
    sqlite_copy.settle(database)
    here.create_client("customers:read", name="in the old WAL")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for suffix in ("", "-wal", "-shm"):  # as kill -9 leaves them: nothing was checkpointed
        shutil.copy(f"{database}{suffix}", crashed / f"hourpass.db{suffix}")
    assert (crashed / "hourpass.db-wal").stat().st_size > 0
    if damaged:
        (crashed / "hourpass.db").write_bytes(b"not a database any more")

    done = subprocess.run(
        [sys.executable, killed_restore.__file__, crashed, tmp_path / "work", file],
        env={**clean_environ(), **here.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        timeout=120,
    )

    outcomes = json.loads(done.stdout)
    assert len(outcomes) > 3
    old, restored = ["in the backup", "in the old WAL"], ["in the backup"]
    for step, faults, clients in outcomes:
        if damaged and clients != restored:
            assert (faults, clients) == tuple(outcomes[0][1:]), f"killed before step {step}"
            continue
        assert faults == [], f"killed before step {step}"
        assert clients in (old, restored), f"killed before step {step}"
    assert outcomes[0][2] == ([] if damaged else old)
    assert outcomes[-1][2] == restored
