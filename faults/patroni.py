"""A cluster of three database nodes as `deploy/high-availability` describes it: Patroni and etcd.

Its methods are for a thread that is inside the hub (`faults.namespaces`).
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg
import yaml

from faults.namespaces import SUBNET, address, kill, namespace, processes_in

NODES = (1, 2, 3)
_DEPLOY = Path(__file__).parent.parent / "deploy" / "high-availability"
_PASSWORD = "only-for-this-run"
_START_TIMEOUT_S = 90.0


class Cluster:
    """Three nodes, started on entering the block and killed on leaving it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._patroni: dict[int, subprocess.Popen[bytes]] = {}
        self._etcd: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            for node in NODES:
                self._start_etcd(node)
            for node in NODES:
                self.start_patroni(node)
            self.wait_until_whole()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def make_database(self, name: str) -> str:
        """An empty one and its owner; what stands before the hosts in a URL for it."""
        url = f"postgresql://postgres:{_PASSWORD}@{address(self.primary())}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"create role hourpass login password '{_PASSWORD}'".encode())
            connection.execute(f"create database {name} owner hourpass".encode())
        return f"hourpass:{_PASSWORD}"

    def primary(self) -> int:
        """The node that is it now."""
        return self._nodes("leader", self._members())[0]

    def standby(self) -> int:
        """The node whose copy every commit waits for now."""
        return self._nodes("sync_standby", self._members())[0]

    def wait_until_whole(self) -> None:
        """Until there are a primary, a synchronous standby and another one."""
        self._wait(self._is_whole, "the cluster did not become whole")

    def wait_for_primary(self, other_than: int) -> None:
        """Until another node says that it is the primary."""

        def is_there() -> bool:
            found = self._nodes("leader", self._members(other_than))
            return bool(found) and found[0] != other_than

        self._wait(is_there, "no other node became the primary")

    def kill_postgres(self, node: int) -> None:
        """`kill -9` of the postmaster."""
        first = (self._data(node) / "postmaster.pid").read_text().splitlines()[0]
        kill(int(first))

    def kill_all(self, node: int) -> None:
        """`kill -9` of Patroni and PostgreSQL; `start_patroni` brings them back."""
        self.kill_patroni(node)
        self.signal_postgres(node, signal.SIGKILL)

    def kill_patroni(self, node: int) -> None:
        """`kill -9` of Patroni: its PostgreSQL lives on, and nobody looks after it."""
        self._patroni[node].kill()
        self._patroni[node].wait()

    def signal_postgres(self, node: int, number: int) -> None:
        """To every process of PostgreSQL on that node."""
        for pid in processes_in(namespace(node)):
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            if name.startswith("postgres"):
                kill(pid, number)

    def switch_over(self) -> None:
        """As planned maintenance does: the synchronous standby takes over."""
        candidate, leader = self.standby(), self.primary()
        answer = httpx.post(
            f"http://{address(leader)}:8008/switchover",
            json={"leader": f"db{leader}", "candidate": f"db{candidate}"},
            timeout=60,
            trust_env=False,
        )
        if answer.status_code != 200:
            raise RuntimeError(f"no switchover: {answer.text}")

    def start_patroni(self, node: int) -> None:
        """Patroni, which starts PostgreSQL when it should."""
        home = self._home(node)
        if not home.exists():
            home.mkdir(mode=0o700)
            shutil.chown(home, "postgres", "postgres")
        file = home / "patroni.yml"
        file.write_text(yaml.safe_dump(self._settings(node)))
        shutil.chown(file, "postgres", "postgres")
        self._patroni[node] = self._start(
            node,
            "patroni",
            [
                *("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"),
                *("--no-new-privs", "/usr/bin/patroni", str(file)),
            ],
            {"HOME": str(home), "LC_ALL": "C"},
        )

    def _start_etcd(self, node: int) -> None:
        settings = {}
        for line in (_DEPLOY / "etcd.env").read_text().splitlines():
            name, _, value = line.partition("=")
            if name.startswith("ETCD_"):
                settings[name] = self._here(node, value)
        settings["ETCD_NAME"] = f"db{node}"
        settings["ETCD_DATA_DIR"] = str(self._folder / f"etcd{node}")
        self._etcd.append(self._start(node, "etcd", ["etcd"], settings))

    def _start(
        self, node: int, name: str, command: list[str], environ: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}{node}.log").open("ab") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", namespace(node), *command],
                env={"PATH": os.environ["PATH"], **environ},
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _settings(self, node: int) -> dict[str, Any]:
        """The configuration in `deploy/`, at this node's addresses and folders."""
        text = self._here(node, (_DEPLOY / "patroni.yml").read_text())
        settings: dict[str, Any] = yaml.safe_load(text.replace("192.0.2.0/24", SUBNET))
        binaries = max(Path("/usr/lib/postgresql").glob("*/bin/postgres")).parent
        settings["name"] = f"db{node}"
        postgresql = settings["postgresql"]
        postgresql["data_dir"] = str(self._data(node))
        postgresql["bin_dir"] = str(binaries)
        postgresql["pgpass"] = str(self._home(node) / "pgpass")
        postgresql["parameters"]["unix_socket_directories"] = str(self._home(node))
        for user in postgresql["authentication"].values():
            user["password"] = _PASSWORD
        return settings

    @staticmethod
    def _here(node: int, text: str) -> str:
        """A text for the first node as one for this node: lists of all nodes stay as they are."""
        lines = []
        for line in text.splitlines():
            if "db2.example.com" not in line:
                line = line.replace("db1.example.com", address(node))
            for each in NODES:
                line = line.replace(f"db{each}.example.com", address(each))
            lines.append(line)
        return "\n".join(lines)

    def _home(self, node: int) -> Path:
        return self._folder / f"db{node}"

    def _data(self, node: int) -> Path:
        return self._home(node) / "data"

    def _members(self, other_than: int = 0) -> list[dict[str, Any]]:
        """How the cluster stands, as the nodes but one see it; a node that was cut off is stale."""
        for node in NODES:
            if node == other_than:
                continue
            try:
                answer = httpx.get(
                    f"http://{address(node)}:8008/cluster", timeout=1, trust_env=False
                )
                members: list[dict[str, Any]] = answer.json()["members"]
            except (httpx.HTTPError, ValueError, KeyError):
                continue
            return members
        return []

    @staticmethod
    def _nodes(role: str, members: list[dict[str, Any]]) -> list[int]:
        return [
            int(member["name"].removeprefix("db"))
            for member in members
            if member["role"] == role and member["state"] in ("running", "streaming")
        ]

    def _is_whole(self) -> bool:
        members = self._members()
        roles = {role: self._nodes(role, members) for role in ("leader", "sync_standby", "replica")}
        timelines = {member.get("timeline") for member in members}
        return all(len(nodes) == 1 for nodes in roles.values()) and len(timelines) == 1

    def _wait(self, true: Callable[[], bool], fault: str) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not true():
            if time.monotonic() > deadline:
                logs = (self._folder / f"patroni{node}.log" for node in NODES)
                ends = "\n".join(log.read_text()[-1000:] for log in logs if log.exists())
                raise TimeoutError(f"{fault}: {self._members()}\n{ends}")
            time.sleep(0.1)

    def _end(self) -> None:
        for node in NODES:
            for pid in processes_in(namespace(node)):
                kill(pid)
        for process in (*self._etcd, *self._patroni.values()):
            process.kill()
            process.wait()
