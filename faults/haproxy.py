"""HAProxy by the configurations in `deploy/high-availability`, at other addresses."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.ports import free_port

_DEPLOY = Path(__file__).parent.parent / "deploy" / "high-availability"
_START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Balancer:
    """HAProxy in front of two nodes."""

    url: str

    def wait_until_up(self) -> None:
        """Until a node is ready behind it."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while httpx.get(f"{self.url}/readyz", trust_env=False).status_code != 200:
            if time.monotonic() > deadline:
                raise TimeoutError("HAProxy found no node that is ready")
            time.sleep(0.1)


@contextlib.contextmanager
def balancer_for(folder: Path, nodes: Sequence[int]) -> Iterator[Balancer]:
    """HAProxy before two nodes at these ports of this machine."""
    port = free_port()
    changes = {
        "127.0.0.1:8088": f"127.0.0.1:{port}",
        "127.0.0.1:18081": f"127.0.0.1:{nodes[0]}",
        "127.0.0.1:18082": f"127.0.0.1:{nodes[1]}",
    }
    with running(folder, "nodes.cfg", changes, port):
        yield Balancer(f"http://localhost:{port}")


@contextlib.contextmanager
def running(folder: Path, name: str, changes: Mapping[str, str], port: int) -> Iterator[None]:
    """One configuration with these texts changed; it listens on `port` of this machine."""
    text = (_DEPLOY / name).read_text()
    for old, new in changes.items():
        if old not in text:
            raise ValueError(f"{name} has no {old}")
        text = text.replace(old, new)
    file = folder / name
    file.write_text(text)
    with (folder / "haproxy.log").open("ab") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", str(file)], stdout=log, stderr=log)
    try:
        _wait(process, port, folder / "haproxy.log")
        yield
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"HAProxy did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
