"""Ports for the programs that tests start."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Under what systems give to outgoing connections: one of those could take a port between its
# choice and the program's start, and while a test restarts its server.
_RANGE = range(10_000, 32_768)


def free_port() -> int:
    """A port that nobody listens on and no other test process was given, until this one ends."""
    for port in _ports:
        try:
            fcntl.lockf(_given, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise RuntimeError("every port is taken")


def _each_once() -> Iterator[int]:
    yield from random.sample(_RANGE, len(_RANGE))


# Byte N is locked by whoever was given port N; the system unlocks what an ended process held.
_given = os.open(
    Path(tempfile.gettempdir()) / f"hourpass-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT
)
_ports = _each_once()
