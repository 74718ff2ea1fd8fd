"""The key set of an authorization server, kept fresh (RFC 7517 section 5, RFC 8414).

    held keys, fresh    used, nothing is asked
    held keys, stale    used; one background fetch begins
    held keys, too old  as no keys: a key revoked meanwhile must not be honoured for ever
    no keys             callers wait for one fetch
    an unknown kid      callers wait for one fetch, at most once in `COOLDOWN_SECONDS`

Addresses come from configuration or from the issuer's own metadata, never from a token.
"""

import logging
import re
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from hourpass.fetch import FetchFailed, get_json
from hourpass.flight import Flight
from hourpass.oauth.errors import TemporarilyUnavailable
from hourpass.oauth.jose import Algorithm, PublicKeys
from hourpass.oauth.metadata import locations
from hourpass.resource_server.memory import Memory

FETCH_SECONDS = 5.0
COOLDOWN_SECONDS = 10.0
CLOCK_TOLERANCE_SECONDS = 60.0
MIN_AGE, DEFAULT_AGE, MAX_AGE = 30, 300, 86_400  # seconds
MAX_STALE_S = 86_400.0  # an outage longer than that stops the APIs, or a revoked key would stay

_log = logging.getLogger("hourpass.resource_server")
_MAX_AGE = re.compile(r'(?:^|[,\s])max-age="?([0-9]{1,10})', re.IGNORECASE)


class KeysUnavailable(TemporarilyUnavailable):
    """The token cannot be judged now: the authorization server's keys cannot be read.

    Says nothing about the token, so it is a 503 and no `invalid_token`.
    """

    description = "the keys that verify access tokens cannot be read now; try again in a moment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A fetched key set, fresh between the two readings of the caller's clock.

    It has an earliest time, too: were the clock set back, the keys would stay for that long.
    """

    keys: PublicKeys
    memory: Memory
    jwks: object
    fresh_from: float
    stale_at: float

    def is_usable(self, now: float, max_stale_s: float) -> bool:
        """Whether they are fresh, or have been stale for less than `max_stale_s`.

        On either side, or a clock that was set back would make them good for as much longer.
        """
        return self.fresh_from - max_stale_s <= now < self.stale_at + max_stale_s


class KeySet:
    """The keys of one issuer, for any number of threads.

    Every `now` is a reading of one clock, in seconds; a clock that is set back costs at most
    a fetch that was not needed.
    """

    def __init__(
        self,
        issuer: str,
        jwks_uri: str | None,
        algorithms: Iterable[Algorithm],
        max_stale_s: float = MAX_STALE_S,
    ) -> None:
        """`jwks_uri` None means: find it in the issuer's metadata (RFC 8414)."""
        self._issuer = issuer
        self._configured_uri = jwks_uri
        self._discovered_uri: str | None = None
        self._algorithms = frozenset(algorithms)
        self._max_stale_s = max_stale_s
        self._lock = threading.Lock()
        self.held: Held | None = None
        """The keys of the last fetch, however old: `current` says which may be used."""
        self._flight: Flight | None = None
        self._quiet_from: float | None = None
        self.fault: str | None = None
        """Why the last attempt failed; None when it did not."""

    def current(self, now: float) -> Held | None:
        """The keys held; None before the first fetch, and when they are too old to be used.

        Never waits, never fails. Keys and memory are the same objects as long as the server's
        answer is the same, so that a verdict is kept for exactly as long as the keys it was made
        with.
        """
        held = self.held
        if held is not None and not held.fresh_from <= now < held.stale_at:
            self.fetch(now)
            if not held.is_usable(now, self._max_stale_s):
                return None
        return held

    def fetch(self, now: float, kid: str | None = None) -> Flight | None:
        """Begin a fetch, or join the one under way; `kid` is a key that the caller misses.

        None when another thread has just brought what is missing, and while the cooldown
        lasts: failed attempts and attempts for an unknown `kid` start it, so that neither an
        outage nor a stranger's tokens turn into a flood of requests. What came of a flight that
        is over say `current` and `fault`.
        """
        with self._lock:
            if self._flight is not None and self._flight.is_running():
                return self._flight
            held = self.held
            is_fresh = held is not None and held.fresh_from <= now < held.stale_at
            if held is not None and is_fresh and (kid is None or kid in held.keys):
                return None
            if self._quiet_from is not None and abs(now - self._quiet_from) < COOLDOWN_SECONDS:
                return None
            if held is not None and kid is not None and kid not in held.keys:
                self._quiet_from = now
            return self._begin(now)

    def _begin(self, now: float) -> Flight | None:
        try:
            self._flight = Flight.begin(lambda: self._attempt(now), name="hourpass-jwks")
        except RuntimeError as fault:
            self._quiet_from, self.fault = now, str(fault)
            return None
        return self._flight

    def _attempt(self, now: float) -> None:
        fault: str | None = "the fetch broke off"
        try:
            self.held = self._download(now)
            fault = None
        except FetchFailed as failure:
            fault = str(failure)
            if self.held is None:
                _log.warning(
                    "every token is answered 503, since the keys of %s cannot be read: %s; it is"
                    " tried again in %d s",
                    *(self._issuer, fault, COOLDOWN_SECONDS),
                )
            else:
                _log.warning("the keys of %s were not renewed: %s", self._issuer, fault)
        finally:
            with self._lock:
                self.fault = fault
                if fault is not None:
                    self._quiet_from = now

    def _download(self, now: float) -> Held:
        deadline = time.monotonic() + FETCH_SECONDS
        uri = self._configured_uri or self._discovered_uri or self._discover(deadline)
        self._discovered_uri = None  # a failure below asks the metadata again: the URI may move
        jwks, headers = get_json(uri, deadline=deadline)
        previous = self.held
        if previous is not None and previous.jwks == jwks:
            keys, memory = previous.keys, previous.memory
        else:
            memory = Memory()
            try:
                keys = PublicKeys(jwks, self._algorithms)
            except ValueError as fault:
                raise FetchFailed(f"{uri}: {fault}") from fault
            if not keys.kids:
                # Still taken: a server that withdrew its keys must be believed.
                _log.warning(
                    "every token is refused, since %s holds no key for %s: check that it is the"
                    " server's jwks_uri",
                    *(uri, ", ".join(sorted(self._algorithms))),
                )
        self._discovered_uri = uri
        return Held(
            keys=keys,
            memory=memory,
            jwks=jwks,
            fresh_from=now - CLOCK_TOLERANCE_SECONDS,
            stale_at=now + _age(headers),
        )

    def _discover(self, deadline: float) -> str:
        """The `jwks_uri` in the issuer's metadata (RFC 8414 section 3)."""
        faults = []
        for location in locations(self._issuer):
            try:
                metadata, _ = get_json(location, deadline=deadline)
                return _jwks_uri(metadata, self._issuer, location)
            except FetchFailed as fault:
                faults.append(str(fault))
        raise FetchFailed("; ".join(faults))


