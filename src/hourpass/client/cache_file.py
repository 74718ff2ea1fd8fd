"""A file by which many short-lived processes share one token.

Holds tokens, no secret; only its owner can read it. A process that renews holds the lock
meanwhile, so the others find its token instead of asking as well. Times in it are wall clock,
the only clock that processes share.
"""

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hourpass.client.answer import Granted, granted
from hourpass.client.errors import BadConfiguration

_MAX_FILE = 4 * 1024 * 1024
_POLL_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A token of the file; `age_s` is since the moment before it was asked for."""

    granted: Granted
    age_s: float


def key(*what: str | None) -> str:
    """The name of an entry: a digest of whatever makes one token differ from another."""
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


class CacheFile:
    """The file at `path`; its lock is a file of its own, beside it."""

    def __init__(self, path: Path) -> None:
        """Raises BadConfiguration where files cannot be locked, or the folder is missing."""
        if os.name != "posix":
            raise BadConfiguration("a cache file needs file locks, which this system does not have")
        if not path.parent.is_dir():
            raise BadConfiguration(f"the folder of the cache file is missing: make {path.parent}")
        self._path = path
        self._lock = path.with_name(path.name + ".lock")

    def read(self, name: str, now: float) -> Found | None:
        """The token under this name; None when there is none, or none that can be believed.

        `now` is a reading of the wall clock; raises BadConfiguration when others can read it.
        """
        entry = self._entries().get(name)
        if not isinstance(entry, dict):
            return None
        asked_at = entry.get("asked_at")
        if not isinstance(asked_at, int | float) or not 0 <= now - asked_at < 1e9:
            return None  # from the future: the clock was set back since
        try:
            return Found(granted=granted(entry), age_s=now - asked_at)
        except ValueError:
            return None

    def write(self, name: str, got: Granted, asked_at: float) -> None:
        """Put a token in, and leave out those that have expired; OSError when it cannot be."""
        kept = {
            other: entry
            for other, entry in self._entries().items()
            if isinstance(entry, dict) and _ends(entry) > asked_at
        }
        kept[name] = {
            "access_token": got.access_token,
            "token_type": "Bearer",
            "expires_in": got.expires_in,
            "scope": got.scope,
            "asked_at": asked_at,
        }
        # mkstemp makes it 0600; whoever reads sees the old file or the new one, never a half.
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        try:
            with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123  (a descriptor)
                json.dump(kept, file)
            Path(temporary).replace(self._path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise

    @contextmanager
    def locked(self, deadline: float) -> Iterator[bool]:
        """Alone among processes; False when the lock was not free before `deadline`.

        `deadline` is a reading of `time.monotonic()`. The system frees the lock of a process
        that dies. OSError when there can be no lock file.
        """
        import fcntl  # not everywhere

        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        yield False
                        return
                    time.sleep(_POLL_S)
                else:
                    yield True
                    return
        finally:
            os.close(descriptor)

    def _entries(self) -> dict[str, Any]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return {}
        with open(descriptor, "rb") as file:  # noqa: PTH123  (the file that was opened is judged)
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise BadConfiguration(f"{self._path} is no file: name another cache file")
            if facts.st_mode & 0o077 or facts.st_uid not in (os.geteuid(), 0):
                raise BadConfiguration(
                    f"{self._path} can be used by others than its owner: remove it, or chmod 600"
                )
            content = file.read(_MAX_FILE + 1)
        try:
            entries = json.loads(content) if len(content) <= _MAX_FILE else {}
        except (ValueError, RecursionError):
            return {}
        return entries if isinstance(entries, dict) else {}


def _ends(entry: dict[str, Any]) -> float:
    asked_at, life = entry.get("asked_at"), entry.get("expires_in")
    if isinstance(asked_at, int | float) and isinstance(life, int):
        return asked_at + life
    return 0.0
