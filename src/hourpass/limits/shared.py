"""Windows in Valkey or Redis, which all processes count in: one limit for all of them.

One script does for a request what `memory.py` does under its lock, so no other process can come
between the test and the count. All requests that wait share a round trip.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from hourpass.limits.rules import WINDOW_SECONDS, Rule, Verdict

SOCKET_SECONDS = 0.4
_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "unix",
    "redis+unix": "unix",
    "valkey+unix": "unix",
}
# Others could undo the time-outs below.
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
_LONGEST_PART = 100
_TAKE = """
local window, allowed, stands = tonumber(ARGV[#ARGV]), 1, {}
for i, key in ipairs(KEYS) do
  local used, left = tonumber(redis.call('GET', key) or 0), redis.call('PTTL', key)
  if left <= 0 then used, left = 0, 0 end
  if used >= tonumber(ARGV[i]) then allowed = 0 end
  stands[i] = {used, left}
end
for i, key in ipairs(KEYS) do
  local stand = stands[i]
  if allowed == 1 then
    stand[1] = stand[1] + 1
    if stand[2] == 0 then
      stand[2] = window
      redis.call('SET', key, 1, 'PX', window)
    else
      redis.call('INCR', key)
    end
  elseif stand[2] == 0 then
    stand[2] = window
  end
end
return {allowed, stands}
"""
_SCRIPT_ID = sha1(_TAKE.encode("ascii"), usedforsecurity=False).hexdigest()


class StoreAway(Exception):
    """The store gave no answer that can be used; says why, without any credentials."""


def problem_with(url: str) -> str | None:
    """Why this cannot be the address of a store, without repeating it; None when it can."""
    try:
        parts = urlsplit(url)
        port = parts.port
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        return "give redis://<host>:<port>/<number>"
    if parts.scheme not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        return f"give an address that begins with one of {known}"
    kind = _SCHEMES[parts.scheme]
    if kind == "unix" and (parts.netloc.rpartition("@")[2] or not parts.path.strip("/")):
        return f"give {parts.scheme}:///path/to/the.sock"
    if kind != "unix" and (not parts.hostname or port == 0):
        return f"give {parts.scheme}://<host>:<port>/<number>"
    number = options.pop("db", ["0"])[0] if kind == "unix" else parts.path.strip("/") or "0"
    if not (number.isascii() and number.isdigit()):
        return "the number of the database has to be one, such as 0"
    unknown = options.keys() - (_TLS_OPTIONS if kind == "rediss" else frozenset())
    if unknown or parts.fragment:
        tls, names = "rediss:// and valkeys://", ", ".join(sorted(_TLS_OPTIONS))
        return f"the only options are those of {tls}: {names}"
    if options.get("ssl_cert_reqs", ["required"])[0] not in ("none", "optional", "required"):
        return "ssl_cert_reqs has to be none, optional or required"
    return None


class SharedWindows:
    """Counts for any number of keys in one store; safe to use from many threads."""

    def __init__(self, url: str) -> None:
        """Connects with the first request. Raises ValueError for an unusable URL.

        Needs the package `redis` (`hourpass[limits]`), which speaks to Valkey alike.
        """
        problem = problem_with(url)
        if problem is not None:
            raise ValueError(f"the limits' store: {problem}")
        try:
            import redis
            import redis.exceptions
        except ImportError:
            raise ValueError(
                "limits in a store need the package redis: pip install 'hourpass[limits]'"
            ) from None
        scheme, _, rest = url.partition("://")
        # Nothing is tried again: whoever asks goes on in memory instead.
        self._pool: Any = redis.ConnectionPool.from_url(
            f"{_SCHEMES[scheme]}://{rest}",
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            retry_on_error=[],
            protocol=2,
        )
        self._client: Any = redis.Redis(connection_pool=self._pool)
        self._unknown_script = redis.exceptions.NoScriptError

    def take(self, requests: Sequence[Sequence[Rule]]) -> list[Verdict | StoreAway]:
        """Count each request by all of its rules if all allow it, else by none; in order.

        What the store says of one request is that one's; raises StoreAway when it says nothing.
        """
        try:
            answers = self._run(requests)
            again = [at for at, it in enumerate(answers) if isinstance(it, self._unknown_script)]
            if again:  # the store was started anew, or is another one
                self._client.script_load(_TAKE)
                rest = self._run([requests[at] for at in again])
                for at, answer in zip(again, rest, strict=True):
                    answers[at] = answer
        except Exception as fault:  # a fault of the store, of whatever kind, fails no request
            # Those that wait in the pool lead to where it was: the next request looks anew.
            self._pool.disconnect(inuse_connections=False)
            raise _away(fault) from fault
        return [_verdict(*pair) for pair in zip(requests, answers, strict=True)]

    def _run(self, requests: Sequence[Sequence[Rule]]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for rules in requests:
            keys = [store_key(rule.key) for rule in rules]
            limits = [rule.per_minute for rule in rules]
            pipeline.evalsha(_SCRIPT_ID, len(keys), *keys, *limits, WINDOW_SECONDS * 1000)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def close(self) -> None:
        """Give the connections back."""
        self._pool.disconnect()


def _verdict(rules: Sequence[Rule], answer: Any) -> Verdict | StoreAway:
    if isinstance(answer, Exception):
        return _away(answer)
    try:
        allowed, stands = answer
        used = tuple(int(count) for count, _ in stands)
        left = tuple(int(milliseconds) / 1000 for _, milliseconds in stands)
    except (TypeError, ValueError) as fault:
        return _away(fault)
    if len(used) != len(rules):
        return StoreAway("it answers something else")
    return Verdict(tuple(rules), allowed == 1, used, left)


def _away(fault: Exception) -> StoreAway:
    return StoreAway(f"{type(fault).__name__}: {ascii(str(fault))[1:160]}")


def store_key(key: Sequence[str]) -> str:
    """One text for the parts of a rule's key, in which nothing of them has a meaning.

    The braces keep a client's keys on one node of a cluster.
    """
    audience, client_id, *rest = (_part(part) for part in key)
    return ":".join(("hourpass:limit", f"{{{audience}:{client_id}}}", *rest))


@lru_cache(maxsize=4096)
def _part(text: str) -> str:
    """Escaped; a long one is told by its digest."""
    escaped = quote(text, safe="", errors="surrogatepass")
    if len(escaped) <= _LONGEST_PART:
        return escaped
    return "sha256=" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
