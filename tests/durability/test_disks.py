"""A disk that is full, fails, or can only be read. The long runs under load: `faults/run`."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import disk

from support.installation import Installation, Server

mounts = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with disk.tmpfs(folder, "8m"):
        yield folder


@mounts
@pytest.mark.spec("threats", "21", "a full disk")
def test_a_full_disk_heals_without_a_restart(small_disk: Path, tmp_path: Path) -> None:
    """503 while it is full; each token that was given has its row."""
    installation = Installation(tmp_path / "full", f"sqlite:///{small_disk}/hourpass.db")
    installation.apply_catalogue()
    client = installation.create_client("customers:read")
    server = Server(installation)
    try:
        assert server.token(client).status_code == 200
        disk.fill(small_disk, leave=100_000)
        given = 1
        while (answer := server.token(client)).status_code == 200:
            given += 1
        assert answer.status_code == 503
        assert answer.json()["error"] == "temporarily_unavailable"
        assert server.token(client).status_code == 503

        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)

        assert server.token(client).status_code == 200
        assert len(installation.events(event="token.issued")) == given + 1
    finally:
        server.stop()
        installation.close()


@mounts
def test_a_disk_that_can_only_be_read_is_refused_in_one_line(
    small_disk: Path, tmp_path: Path
) -> None:
    """By `serve` and by a command, with the name of the file."""
    installation = Installation(tmp_path / "read", f"sqlite:///{small_disk}/hourpass.db")
    installation.apply_catalogue()
    installation.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    for command in (["serve"], ["clients", "list"]):
        done = installation.command(*command)
        assert done.status == 1, done.stderr
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert "hourpass.db: Read-only file system" in lines[0]


@pytest.mark.spec("threats", "21", "an fsync error")
def test_after_a_failed_fsync_the_server_ends_and_nothing_given_is_lost(
    sqlite_installation: Installation,
) -> None:
    """503 for whoever was in that commit, exit status 3; started again it is well."""
    assert shutil.which("strace"), "strace is needed: apt-get install strace"
    client = sqlite_installation.create_client("customers:read")
    server = Server(sqlite_installation)
    try:
        given = [server.token(client) for _ in range(5)]
        assert server.process is not None
        with disk.failing_syncs(server.process.pid):
            while (answer := server.token(client)).status_code == 200:
                given.append(answer)  # strace had not begun
            assert answer.status_code == 503
            assert server.process.wait(20) == disk.BROKEN
        server.http.close()
        server.start()

        assert {answer.status_code for answer in given} == {200}
        assert server.token(client).status_code == 200
        assert len(sqlite_installation.events(event="token.issued")) >= len(given) + 1
    finally:
        server.stop()
