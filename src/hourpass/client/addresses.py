"""Which addresses secrets and tokens may be sent to."""

import threading
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from hourpass.client.errors import BadConfiguration
from hourpass.oauth.loopback import is_loopback

_DEFAULT_PORTS = {"http": 80, "https": 443}
_Origin = tuple[str, str, int]


class Origins:
    """The origins (scheme, host, port) that a token may be sent to.

    Those that are named, else the one of the first request: a program that calls two APIs with
    one token says so, and one that follows a link to a stranger tells it nothing.
    """

    def __init__(self, named: Iterable[str] | None = None) -> None:
        """`named` are URLs; a plain http one is good, since it was chosen.

        Raises BadConfiguration for what is no http or https URL.
        """
        self._lock = threading.Lock()
        self._allowed: frozenset[_Origin] | None = None
        if named is not None:
            if isinstance(named, str):
                named = (named,)
            self._allowed = frozenset(map(_named, named))

    def allow(self, scheme: str, host: str, port: int | None) -> bool:
        """Whether the token goes there; a port of None is the scheme's own.

        Raises BadConfiguration when the first request would send it in clear.
        """
        asked = (scheme, host.lower().strip("[]"), port or _DEFAULT_PORTS.get(scheme, 0))
        allowed = self._allowed
        if allowed is not None:
            return asked in allowed
        if scheme != "https" and not (scheme == "http" and is_loopback(asked[1])):
            raise BadConfiguration(
                f"the token would be sent to {host} in clear: use https, or name the address in"
                " `origins`"
            )
        with self._lock:
            if self._allowed is None:
                self._allowed = frozenset((asked,))
            return asked in self._allowed

    def allow_url(self, url: str) -> bool:
        """The same for a URL."""
        parts = urlsplit(url)
        return self.allow(parts.scheme, parts.hostname or "", parts.port)


def is_confidential(url: str) -> bool:
    """Whether nobody on the way can read what is sent there: https, or this very machine.

    ValueError for what is no http or https URL.
    """
    parts = _split(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _named(url: str) -> _Origin:
    try:
        parts = _split(url)
    except ValueError:
        raise BadConfiguration(f"origins: no http or https URL: {ascii(url)[:200]}") from None
    return (parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])


def _split(url: str) -> SplitResult:
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise ValueError("not an http or https URL")
    parts = urlsplit(url)
    parts.port  # noqa: B018  (raises for a port that is none)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an http or https URL")
    return parts
