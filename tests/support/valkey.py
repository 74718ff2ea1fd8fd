"""A Valkey (or Redis) of the tests' own, where the machine has the program."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from support.ports import free_port
from support.requirements import missing

PROGRAMS = ("valkey-server", "redis-server")


def program() -> str:
    """Its path. Skips the test where there is none, unless the run has to be complete."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    return found or missing("valkey-server or redis-server")


class Valkey:
    """One running server, without a disk."""

    def __init__(self, folder: Path, *, password: str | None = None) -> None:
        self._program = program()
        self._folder = folder
        self._password = password
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """How to connect to it."""
        user = "" if self._password is None else f":{self._password}@"
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {"bind": "127.0.0.1", "port": self.port, "save": "", "appendonly": "no"}
        if self._password is not None:
            options["requirepass"] = self._password
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen(
            [self._program, *words, "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline and self._process.poll() is None, "it did not start"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as peer:
                peer.sendall(b"PING\r\n")
                return peer.recv(100) != b""
        except OSError:
            return False

    def kill(self) -> None:
        """As in a crash."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def hang(self) -> None:
        """It takes connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answers again."""
        self._process.send_signal(signal.SIGCONT)
