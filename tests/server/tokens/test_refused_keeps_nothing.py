"""A refusal outlives its request: it must not keep that, nor the secret in it."""

import asyncio
from typing import Any, cast

from decisions import FACTS, NOW, REQUEST
from token_requests import Octets

from hourpass.limits import Limiter
from hourpass.oauth.errors import OAuthError, Overloaded
from hourpass.server.endpoints.http import REFUSED, Answer, Scope, serve_post
from hourpass.server.endpoints.inquiry import InquiryEndpoint, introspection
from hourpass.server.endpoints.verify import VerifyEndpoint
from hourpass.server.tokens.commit import CommitLoop
from hourpass.server.tokens.exchange import Refused, exchange, read
from hourpass.server.tokens.failures import FailureBudgets
from hourpass.server.tokens.live import LiveChecks

NEVER_ASKED = cast("LiveChecks", None)


class Recorded:
    """Takes what is to be on record."""

    async def join(self, _: Refused) -> bytes:
        """At once."""
        return b""


def post(path: str, query: bytes = b"") -> Scope:
    """A POST without credentials."""
    form = (b"content-type", b"application/x-www-form-urlencoded")
    of = {"type": "http", "method": "POST", "path": path, "query_string": query}
    return {**of, "client": ("192.0.2.1", 1), "headers": [form]}


async def receive() -> dict[str, Any]:
    """The body."""
    return {"type": "http.request", "body": b"token=a", "more_body": False}


async def send(_: object) -> None:
    """To nobody."""


def holds_nothing(error: OAuthError) -> bool:
    """Neither frames nor another error, which would have frames."""
    return (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


def test_a_refusal_holds_no_frame_of_where_it_was_raised() -> None:
    """Frames hold the request and the whole batch, in circles that only the collector ends."""
    for outcome in (exchange(REQUEST, None, FACTS, NOW), read(Octets(b"%").raw())):
        assert isinstance(outcome, Refused)
        assert holds_nothing(outcome.error)


def test_nor_does_one_of_an_endpoint() -> None:
    """What a request's scope keeps for metrics and traces: no credentials, no place, no API."""
    inquiry = InquiryEndpoint(
        NEVER_ASKED,
        cast("CommitLoop[bytes]", Recorded()),
        FailureBudgets(),
        (),
        name="introspect",
        answer=introspection("https://auth.example"),
    )
    verify = VerifyEndpoint(NEVER_ASKED, Limiter(None), "")

    async def shed(_scope: Scope, _body: bytes, _request_id: str) -> Answer:
        try:
            raise TimeoutError
        except TimeoutError as fault:
            raise Overloaded from fault

    async def main() -> list[Scope]:
        scopes = [post("/introspect"), post("/token"), post("/verify", b"api=a&api=b")]
        await inquiry(scopes[0], receive, send)
        await serve_post(scopes[1], receive, send, 100, shed)
        await verify(scopes[2], receive, send)
        return scopes

    for scope in asyncio.run(main()):
        assert holds_nothing(scope[REFUSED]), scope["path"]
