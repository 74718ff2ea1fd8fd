"""Access tokens for as long as a program runs: asked for once, kept, renewed before they end.

What to do when is decided in `renewal.py`; here are the threads, the clock and the network.
A request is always made by a thread of its own (`../flight.py`), which all callers wait for.
"""

import asyncio
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import cast

from hourpass.client import cache_file as cache
from hourpass.client import credentials as given
from hourpass.client import renewal
from hourpass.client.addresses import is_confidential
from hourpass.client.errors import BadAnswer, BadConfiguration, ServerUnavailable, TokenError
from hourpass.client.renewal import Ask, GiveUp, Held, Pause, State, Use
from hourpass.client.token_request import find_token_url, request_token
from hourpass.flight import Flight
from hourpass.oauth.errors import InvalidScope
from hourpass.oauth.scope import parse

ATTEMPT_S = 10.0
"""One attempt, metadata and waiting for other processes included."""
PATIENCE_S = 30.0

_log = logging.getLogger("hourpass.client")


def monotonic() -> float:
    """Seconds that nobody can set; where the system can, they go on while it sleeps."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


_Wait = tuple[Flight | None, float]
"""What to wait for, and for how many seconds at most."""


class TokenSource:
    """Access tokens of one client, for any number of threads and tasks.

    Make one for a process and keep it. Nothing is asked before the first token is wanted.
    """

    def __init__(
        self,
        *,
        issuer: str | None = None,
        token_url: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        credentials_file: str | os.PathLike[str] | None = None,
        scope: str | Iterable[str] | None = None,
        resource: str | None = None,
        cache_file: str | os.PathLike[str] | None = None,
        patience_s: float = PATIENCE_S,
        allow_http: bool = False,
        clock: Callable[[], float] = monotonic,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Raises BadConfiguration for what can never bring a token.

        The server is `token_url`, or found in the metadata of `issuer` (RFC 8414); without
        either it is `HOURPASS_ISSUER`. The credentials are `client_id` and `client_secret`, or
        in `credentials_file` (JSON), or `HOURPASS_CLIENT_ID` and `HOURPASS_CLIENT_SECRET`.
        `scope` and `resource` narrow the token; without them it has all that the client holds.
        `patience_s` is how long a caller waits, while the server cannot answer, when there is no
        token to use. Processes that name the same `cache_file` share their tokens. `allow_http`
        sends the secret over plain http to another machine; to this one it always may.
        """
        if token_url is None and issuer is None:
            issuer = environ.get(given.ISSUER_VARIABLE)
        if (token_url is None) == (issuer is None):
            raise BadConfiguration(
                f"give issuer or token_url, one of both, or set {given.ISSUER_VARIABLE}"
            )
        for name, url in (("issuer", issuer), ("token_url", token_url)):
            if url is not None:
                _check_address(name, url, allow_http=allow_http)
        self._issuer, self._token_url = issuer, token_url
        self._found_url: str | None = None
        self._credentials = given.find(client_id, client_secret, credentials_file, environ)
        self._scope, self._resource = _scope(scope), resource or None
        self._allow_http = allow_http
        self._patience_s = patience_s
        self._clock = clock
        self._cache = None if cache_file is None else cache.CacheFile(Path(cache_file))
        self._cache_key = cache.key(
            issuer or token_url, self._credentials.client_id, self._scope, self._resource
        )
        self._lock = threading.Lock()
        self._state = State()
        self._flight: Flight | None = None

    def __repr__(self) -> str:
        where = self._issuer or self._token_url
        return f"<TokenSource {self._credentials.client_id} at {where}>"

    def token(self) -> str:
        """An access token that is good for now; raises TokenError.

        Comes from memory but for the first call and after a long silence. When a token nears its
        end it is renewed behind the calls that still use it, so no call waits for that.
        """
        held = self._state.held
        if held is not None and self._clock() < held.renew_at:
            return held.access_token
        return self.current().access_token

    async def token_async(self) -> str:
        """`token`, without blocking the event loop."""
        held = self._state.held
        if held is not None and self._clock() < held.renew_at:
            return held.access_token
        return (await self.current_async()).access_token

    def current(self) -> Held:
        """The token with its scope and times; raises TokenError."""
        steps = self._steps()
        while True:
            try:
                flight, seconds = next(steps)
            except StopIteration as end:
                return cast("Held", end.value)
            if flight is None:
                time.sleep(seconds)
            else:
                flight.wait(seconds)

    async def current_async(self) -> Held:
        """`current`, without blocking the event loop."""
        steps = self._steps()
        while True:
            try:
                flight, seconds = next(steps)
            except StopIteration as end:
                return cast("Held", end.value)
            if flight is None:
                await asyncio.sleep(seconds)
            else:
                await flight.wait_async(seconds)

    def remaining_s(self, held: Held) -> int:
        """Whole seconds until a token that `current` gave expires, at least 0."""
        return max(int(held.expires_at - self._clock()), 0)

    def reject(self, access_token: str) -> bool:
        """Say that an API answered 401 `invalid_token` to this token; True: get another and retry.

        The token is dropped only if it is still the one that is held. False when it was got so
        shortly after another refused one that a new token would not help either.
        """
        with self._lock:
            self._state = renewal.rejected(self._state, access_token, self._clock())
            held = self._state.held
            return held is None or held.access_token != access_token

    def _steps(self) -> Generator[_Wait, None, Held]:
        """The way to a token, once for threads and tasks: it yields what has to be waited for."""
        now = self._clock()
        give_up_at = now + self._patience_s
        end_at = (
            give_up_at + ATTEMPT_S + 1
        )  # an attempt ends by itself before; name look-ups may not
        while True:
            with self._lock:
                decision = renewal.decide(self._state, now, give_up_at)
                flight = None
                if isinstance(decision, Ask) or (isinstance(decision, Use) and decision.renew):
                    flight = self._join()
            match decision:
                case Use(held):
                    return held
                case GiveUp(error):
                    raise error.again()
                case Pause(until):
                    yield None, max(until - now, 0.0)
                case Ask():
                    if now >= end_at:
                        raise ServerUnavailable(
                            f"{self._issuer or self._token_url} does not answer: check the"
                            " address, or try again later"
                        )
                    if flight is not None:  # else it could not begin: the next decision says so
                        yield flight, end_at - now
            now = self._clock()

    def _join(self) -> Flight | None:
        """The attempt under way, or a new one; None if none can begin. Called under the lock."""
        if self._flight is not None and self._flight.is_running():
            return self._flight
        try:
            # With a cache file the process may live for a moment only: let it finish what it
            # began, or each of its followers would begin anew.
            self._flight = Flight.begin(
                self._attempt, name="hourpass-token", daemon=self._cache is None
            )
        except RuntimeError:
            error = ServerUnavailable("no thread could be started: try again later")
            spread = random.random()  # noqa: S311  (when to ask, nothing secret)
            self._state = renewal.failed(self._state, error, self._clock(), spread)
            return None
        return self._flight

    def _attempt(self) -> None:
        spread = random.random()  # noqa: S311  (when to ask, nothing secret)
        held: Held | None = None
        error: TokenError = ServerUnavailable("the token request broke off: see the log")
        try:
            held = self._obtain(spread)
        except TokenError as refusal:
            error = refusal.again()
        except Exception:  # noqa: BLE001  (whoever waits must hear of it)
            _log.exception("a token request of %s met a fault of ours", self)
        finally:
            with self._lock:
                if held is not None:
                    self._state = renewal.succeeded(self._state, held)
                else:
                    self._state = renewal.failed(self._state, error, self._clock(), spread)
                    if self._state.held is not None:
                        _log.warning("the token of %s was not renewed: %s", self, error)

    def _obtain(self, spread: float) -> Held:
        """A token from the cache file or from the server."""
        deadline = time.monotonic() + ATTEMPT_S
        if self._cache is None:
            return self._request(deadline, spread)
        found = self._cached(self._cache, spread)
        if found is not None:
            return found
        try:
            with self._cache.locked(deadline - ATTEMPT_S / 2) as alone:
                found = self._cached(self._cache, spread) if alone else None
                return found or self._request(deadline, spread)
        except OSError as fault:
            _log.warning("the cache file cannot be used: %s", fault.strerror)
            return self._request(deadline, spread)

    def _cached(self, file: cache.CacheFile, spread: float) -> Held | None:
        """The cache file's token, if it is not due for renewal."""
        found = file.read(self._cache_key, time.time())
        if found is None or found.granted.access_token == self._state.rejected:
            return None
        now = self._clock()
        held = renewal.hold(found.granted, asked_at=now - found.age_s, spread=spread)
        return held if now < held.renew_at else None

    def _request(self, deadline: float, spread: float) -> Held:
        try:
            url = self._token_url or self._found_url
            if url is None:
                url = find_token_url(
                    self._issuer or "", allow_http=self._allow_http, deadline=deadline
                )
                self._found_url = url
            asked_at, wall = self._clock(), time.time()
            granted = request_token(
                url,
                self._credentials,
                scope=self._scope,
                resource=self._resource,
                deadline=deadline,
            )
        except (BadAnswer, ServerUnavailable):
            self._found_url = None  # the metadata is asked again: the endpoint may have moved
            raise
        if self._cache is not None:
            try:
                self._cache.write(self._cache_key, granted, wall)
            except OSError as fault:
                _log.warning("the cache file cannot be written: %s", fault.strerror)
        return renewal.hold(granted, asked_at=asked_at, spread=spread)


def _check_address(name: str, url: str, *, allow_http: bool) -> None:
    try:
        confidential = is_confidential(url)
    except ValueError:
        raise BadConfiguration(f"{name} is no http or https URL: {ascii(url)[:200]}") from None
    if not (confidential or allow_http):
        raise BadConfiguration(f"{name} {url} would send the secret in clear: use https")


def _scope(scope: str | Iterable[str] | None) -> str | None:
    names = scope if scope is None or isinstance(scope, str) else " ".join(scope)
    if not names:
        return None
    try:
        return " ".join(parse(names))
    except InvalidScope as fault:
        raise BadConfiguration(f"scope: {fault}") from None
