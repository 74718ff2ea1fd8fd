"""Runs what a page of the documentation tells its readers to type, and compares what it shows.

A comment before a fenced block says what the block is:

    <!-- file: NAME -->             the content of a file in the reader's folder
    <!-- run -->                    shell commands, all of which have to succeed
    <!-- run in background: PORT -->  a server; the reader ends the one before it there, and
                                    waits until it listens
    <!-- prints -->                 what the block before printed; `…` is any text
    <!-- on PostgreSQL -->          commands for who has a cluster; another test runs them
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from support.installation import clean_environ
from support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^<!-- ([^\n]+) -->\n```[a-z]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_DONE = "@@ the block is done @@"
_START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Block:
    """A marked block of a page."""

    mark: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """The marked blocks of a page, in order."""
    return [Block(mark, text) for mark, text in _BLOCK.findall(page.read_text("utf-8"))]


class Reader:
    """Somebody who follows a page in a new folder, with ports of their own instead of 8080 …"""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "reader"
        self._folder.mkdir()
        self._ports = {"8080": str(free_port()), "8081": str(free_port())}
        self._environ = {
            **clean_environ(),
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOURPASS_PORT": self._ports["8080"],
        }
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._shell = subprocess.Popen(
            ["bash", "-e", "-o", "pipefail"],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def follow(self, page: Path) -> None:
        """Do and compare everything that is marked on the page."""
        printed = ""
        for block in blocks_of(page):
            text = self._with_ports(block.text)
            name, _, argument = block.mark.partition(": ")
            match name:
                case "file":
                    (self._folder / argument).write_text(text)
                case "run":
                    printed = self._run(text)
                case "run in background":
                    self._start(text, self._ports[argument])
                case "prints":
                    assert _fits(text, printed), f"printed:\n{printed}\npage:\n{text}"
                case "on PostgreSQL":
                    pass
                case _:
                    raise ValueError(f"{page}: no such mark: {block.mark}")

    def leave(self) -> None:
        """End what was started."""
        for port in list(self._servers):
            self._stop(port)
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.wait(20)
        self._shell.stdout.close()

    def _run(self, commands: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{commands}\necho; echo '{_DONE}'\n".encode())
        self._shell.stdin.flush()
        printed: list[str] = []
        for line in self._shell.stdout:
            if line.decode() == _DONE + "\n":
                return "".join(printed)
            printed.append(line.decode())
        raise AssertionError(f"a command failed:\n{commands}\n{''.join(printed)}")

    def _stop(self, port: str) -> None:
        server = self._servers.pop(port)
        os.killpg(server.pid, signal.SIGINT)
        server.wait(20)

    def _start(self, command: str, port: str) -> None:
        if port in self._servers:  # a page has one server at an address; the next takes its place
            self._stop(port)
        server = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._servers[port] = server
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            assert server.poll() is None, f"it ended: {command}"
            assert time.monotonic() < deadline, f"it does not listen on {port}: {command}"
            try:
                socket.create_connection(("127.0.0.1", int(port))).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return

    def _with_ports(self, text: str) -> str:
        for written, real in self._ports.items():
            text = text.replace(written, real)
        return text


def _fits(expected: str, printed: str) -> bool:
    """Whether the lines are the same, blanks apart; `…` stands for any text."""
    pattern = ".*?".join(re.escape(part) for part in " ".join(expected.split()).split("…"))
    return re.fullmatch(pattern, " ".join(printed.split())) is not None
