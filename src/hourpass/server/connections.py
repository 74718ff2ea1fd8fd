"""The connections of a process: how many there may be, and who makes room when it is full.

Every connection is an open file, and a process that has no file left can neither answer a caller
nor reach its database. So some are kept back, and a new connection takes the place of one that is
waited on: first of those that never sent a whole request, then of those that are kept between
two, each time the one that has been idle for longest. However many idle connections a stranger
holds, the next caller gets in.
"""

import contextlib
import sys
from collections.abc import Callable

MOST = 20_000
KEPT_BACK = 128
"""Files for the database, the log and whatever is loaded later."""
FEWEST = 16  # however few files are allowed: with none nobody would be served

Close = Callable[[], object]


class Connections:
    """Those that are open, in one event loop; a key tells each apart."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._open: dict[object, Close] = {}
        self._silent: dict[object, None] = {}
        self._kept: dict[object, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, key: object, close: Close) -> bool:
        """A new connection, which is idle; False when there is no room and nobody is idle."""
        if len(self._open) >= self.most:
            oldest = next(iter(self._silent or self._kept), None)
            if oldest is None:
                return False
            close_oldest = self._open[oldest]
            self.leave(oldest)
            close_oldest()
        self._open[key] = close
        self._silent[key] = None
        return True

    def is_busy(self, key: object) -> None:
        """A whole request of it is here."""
        if key in self._kept:
            del self._kept[key]
        else:
            self._silent.pop(key, None)

    def is_idle(self, key: object) -> None:
        """It has its answers; the next request is waited for, or the rest of this one."""
        self._silent.pop(key, None)
        if key in self._open:
            self._kept[key] = None

    def leave(self, key: object) -> None:
        """It is closed; one that has left already may leave again."""
        self._open.pop(key, None)
        self._silent.pop(key, None)
        self._kept.pop(key, None)


def files_allowed() -> int:
    """How many files this process may have open, once it has asked for all it can get.

    Many systems begin with 1,024 and allow far more.
    """
    if sys.platform == "win32":
        return MOST + KEPT_BACK
    import resource

    enough = MOST + KEPT_BACK
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < enough:
        wanted = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
        with contextlib.suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return enough if soft == resource.RLIM_INFINITY else soft
