"""Disks that are full, fail, or can only be read. All need root: they mount file systems."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from faults.load import Load
from faults.outcome import Outcome
from faults.scene import Scene, judged, serving
from support.installation import Server

_LEFT = 200_000  # octets that are free when the load begins
BROKEN = 3  # what `serve` ends with after an I/O error


def full_sqlite(scene: Scene) -> Iterator[Outcome]:
    """The file system of the database is full for some seconds, then it is made larger."""
    with tmpfs(scene.new_folder(), "16m") as disk, scene.sqlite(disk) as installation:
        load = Load(installation)
        with serving(installation) as server:
            with load.on(server.url):
                time.sleep(1)
                scene.say("SQLite: filling the disk")
                fill(disk, leave=_LEFT)
                _wait_for_failures(load)
                time.sleep(3)
                scene.say("SQLite: making the disk larger")
                _mount("-o", "remount,size=256m", str(disk))
                load.wait_until_well()
            yield judged("full disk for 3 s", "SQLite", load, server, recovery="by itself")


def full_postgres(scene: Scene) -> Iterator[Outcome]:
    """The same below PostgreSQL, which its supervisor starts again should it have ended."""
    with (
        tmpfs(scene.new_folder(), "160m") as disk,
        scene.postgres(disk) as (installation, cluster),
    ):
        load = Load(installation)
        with serving(installation) as server:
            with load.on(server.url):
                time.sleep(1)
                scene.say("PostgreSQL: filling the disk")
                fill(disk, leave=_LEFT)
                _wait_for_failures(load)
                time.sleep(3)
                scene.say("PostgreSQL: making the disk larger")
                _mount("-o", "remount,size=1g", str(disk))
                ended = cluster.ended()
                if ended:
                    cluster.start()
                load.wait_until_well()
            recovery = "by itself" + (", once PostgreSQL was started" if ended else "")
            yield judged("full disk for 3 s", "PostgreSQL", load, server, recovery=recovery)


def fsync_error(scene: Scene) -> Iterator[Outcome]:
    """Every fsync fails: what is on disk is unknown, so the process ends, after its answers."""
    with scene.sqlite() as installation:
        load = Load(installation)
        server = Server(installation)
        try:
            assert server.process is not None
            with load.on(server.url):
                time.sleep(1)
                scene.say("SQLite: fsync fails")
                with failing_syncs(server.process.pid):
                    status = server.process.wait(30)
                time.sleep(1)
                server.start()
                load.wait_until_well()
            problem = "" if status == BROKEN else f"serve ended with {status}, not {BROKEN}"
            yield judged(
                "fsync fails (EIO)", "SQLite", load, server, recovery="restart", problem=problem
            )
        finally:
            server.stop()


def read_only_sqlite(scene: Scene) -> Iterator[Outcome]:
    """The kernel makes the file system read-only after an error; it is repaired and mounted."""
    with ext4(scene.new_folder(), 64) as disk, scene.sqlite(disk.folder) as installation:
        load = Load(installation)
        server = Server(installation)
        try:
            assert server.process is not None
            with load.on(server.url):
                time.sleep(1)
                scene.say("SQLite: the file system becomes read-only")
                disk.fail()
                _wait_for_failures(load)
                ended = _ends(server)
                server.stop()
                installation.close()
                refused = installation.command("clients", "list").status
                disk.repair()
                server.start()
                load.wait_until_well()
            problem = "" if refused == 1 else f"a command on that disk ended with {refused}"
            yield judged(
                "file system becomes read-only",
                "SQLite",
                load,
                server,
                recovery="restart" + ("" if ended else " (by hand)"),
                problem=problem,
            )
        finally:
            server.stop()


def read_only_postgres(scene: Scene) -> Iterator[Outcome]:
    """The same below PostgreSQL: it ends, is started after the repair, and Hourpass goes on."""
    with (
        ext4(scene.new_folder(), 400) as disk,
        scene.postgres(disk.folder) as (installation, cluster),
    ):
        os.sync()  # the cluster was made without
        load = Load(installation)
        with serving(installation) as server:
            with load.on(server.url):
                time.sleep(1)
                scene.say("PostgreSQL: the file system becomes read-only")
                disk.fail()
                _wait_for_failures(load)
                cluster.stop(signal.SIGQUIT)
                disk.repair()
                cluster.start()
                load.wait_until_well()
            yield judged(
                "file system becomes read-only",
                "PostgreSQL",
                load,
                server,
                recovery="by itself, once PostgreSQL was started",
            )


@contextlib.contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory, of this size."""
    _mount("-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


class Ext4:
    """A file system in a file, which can be made to meet an error."""

    def __init__(self, image: Path, folder: Path) -> None:
        self._image, self.folder = image, folder

    def mount(self) -> None:
        """As disks are mounted: an error makes it read-only."""
        _mount("-o", "loop,errors=remount-ro", str(self._image), str(self.folder))

    def fail(self) -> None:
        """As if its own check had found it damaged."""
        device = subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", str(self.folder)], capture_output=True, check=True
        )
        name = Path(device.stdout.decode().strip()).name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("a fault on purpose")

    def repair(self) -> None:
        """What an operator does; nobody may hold a file of it."""
        _run("umount", str(self.folder))
        # 1: errors were corrected.
        subprocess.run(["e2fsck", "-fy", str(self._image)], capture_output=True, check=False)
        self.mount()


@contextlib.contextmanager
def ext4(folder: Path, megabytes: int) -> Iterator[Ext4]:
    """A file system in a file."""
    image, where = folder / "image", folder / "disk"
    where.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes * 1_048_576)
    _run("mkfs.ext4", "-q", str(image))
    made = Ext4(image, where)
    made.mount()
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", str(where)], check=False)


@contextlib.contextmanager
def failing_syncs(pid: int) -> Iterator[None]:
    """Every fsync of that process is an I/O error, as soon as strace has begun."""
    calls = "fsync,fdatasync"
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-qq", "-o", os.devnull, "-p", str(pid)),
            *("-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait(10)


def fill(folder: Path, *, leave: int) -> None:
    """With a file, so that only so many octets are free."""
    free = os.statvfs(folder)
    with (folder / "filler").open("wb") as file:
        for _ in range(max(0, free.f_bavail * free.f_frsize - leave) // 65536):
            file.write(bytes(65536))


def _wait_for_failures(load: Load) -> None:
    deadline = time.monotonic() + 60
    while not load.window().failed:
        if time.monotonic() > deadline:
            raise TimeoutError("the fault did not reach the callers")
        time.sleep(0.2)


def _ends(server: Server) -> bool:
    """Whether it ends by itself."""
    assert server.process is not None
    try:
        server.process.wait(5)
    except subprocess.TimeoutExpired:
        return False
    return True


def _mount(*arguments: str) -> None:
    _run("mount", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode().strip()}")
