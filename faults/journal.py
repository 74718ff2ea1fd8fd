"""A journal that survives its writer: each line is on disk before the next step is taken."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Append-only JSON lines."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **entry: Any) -> None:
        """One line, durable when this returns."""
        os.write(self._handle, (json.dumps(entry) + "\n").encode())
        os.fsync(self._handle)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Every whole line: the last may be cut by a kill."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield json.loads(line)
