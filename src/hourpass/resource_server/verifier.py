"""The offline check of an access token: signature, claims, nothing else (RFC 9068 section 4).

A verdict stands until the token expires: revocation before that is seen only by an online
check (introspection, forward-auth).
"""

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import cast
from urllib.parse import urlsplit

from hourpass.flight import Flight
from hourpass.oauth.errors import InvalidToken
from hourpass.oauth.jose import ACCESS_TOKEN_TYPE, Algorithm, BadSignature, read_header
from hourpass.oauth.loopback import is_loopback
from hourpass.resource_server.claims import AccessToken, judge
from hourpass.resource_server.jwks import FETCH_SECONDS, MAX_STALE_S, KeySet, KeysUnavailable

__all__ = ["AccessToken", "KeysUnavailable", "Verifier"]

MAX_TOKEN_LENGTH = 8192
_WAIT_SECONDS = FETCH_SECONDS + 1  # a fetch ends by itself before; name look-ups may not
_SPELLED = "Bearer "  # as nearly every client spells it
_TYPES = frozenset((ACCESS_TOKEN_TYPE, f"application/{ACCESS_TOKEN_TYPE}"))
_KEY_MATERIAL = frozenset(("jwk", "jku", "x5c", "x5u"))


class Verifier:
    """Verifies the access tokens of one issuer for one API, offline.

    Make one for a process and keep it: it holds the issuer's keys and the tokens that it has
    already verified. Safe for threads.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        jwks_uri: str | None = None,
        algorithms: Iterable[str] = tuple(Algorithm),
        max_stale_s: float = MAX_STALE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is fetched yet; ValueError for a setting that can verify nothing.

        `issuer` and `audience` are compared octet for octet with `iss` and `aud`. `jwks_uri`
        is found in the issuer's metadata (RFC 8414) unless it is given; it may be plain http to
        another machine, where the issuer may not. Keys that were to be fetched anew and cannot
        be are used for `max_stale_s` more, then all is KeysUnavailable: so long can a revoked
        key be honoured. `clock` gives epoch seconds.
        """
        if not _is_web_address(issuer):
            raise ValueError(
                f"issuer is no http or https URL: {issuer!r}; give the server's HOURPASS_ISSUER"
            )
        if jwks_uri is not None and not _is_web_address(jwks_uri):
            raise ValueError(f"jwks_uri is no http or https URL: {jwks_uri!r}")
        if jwks_uri is None and not _is_confidential(issuer):
            raise ValueError(
                f"issuer {issuer} is plain http: anybody on the way to it could exchange the keys;"
                " use https"
            )
        if not _is_text(audience):
            raise ValueError(
                f"audience is the identifier of the API in the catalogue, and not {audience!r}"
            )
        named = frozenset(algorithms)
        allowed = frozenset(each for each in Algorithm if each in named)
        if not allowed or allowed != named:
            raise ValueError(f"algorithms: name some of {', '.join(Algorithm)}, and no others")
        if not max_stale_s >= 0:
            raise ValueError("max_stale_s is no number of seconds")
        self.issuer = issuer
        self.audience = audience
        self._clock = clock
        self._keys = KeySet(issuer, jwks_uri, allowed, max_stale_s)

    def verify(self, token: str) -> AccessToken:
        """The access token in `token`, the credentials of a Bearer header.

        Raises InvalidToken (401), whatever `token` is, or KeysUnavailable (503) when the
        issuer's keys are needed and cannot be read. Waits, 6 s at most, only for keys that it
        does not hold: in a coroutine use `verify_async`.
        """
        known = self.recall(_SPELLED + token)
        if known is not None:
            return known
        steps = self._steps(token, self._clock())
        while True:
            try:
                fetch = next(steps)
            except StopIteration as end:
                return cast("AccessToken", end.value)
            fetch.wait(_WAIT_SECONDS)

    async def verify_async(self, token: str) -> AccessToken:
        """`verify`, without blocking the event loop while keys are fetched."""
        known = self.recall(_SPELLED + token)
        if known is not None:
            return known
        steps = self._steps(token, self._clock())
        while True:
            try:
                fetch = next(steps)
            except StopIteration as end:
                return cast("AccessToken", end.value)
            await fetch.wait_async(_WAIT_SECONDS)

    def recall(self, credentials: str) -> AccessToken | None:
        """The verdict that was made before on the token in these credentials, if there is one.

        `credentials` is the value of an Authorization header; None means that `verify` has to
        look at the token in it, be it unknown, malformed or spelled in an unusual way, or the keys
        too old. Raises InvalidToken for a token that has expired since.
        """
        # Between two requests the caches of the processor are cold and each call of a function
        # costs a multiple of what a loop measures, so everything is looked up right here.
        held = self._keys.held
        if held is None:
            return None
        verdict = held.memory.young.get(credentials) or held.memory.older(credentials)
        if verdict is None:
            return None
        now = self._clock()
        if not held.fresh_from <= now < held.stale_at and self._keys.current(now) is not held:
            return None  # the verdict of keys that are too old, or have just been replaced
        if now >= verdict[0]:
            raise InvalidToken("the access token has expired; request a new one", detail="exp")
        return verdict[1]

    def _steps(self, token: str, now: float) -> Generator[Flight, None, AccessToken]:
        """The check, once for threads and coroutines: it yields what has to be waited for."""
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise InvalidToken(_MALFORMED, detail="too long, or not ASCII")
        try:
            header, kid = read_header(token)
        except BadSignature as fault:
            raise InvalidToken(_MALFORMED, detail=str(fault)) from fault
        _check_header(header)

        held = self._keys.current(now)
        if held is None or kid not in held.keys:
            fetch = self._keys.fetch(now, kid)
            if fetch is not None:
                yield fetch
                now = self._clock()  # the token may have expired in the meantime
            held = self._keys.current(now)
        if held is None or (kid not in held.keys and self._keys.fault is not None):
            raise KeysUnavailable(detail=self._keys.fault or "the fetch takes too long")

        try:
            signed = held.keys.verify(token)
        except BadSignature as fault:
            raise InvalidToken(
                "the access token is not signed with a key of its issuer",
                detail=f"{type(fault).__name__}: {ascii(str(fault))[:200]}",
            ) from fault
        verified = judge(
            signed.payload, issuer=self.issuer, audience=self.audience, key_id=kid, now=now
        )
        held.memory.put(_SPELLED + token, (verified.claims["exp"], verified))
        return verified


_MALFORMED = "the access token is malformed"


def _check_header(header: Mapping[str, object]) -> None:
    """RFC 9068 section 4 (`typ`); RFC 8725 section 3.10 (no orders from the token)."""
    typ = header.get("typ")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        description = "the token is no access token; send the access_token that you were given"
        raise InvalidToken(description, detail=f"typ is {ascii(typ)[:200]}")
    if not _KEY_MATERIAL.isdisjoint(header):
        raise InvalidToken(_MALFORMED, detail="the token brings or names a key of its own")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_web_address(url: object) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment


def _is_confidential(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")
