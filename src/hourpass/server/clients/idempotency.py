"""Doing a deed once, however often it is asked for: what an Idempotency-Key means.

The key is written in the deed's own transaction, so both are there or neither is, also after a
crash. It is kept for 24 hours, for each caller and route.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hourpass.server.clients import idempotency_store
from hourpass.server.db.engine import Database
from hourpass.server.refused import Conflict

KEPT = timedelta(hours=24)
_PURGE_AT_ONCE = 1000
_UNDER_WAY = "the first request with this Idempotency-Key is still under way; ask again"


class StillRunning(Conflict):
    """The first request with this key has no answer yet."""


class KeyReused(Conflict):
    """The key came with another request before."""


class DoneBefore(Exception):
    """The same request was carried out before; `client_id` is what it was about."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        super().__init__(client_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """An Idempotency-Key: whose, for which route, its value, and which request came with it."""

    caller: str
    route: str
    value: str
    request: bytes

    @classmethod
    def of(cls, caller: str, route: str, value: str, request: str) -> "IdempotencyKey":
        """`request` is all that makes this request another than others on the route."""
        digest = hashlib.sha256(request.encode("utf-8", "surrogatepass")).digest()
        return cls(caller=caller, route=route, value=value, request=digest)

    @property
    def lock(self) -> int:
        """A number of 64 bits that two requests with this key have in common."""
        text = f"{self.caller}\0{self.route}\0{self.value}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


@contextmanager
def running(key: IdempotencyKey | None) -> Iterator[None]:
    """While the request is under way in this process; raises StillRunning for a second one.

    Between processes (PostgreSQL only) the lock that `check` takes does the same.
    """
    if key is None:
        yield
        return
    name = key.lock
    with _guard:
        if name in _under_way:
            raise StillRunning(_UNDER_WAY)
        _under_way.add(name)
    try:
        yield
    finally:
        with _guard:
            _under_way.discard(name)


def check(connection: Connection, key: IdempotencyKey | None, now: datetime) -> None:
    """First step of the deed's transaction: raises DoneBefore, KeyReused or StillRunning."""
    if key is None:
        return
    if not idempotency_store.take_turn(connection, key.lock):
        raise StillRunning(_UNDER_WAY)
    found = idempotency_store.get(connection, key.caller, key.route, key.value)
    if found is None:
        return
    request, client_id, done_at = found
    if now - done_at >= KEPT:
        return
    if request != key.request:
        raise KeyReused("this Idempotency-Key came with another request before; make a new key")
    raise DoneBefore(client_id)


def done(connection: Connection, key: IdempotencyKey | None, client_id: str, now: datetime) -> None:
    """Last step of the deed's transaction."""
    if key is not None:
        idempotency_store.put(
            connection, key.caller, key.route, key.value, key.request, client_id, now
        )


def was_done(database: Database, key: IdempotencyKey) -> bool:
    """Whether this very request was carried out under its key, within the last 24 hours."""
    with database.read() as connection:
        found = idempotency_store.get(connection, key.caller, key.route, key.value)
        now = database.now(connection)
    return found is not None and found[0] == key.request and now - found[2] < KEPT


def purge(database: Database) -> bool:
    """Forget some keys older than 24 hours; True: there are more."""
    with database.read() as connection:
        if not idempotency_store.any_before(connection, database.now(connection) - KEPT):
            return False
    with database.write() as connection:
        before = database.now(connection) - KEPT
        return idempotency_store.drop_before(connection, before, limit=_PURGE_AT_ONCE)


_guard = threading.Lock()
_under_way: set[int] = set()
