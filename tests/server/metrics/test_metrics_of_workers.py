"""Several processes of a node behind one metrics port."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hourpass.server.metrics import shared
from support.installation import Installation, Server
from support.metrics import Metrics, until
from support.ports import free_port

WORKERS = 2
# A server whose workers are unwell as soon as their process ID is in a file.
AILING = """
import os, pathlib
from hourpass.cli.main import run
from hourpass.server.tokens.commit import CommitLoop

CommitLoop.fault = property(
    lambda _: "ill" if str(os.getpid()) == pathlib.Path(os.environ["ILL"]).read_text() else ""
)
run()
"""


class Node:
    """A server of several workers."""

    def __init__(self, installation: Installation) -> None:
        self.metrics = Metrics(free_port())
        self.ill = installation.folder / "ill"
        self.ill.touch()
        self.server = Server(
            installation,
            program=(sys.executable, "-c", AILING),
            ILL=str(self.ill),
            HOURPASS_WORKERS=str(WORKERS),
            **self.metrics.setting,
        )
        self.credentials = installation.create_client("customers:read")

    def take(self, count: int) -> None:
        """So many tokens, each over a connection of its own, so that every worker has some."""
        for _ in range(count):
            answer = httpx.post(
                f"{self.server.url}/token",
                data={"grant_type": "client_credentials"},
                headers=self.credentials.basic,
                timeout=15,
                trust_env=False,
            )
            assert answer.status_code == 200

    def children(self) -> list[int]:
        """The workers, and the process beside them."""
        assert self.server.process is not None
        pid = self.server.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in listed]

    def counting(self) -> dict[int, Path]:
        """The workers, by the folder in which each counts."""
        found = {}
        for child in self.children():
            maps = Path(f"/proc/{child}/maps").read_text()
            folder = re.search(r"/\S*/hourpass-metrics-[^/]+(?=/)", maps)
            if folder is not None:
                found[child] = Path(folder[0])
        return found


@pytest.fixture
def node(postgres_installation: Installation) -> Iterator[Node]:
    """One of its own: its processes are killed."""
    made = Node(postgres_installation)
    yield made
    made.server.stop()


def test_workers_count_together_and_a_dead_ones_count_stays(node: Node) -> None:
    """Whichever worker answers; nothing is forgotten when one is killed, and none is missed."""
    metrics = node.metrics
    until(lambda: len(node.counting()) == WORKERS)
    node.take(20)
    metrics.becomes(20, "hourpass_tokens_issued_total")
    metrics.becomes(20, "hourpass_commit_batch_size_sum")
    metrics.becomes(20, "hourpass_http_responses_total", endpoint="token", status="200")
    metrics.becomes(0, "hourpass_queue_depth", queue="commit")
    assert metrics.value("hourpass_clients", status="active") == 1
    parts = metrics.get("/readyz").json()["parts"]
    assert parts["workers"] == {"status": "ok"}
    cpu = metrics.value("process_cpu_seconds_total")

    killed = next(iter(node.counting()))
    os.kill(killed, signal.SIGKILL)
    until(lambda: killed not in node.counting() and len(node.counting()) == WORKERS)
    node.take(5)

    metrics.becomes(25, "hourpass_tokens_issued_total")
    metrics.becomes(25, "hourpass_http_responses_total", endpoint="token", status="200")
    assert metrics.value("process_cpu_seconds_total") >= cpu
    (folder,) = set(node.counting().values())
    gauges = {path.name for path in folder.glob("gauge_live*")}
    assert not any(str(killed) in name for name in gauges)


def test_a_worker_that_cannot_commit_is_named(node: Node) -> None:
    """Though the others can, and whichever of them the public port's caller meets."""
    metrics = node.metrics
    until(lambda: len(node.counting()) == WORKERS)
    until(lambda: metrics.get("/readyz").status_code == 200)
    assert metrics.value("hourpass_processes_unwell") == 0
    first, second = sorted(node.counting())

    node.ill.write_text(str(first))
    metrics.becomes(1, "hourpass_processes_unwell")
    answer = metrics.get("/readyz")
    assert answer.status_code == 503
    parts = answer.json()["parts"]
    assert [name for name, part in parts.items() if part["status"] != "ok"] == ["commits"]
    assert parts["commits"]["detail"].startswith("1 of the workers")
    assert metrics.value("hourpass_ready") == 0

    os.kill(first, signal.SIGKILL)
    until(lambda: metrics.get("/readyz").status_code == 200)
    node.ill.write_text(str(second))
    until(lambda: metrics.get("/readyz").status_code == 503)
    node.ill.write_text("")
    until(lambda: metrics.get("/readyz").status_code == 200)
    assert metrics.value("hourpass_ready") == 1


def test_the_process_beside_them_is_started_anew_and_all_end_together(node: Node) -> None:
    """Killed, it comes back with all that was counted; at the end nothing is left behind."""
    metrics, server = node.metrics, node.server
    until(lambda: len(node.counting()) == WORKERS)
    node.take(3)
    metrics.becomes(3, "hourpass_tokens_issued_total")
    (folder,) = set(node.counting().values())
    (beside,) = set(node.children()) - set(node.counting())

    os.kill(beside, signal.SIGKILL)
    until(lambda: beside not in node.children() and len(node.children()) == WORKERS + 1)
    metrics.becomes(3, "hourpass_tokens_issued_total")

    assert server.process is not None
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert not folder.exists()
    with pytest.raises(httpx.TransportError):
        metrics.get("/metrics")


def test_what_a_killed_run_left_is_removed_by_the_next(node: Node) -> None:
    """And nothing of one that goes on, however long it has been going."""
    long_ago = time.time() - 3600
    until(lambda: len(node.counting()) == WORKERS)
    (left,) = set(node.counting().values())
    node.server.kill()
    os.utime(left, (long_ago, long_ago))

    node.server.start()
    until(lambda: len(node.counting()) == WORKERS)
    assert not left.exists()

    (used,) = set(node.counting().values())
    os.utime(used, (long_ago, long_ago))
    shared._remove_abandoned(used.parent)
    assert used.exists()


def test_the_process_beside_them_alone_is_no_reason_to_go_on() -> None:
    """When no worker can be started it is ended, and the server says so with its status."""
    program = """
import signal, socket
from hourpass.server import supervisor

supervisor.FIRST_WAIT_S = 0.01
supervisor.LONGEST_WAIT_S = 0.01
def beside():
    signal.pause()
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(supervisor.Supervisor([lambda: 1], listener, beside=[beside]).run(), flush=True)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert ended.stdout == "1\n"
