"""`POST /leaks`: whoever found a client secret where it should not be reports it here.

The answer is the same whether the secret is live, old, unknown or none at all: nobody learns from
it which. Only what was not done is told: too many reports, or no database.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hourpass.limits import Limiter, Rule
from hourpass.oauth import strict_json
from hourpass.oauth.errors import TemporarilyUnavailable
from hourpass.server.audit.events import Actor, Origin
from hourpass.server.clients import lifecycle
from hourpass.server.clients.secrets import Secret, is_well_formed
from hourpass.server.db.engine import Database, DatabaseUnavailable
from hourpass.server.endpoints.gate import Gate
from hourpass.server.endpoints.http import (
    JSON,
    NO_STORE,
    Answer,
    Networks,
    Receive,
    Scope,
    Send,
    caller_address,
    json_bytes,
    serve_post,
)
from hourpass.server.keys.keyring import Keyring
from hourpass.server.rights import FULL
from hourpass.server.tokens.refusals import address_block

MAX_BODY = 16 * 1024
SLOTS = 2
PER_ADDRESS = 10
PER_PROCESS = 1000  # a minute: also bounds how many addresses are kept in mind
_ACCEPTED = Answer(202, [JSON, *NO_STORE], b"{}")
_REPORTER = Actor("system", "leaks", "Leak report")


@dataclass(frozen=True, slots=True)
class _Report:
    secret: Secret
    url: str | None


class LeaksEndpoint:
    """Takes reports of leaked secrets."""

    def __init__(
        self,
        database: Database,
        keyring: Callable[[], Keyring],
        trusted_proxies: Networks,
        *,
        suspend: bool,
    ) -> None:
        """`keyring` opens the keys; it may block. `suspend`: else a report is only recorded."""
        self._database = database
        self._keyring = keyring
        self._trusted = tuple(trusted_proxies)
        self._suspend = suspend
        self._limiter = Limiter()
        self._gate = Gate(SLOTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One report, to its answer."""
        await serve_post(scope, receive, send, MAX_BODY, self._take)

    async def _take(self, scope: Scope, body: bytes, request_id: str) -> Answer:
        ip = caller_address(scope, self._trusted)
        too_many = self._too_many(ip)
        if too_many is not None:
            return too_many
        report = _read(body)
        if report is not None:
            by = Origin(actor=_REPORTER, rights=FULL, request_id=request_id, ip=ip or None)
            try:
                await self._gate.through(partial(asyncio.to_thread, self._act, report, by))
            except DatabaseUnavailable as fault:
                raise TemporarilyUnavailable from fault
        return _ACCEPTED

    def _act(self, report: _Report, by: Origin) -> None:
        lifecycle.report_leak(
            self._database,
            self._keyring(),
            report.secret,
            by,
            url=report.url,
            suspend=self._suspend,
        )

    def _too_many(self, ip: str) -> Answer | None:
        """The refusal of an address that reports more than a person can find."""
        verdict = self._limiter.take(
            (
                Rule(policy="address", per_minute=PER_ADDRESS, key=("leaks", address_block(ip))),
                Rule(policy="process", per_minute=PER_PROCESS, key=("leaks",)),
            )
        )
        if verdict.allowed:
            return None
        body = {
            "error": "rate_limited",
            "error_description": "too many reports in this minute; this one was not taken",
        }
        wait = (b"retry-after", str(verdict.retry_after).encode("ascii"))
        return Answer(429, [JSON, *NO_STORE, wait], json_bytes(body))


def _read(body: bytes) -> _Report | None:
    """The report in a JSON object; None for whatever holds no well-formed secret."""
    try:
        members = strict_json.loads(body)
    except ValueError:
        return None
    if not isinstance(members, dict) or not isinstance(members.get("secret"), str):
        return None
    secret, url = Secret(members["secret"].strip()), members.get("url")
    if not is_well_formed(secret):
        return None
    return _Report(secret, url if isinstance(url, str) else None)
