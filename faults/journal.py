"""A journal that survives its writer: each line is on disk before the next step is taken."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Append-only JSON lines, each with `at`: seconds of the clock that all processes share."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **entry: Any) -> None:
        """One line, durable when this returns."""
        line = json.dumps({"at": time.monotonic(), **entry}) + "\n"
        os.write(self._handle, line.encode())
        os.fsync(self._handle)


def read(path: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    """Every whole line from an octet on: the last may be cut by a kill."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(start)
        for line in file.read().split(b"\n")[:-1]:
            yield json.loads(line)
