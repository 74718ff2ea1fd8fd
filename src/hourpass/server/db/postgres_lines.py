"""What all who keep a bare connection to PostgreSQL share: commits, online checks, the probe."""

import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psycopg

_SEPARATOR = "\x1f"
_RECONNECT_EVERY_S = 0.5

PLANS = (
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET enable_seqscan = off",
    "SET jit = off",
    "SET plan_cache_mode = force_generic_plan",
)
"""For a session that looks up a batch of clients: by index for every size of batch and table, and
with one plan. The planner knows neither how large a batch is, nor a table filled a moment ago."""


class Attempts:
    """Attempts to connect, with half a second between them.

    To find out that a database is away can take seconds: whoever asks again at once is refused.
    """

    def __init__(self, refusal: type[Exception]) -> None:
        self._refusal = refusal
        self._not_before = 0.0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around one attempt; raises `refusal` when the one before ended a moment ago."""
        if time.monotonic() < self._not_before:
            raise self._refusal("the database was out of reach a moment ago")
        try:
            yield
        finally:
            self._not_before = time.monotonic() + _RECONNECT_EVERY_S


def shut_down(connection: psycopg.BaseConnection[Any] | None) -> None:
    """From another thread: whoever waits for this connection fails now. Raises nothing."""
    with suppress(psycopg.Error, OSError):  # it is gone already
        if connection is not None:
            with socket.socket(fileno=os.dup(connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)


def packed(values: Iterable[str]) -> str:
    """An array as one text, for `string_to_array(%s, chr(31))`; raises ValueError.

    psycopg would look at every value of a list, at ten times the cost. The separator is a control
    character, which no printable text has; a value with one would shift its neighbours' values.
    """
    listed = list(values)
    text = _SEPARATOR.join(listed)
    if text.count(_SEPARATOR) != max(0, len(listed) - 1):
        raise ValueError("a value holds the separator of values")
    return text


def utc(value: datetime) -> datetime:
    """A time column of a bare driver, as the one aware UTC that we compare with."""
    return value.astimezone(UTC)
