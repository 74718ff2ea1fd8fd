"""The ID of a request: in its audit row, in its answer's header, and in every log line of it."""

import os
from contextvars import ContextVar
from itertools import count
from uuid import uuid4

_process, _numbers = "", count(1)
current: ContextVar[str] = ContextVar("request_id")
"""Of the request that this code runs for; threads that it starts work in inherit it."""


def new_request_id() -> str:
    """Unique over all processes and restarts; `current` from now on."""
    request_id = f"{_process}-{next(_numbers):x}"
    current.set(request_id)
    return request_id


def _begin() -> None:
    """A forked process counts for itself, or two would give the same IDs."""
    global _process, _numbers
    _process, _numbers = uuid4().hex[:12], count(1)


_begin()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin)
