"""How calls travel: httpx's words for ours, and back; for threads and coroutines alike."""

from typing import Any

import httpx

from hourpass.client.httpx import TokenAuth
from hourpass.client.management.calls import Answer, Call
from hourpass.client.management.model import Unavailable
from hourpass.client.token_source import TokenSource

TIMEOUT_S = 30.0


def settings(issuer: str, source: TokenSource | None) -> dict[str, Any]:
    """Of an httpx client; without a source, one that is made from the environment."""
    base = f"{issuer}/api/v1"
    if source is None:
        source = TokenSource(issuer=issuer, resource=base)
    auth = TokenAuth(source, origins=[issuer])
    return {"base_url": base, "auth": auth, "timeout": TIMEOUT_S}


def request_of(call: Call[Any]) -> dict[str, Any]:
    """The arguments of httpx's `request`."""
    request: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": call.query or None,
        "headers": {**call.headers, "Accept": "application/json"},
    }
    if call.body is not None:
        request["json"] = call.body
    return request


def answer_of(response: httpx.Response) -> Answer:
    """What `Call.result` reads."""
    return Answer(status=response.status_code, headers=response.headers, body=response.content)


def no_answer(fault: httpx.HTTPError) -> Unavailable:
    """Of a request that brought nothing; httpx's text may name a proxy's password."""
    return Unavailable(
        f"the management API did not answer ({type(fault).__name__}): check the issuer, or look"
        " later whether it was done",
        status=503,
    )
