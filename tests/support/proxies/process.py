"""Shipped proxy configurations, started for real: rendered, run as a child process, stopped."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.installation import clean_environ
from support.requirements import missing

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
# What the shipped files say where a user has to put something of their own.
HOURPASS, API, LISTEN = 8080, 8081, 8082
_START_TIMEOUT_S = 20.0
_MARK = re.compile(r"^\s*# EDIT\b")


def program(name: str) -> str:
    """Where a proxy's program is; skips the test where it is absent, unless all have to run."""
    found = _envoy() if name == "envoy" else shutil.which(name, path=_path())
    if found is None:
        missing(name)
    return found


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"


def _envoy() -> str | None:
    """The program in the wheel, found without importing the package."""
    found = importlib.util.find_spec("envoy")
    if found is None or found.origin is None:
        return shutil.which("envoy")
    return str(Path(found.origin).parent / "_bin" / "envoy")


def marked_lines(text: str) -> list[int]:
    """The numbers of the lines that a user is told to edit.

    A mark is a comment that begins with EDIT; what it marks is the next line that is no comment.
    """
    lines = text.split("\n")
    return [
        next(n for n in range(at, len(lines)) if not lines[n].strip().startswith("#"))
        for at, line in enumerate(lines)
        if _MARK.match(line)
    ]


def render(file: Path, edits: Mapping[str, str]) -> str:
    """The shipped file with `edits` made in the marked lines, and nowhere else.

    Each edit has to be needed; what it replaces may not be left anywhere outside of comments.
    """
    text = file.read_text("utf-8")
    lines = text.split("\n")
    marked = marked_lines(text)
    used = set()
    for number in marked:
        for old, new in edits.items():
            if old in lines[number]:
                lines[number] = lines[number].replace(old, new)
                used.add(old)
    assert used == set(edits), f"{file.name} marks no line with {set(edits) - used}"
    for line in lines:
        if not line.strip().startswith("#"):
            assert not any(old in line for old in edits), f"{file.name} does not mark: {line}"
    return "\n".join(lines)


class ProxyProcess:
    """A proxy that runs until it is stopped; everything that it writes is in `folder`."""

    def __init__(
        self, command: Sequence[str], port: int, folder: Path, environ: Mapping[str, str] = {}
    ) -> None:
        """Start it and wait until it listens on `port`."""
        self.port = port
        self.log = folder / "proxy.log"
        dies_with_us = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*dies_with_us, *command],
                env={**clean_environ(), **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            assert self.process.poll() is None, f"it ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"it does not listen:\n{self.log.read_text()}"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it and all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
