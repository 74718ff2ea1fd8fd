"""Who is measured: how each is started, asked, and what CPU time it has used."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from support.installation import Installation, Server, clean_environ
from support.ports import free_port
from support.postgres import Cluster

HERE = Path(__file__).parent
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PIN = ("taskset", "-c", "0")


@dataclass(slots=True)
class Contestant:
    """A running token endpoint; `also` are processes that work for it (the database's)."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    also: int | None = None
    starting_s: float = 0.0

    def cpu_s(self) -> float:
        """CPU time used so far by its processes, user and system."""
        return cpu_of(self.process.pid) + (0.0 if self.also is None else cpu_of(self.also))

    def resident_mb(self) -> float:
        """Resident memory of the serving process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)


@dataclass(slots=True)
class Peers:
    """Other people's servers, set up once in a folder of their own."""

    folder: Path
    python: Path | None = None
    node: str | None = None
    notes: list[str] = field(default_factory=list)

    def set_up(self, uv: str) -> None:
        """Install them; what cannot be had is noted and left out."""
        environment = self.folder / "authlib"
        requirements = HERE / "peers" / "requirements.txt"
        python = environment / "bin" / "python"
        try:
            _quietly([uv, "venv", "-q", "--python", sys.executable, str(environment)])
            install = ["pip", "install", "-q", "--python", str(python), "--require-hashes"]
            _quietly([uv, *install, "-r", str(requirements)])
            self.python = python
        except subprocess.CalledProcessError as fault:
            self.notes.append(f"Authlib left out: {fault}")
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            self.notes.append("node-oidc-provider left out: Node.js is not installed")
            return
        for name in ("package.json", "package-lock.json", "node_oidc_provider.mjs"):
            shutil.copy(HERE / "peers" / name, self.folder)
        try:
            _quietly([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=self.folder)
            self.node = node
        except subprocess.CalledProcessError as fault:
            self.notes.append(f"node-oidc-provider left out: {fault}")

    def start(self, credentials: Path) -> list[Contestant]:
        """Start those that are there, each on the first core."""
        started = []
        if self.python is not None:
            environ = {
                "PEER_CREDENTIALS": str(credentials),
                "PEER_DATABASE": str(self.folder / "authlib.db"),
                "AUTHLIB_INSECURE_TRANSPORT": "1",
                "PYTHONPATH": str(HERE / "peers"),
            }
            port = free_port()
            gunicorn = [str(self.python.with_name("gunicorn")), "-w", "1", "--log-level", "error"]
            command = [*PIN, *gunicorn, "-b", f"127.0.0.1:{port}", "authlib_flask:app"]
            started.append(_start("Authlib + Flask + gunicorn", command, port, environ))
        if self.node is not None:
            port = free_port()
            program = str(self.folder / "node_oidc_provider.mjs")
            command = [*PIN, self.node, program, str(port), str(credentials)]
            started.append(_start("node-oidc-provider (in memory)", command, port, {}))
        return started


def hourpass(
    name: str,
    installation: Installation,
    *,
    pinned: bool,
    cluster: Cluster | None = None,
    **environ: str,
) -> Contestant:
    """`hourpass serve` as a user runs it, or pinned to the first core."""
    begun = time.monotonic()
    environ = {"HOURPASS_LOG_LEVEL": "warning", **environ}
    server = Server(installation, *(PIN if pinned else ()), **environ)
    starting_s = time.monotonic() - begun
    server.http.close()
    assert server.process is not None
    also = cluster.pid if cluster is not None else None
    return Contestant(name, server.url, server.process, also, starting_s)


def ceiling(*, pinned: bool) -> Contestant:
    """The same HTTP server without storage."""
    port = free_port()
    command = [*(PIN if pinned else ()), sys.executable, "-m", "bench.ceiling", str(port)]
    return _start("ceiling (no storage)", command, port, {})


def start_program(name: str, command: list[str], environ: Mapping[str, str]) -> Contestant:
    """A program of ours that takes its port as its last argument."""
    port = free_port()
    return _start(name, [*command, str(port)], port, environ)


def _start(name: str, command: list[str], port: int, environ: Mapping[str, str]) -> Contestant:
    process = subprocess.Popen(
        command,
        env={**clean_environ(), **environ},
        cwd=HERE.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return Contestant(name, url, process)
    raise RuntimeError(f"{name} did not start")


def cpu_of(pid: int) -> float:
    """CPU time of a process and its children so far, user and system, in seconds."""
    return sum(_cpu_s(each) for each in {pid, *_children(pid)})


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(value) for value in fields[11:15]) * _TICK_S


def _quietly(command: list[str], cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd=cwd)
