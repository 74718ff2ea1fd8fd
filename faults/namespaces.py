"""A network of the faults' own: a hub and nodes, each a network namespace.

The machine's network is not touched. Whatever a run that was killed left behind, the next one
takes down: by the names of the namespaces, and by the processes in them.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

HUB = "hourpass-hub"
SUBNET = "10.99.0.0/24"
_CLONE_NEWNET = 0x40000000


def address(node: int) -> str:
    """A node's address: nodes count from 1."""
    return f"10.99.0.{10 + node}"


def namespace(node: int) -> str:
    """The name of a node's namespace."""
    return f"hourpass-n{node}"


class Network:
    """The hub and its nodes, while the block lasts."""

    def __init__(self, nodes: int) -> None:
        self._nodes = range(1, nodes + 1)

    def __enter__(self) -> Self:
        self._remove()
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def cut(self, node: int) -> None:
        """Nobody reaches this node any more, and it reaches nobody."""
        _ip("-n", HUB, "link", "set", f"v{node}", "down")

    def mend(self, node: int) -> None:
        """After `cut`."""
        _ip("-n", HUB, "link", "set", f"v{node}", "up")

    def _build(self) -> None:
        _ip("netns", "add", HUB)
        _ip("-n", HUB, "link", "set", "lo", "up")
        _ip("-n", HUB, "link", "add", "br0", "type", "bridge")
        _ip("-n", HUB, "addr", "add", "10.99.0.1/24", "dev", "br0")
        _ip("-n", HUB, "link", "set", "br0", "up")
        for node in self._nodes:
            name = namespace(node)
            _ip("netns", "add", name)
            peer = ("type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "add", f"v{node}", "netns", HUB, *peer)
            _ip("-n", HUB, "link", "set", f"v{node}", "master", "br0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "addr", "add", f"{address(node)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")

    def _remove(self) -> None:
        for name in (HUB, *map(namespace, self._nodes)):
            if not Path("/run/netns", name).exists():
                continue
            for pid in processes_in(name):
                if pid != os.getpid():
                    kill(pid)
            _ip("netns", "del", name)


def processes_in(name: str) -> list[int]:
    """The IDs of the processes in a namespace."""
    done = subprocess.run(["ip", "netns", "pids", name], capture_output=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Signal a process that may have gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread, and the processes and threads it starts, use that namespace's network."""
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        with Path("/run/netns", name).open("rb") as there:
            _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(handle: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.decode().strip()}")
