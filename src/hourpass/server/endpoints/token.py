"""`POST /token`: client credentials in, a one-hour access token out (RFC 6749 section 4.4).

    read the body ─▶ join the next commit, which parses, decides, records ─▶ answer

Every refusal goes through the commit loop as well, so that the first of a minute is on record
before it is answered, and a made-up client takes the same way as a real one.
"""

from typing import Protocol

from hourpass.server.endpoints.http import (
    JSON,
    NO_STORE,
    REFUSED,
    Answer,
    Networks,
    Receive,
    Scope,
    Send,
    all_of,
    caller_address,
    joined,
    refusal,
    serve_post,
)
from hourpass.server.tokens import authenticate
from hourpass.server.tokens.commit import Joined
from hourpass.server.tokens.exchange import Refused
from hourpass.server.tokens.failures import FailureBudgets

_HEADERS = [JSON, *NO_STORE]
_HEAD = joined(_HEADERS)


class Commits(Protocol):
    """What a token request joins: `tokens.commit.CommitLoop`, or something around it."""

    async def join(self, joined: authenticate.RawRequest | Joined) -> bytes | Refused:
        """The outcome, once it is durable."""


class TokenEndpoint:
    """The token endpoint of one issuer."""

    def __init__(self, loop: Commits, failures: FailureBudgets, trusted_proxies: Networks) -> None:
        """`loop` signs, too: what it gives for a good request is the body of the answer."""
        self._loop = loop
        self._failures = failures
        self._trusted = tuple(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One token request, to its answer."""
        await serve_post(scope, receive, send, authenticate.MAX_BODY, self._exchange)

    async def _exchange(self, scope: Scope, body: bytes, request_id: str) -> Answer:
        ip = caller_address(scope, self._trusted)
        outcome = await self._loop.join(raw_request(scope, body, request_id, ip))
        if isinstance(outcome, Refused):
            # Not raised: its frames would hold the outcome again.
            scope[REFUSED] = error = self._failures.answer_to(outcome)
            return refusal(error)
        return Answer(200, _HEADERS, outcome, _HEAD)


def raw_request(scope: Scope, body: bytes, request_id: str, ip: str) -> authenticate.RawRequest:
    """A request with client credentials, as it arrived."""
    headers = scope["headers"]
    return authenticate.RawRequest(
        content_type=b", ".join(all_of(headers, b"content-type")),
        authorization=all_of(headers, b"authorization"),
        query=scope["query_string"],
        body=body,
        request_id=request_id,
        ip=ip,
    )