def _jwks_uri(metadata: Any, issuer: str, location: str) -> str:
    """RFC 8414 section 3.3: metadata of another issuer, however alike, must not be used."""
    if not isinstance(metadata, dict):
        raise FetchFailed(f"{location} is no JSON object: check the issuer")
    named = metadata.get("issuer")
    if named != issuer:
        if _is_printable(named):
            raise FetchFailed(f"the server at {issuer} calls itself {named}: give that as issuer")
        raise FetchFailed(f"{location} is not that of {issuer}: check the issuer")
    uri = metadata.get("jwks_uri")
    allowed = ("https",) if urlsplit(issuer).scheme == "https" else ("https", "http")
    if _is_printable(uri):
        with suppress(ValueError):
            if urlsplit(uri).scheme in allowed:
                return uri
    raise FetchFailed(f"{location} names no usable jwks_uri: check that it is a Hourpass server")


def _is_printable(text: object) -> TypeGuard[str]:
    """What is not printable ASCII is no URI, and must not get into a log either."""
    return isinstance(text, str) and 0 < len(text) <= 2048 and text.isascii() and text.isprintable()


def _age(headers: Mapping[str, str]) -> int:
    """Seconds until the answer is stale: max-age less Age (RFC 9111 section 4.2), bounded."""
    found = _MAX_AGE.search(headers.get("Cache-Control", ""))
    if found is None:
        return DEFAULT_AGE
    spent = headers.get("Age", "0").strip()
    seconds = int(found[1]) - (int(spent) if re.fullmatch(r"[0-9]{1,10}", spent) else 0)
    return min(max(seconds, MIN_AGE), MAX_AGE)
