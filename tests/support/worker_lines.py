"""Connections to a server's workers, each known to be one worker's: by the kernel's own tables."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support.installation import FORM, Credentials, Server


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: its status, and its body if that is JSON."""

    status: int
    body: Any


class Line:
    """One connection, kept open: whatever is asked over it, the same process answers."""

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=15)
        self.ask("GET", "/healthz")  # taken by a process, from here on
        self.number: int = self._http.sock.getsockname()[1]

    def ask(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] = {}
    ) -> Told:
        """One request and its answer."""
        self._http.request(method, path, body, dict(headers))
        answer = self._http.getresponse()
        text = answer.read()
        is_json = "json" in (answer.getheader("content-type") or "")
        return Told(answer.status, json.loads(text) if is_json else None)

    def token(self, credentials: Credentials) -> Told:
        """Ask for a token."""
        body = urlencode({"grant_type": "client_credentials"})
        return self.ask("POST", "/token", body, {**FORM, **credentials.basic})

    def verify(self, token: str, method: str = "GET", uri: str = "/customers") -> int:
        """The status of an online check, as a proxy makes it."""
        forwarded = {"X-Forwarded-Method": method, "X-Forwarded-Uri": uri}
        headers = {"Authorization": f"Bearer {token}", **forwarded}
        return self.ask("GET", "/verify?api=bookings", headers=headers).status

    def close(self) -> None:
        """Hang up."""
        self._http.close()


def children(pid: int) -> list[int]:
    """The processes that this one has started and that live."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split() if _lives(int(child))]


def workers(server: Server) -> list[int]:
    """The process IDs of a server's workers."""
    assert server.process is not None
    return children(server.process.pid)


def a_line_to_each(server: Server) -> dict[int, Line]:
    """By process ID, a connection to every worker of a server."""
    wanted = set(workers(server))
    lines: dict[int, Line] = {}
    spare = []
    deadline = time.monotonic() + 20
    while lines.keys() != wanted:
        assert time.monotonic() < deadline, f"{lines.keys()} of {wanted} took connections"
        line = Line(server.installation.port)
        pid = _who_has(_inode(server.installation.port, line.number), wanted)
        if pid in lines:
            spare.append(line)  # kept open: who has the most takes no further ones
        else:
            lines[pid] = line
    for line in spare:
        line.close()
    return lines


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _inode(port: int, peer_port: int) -> str:
    """Of the server's end of a connection between these two ports."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, here, there, *_, inode = row.split()[:10]
        if (here[-4:], there[-4:]) == (f"{port:04X}", f"{peer_port:04X}"):
            return inode
    raise AssertionError("there is no such connection")


def _who_has(inode: str, pids: set[int]) -> int:
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(handle.readlink()) == f"socket:[{inode}]":
                    return pid
            except OSError:
                pass  # closed meanwhile
    raise AssertionError("no worker has the connection")
