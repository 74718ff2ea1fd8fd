"""Reading a request within bounds, and turning answers and refusals into bytes: in one place."""

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from hourpass.oauth.errors import (
    InvalidClient,
    MethodNotAllowed,
    OAuthError,
    RequestTimeout,
    RequestTooLarge,
    TemporarilyUnavailable,
    TooManyAttempts,
)
from hourpass.server.request_ids import new_request_id

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
Networks = Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]

BODY_TIMEOUT_S = 10.0
MAX_HOPS = 32  # of X-Forwarded-For: 8 KiB of trusted ones cost the event loop milliseconds
# An extension of the ASGI scope: write(status, head, more headers, body) → whether it did.
WRITE_WHOLE = "hourpass.write_whole"
# Another: gives an asyncio.Event that is set when the server begins to end.
ENDING = "hourpass.ending"
# In the ASGI scope: the status of the answer, where `respond` had the scope; the OAuthError that
# was the answer; the template of the route below a mount.
STATUS = "hourpass.status"
REFUSED = "hourpass.refused"
ROUTE = "hourpass.route"
_compact = json.JSONEncoder(separators=(",", ":")).encode  # `json.dumps` would make one each time

JSON = (b"content-type", b"application/json")
NO_STORE: Headers = (
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
)
_CHALLENGE = (b"www-authenticate", b'Basic realm="hourpass", charset="UTF-8"')


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes = b""
    head: bytes = b""
    """The headers as they are written, for `respond` in one piece; empty: joined when needed."""


def joined(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they are written."""
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers)


async def read_body(receive: Receive, limit: int) -> bytes:
    """The body, at most `limit` octets, within ten seconds.

    Raises RequestTooLarge without reading on, RequestTimeout, and ConnectionError when the
    caller went away.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise RequestTooLarge
        return body
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read_parts(message, receive, limit)
    except TimeoutError:
        raise RequestTimeout from None


async def _read_parts(message: MutableMapping[str, Any], receive: Receive, limit: int) -> bytes:
    parts = bytearray()
    while True:
        if message["type"] != "http.request":
            raise ConnectionError("the caller went away")
        parts += message.get("body", b"")
        if len(parts) > limit:
            raise RequestTooLarge
        if not message.get("more_body"):
            return bytes(parts)
        message = await receive()


async def respond(
    send: Send, answer: Answer, *extra: tuple[bytes, bytes], scope: Scope | None = None
) -> None:
    """Send an answer whole.

    With `scope`, in one piece where the server can do that: one system call and one packet less.
    Only for answers whose headers are our own words.
    """
    if answer.status != 304:  # its length would have to be that of the body it leaves out
        extra = ((b"content-length", b"%d" % len(answer.body)), *extra)
    if scope is not None:
        scope[STATUS] = answer.status
        write = scope.get("extensions", {}).get(WRITE_WHOLE)
        if write is not None and write(
            answer.status, answer.head or joined(answer.headers), extra, answer.body
        ):
            return
    headers = [*answer.headers, *extra]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def serve_post(
    scope: Scope,
    receive: Receive,
    send: Send,
    limit: int,
    answer: Callable[[Scope, bytes, str], Awaitable[Answer]],
) -> None:
    """One POST, to its answer: `answer` gets the scope, the body and a request ID.

    What it raises of OAuthError is the answer, too. `limit` is of the body, in octets.
    """
    request_id = new_request_id()
    try:
        if scope["method"] != "POST":
            raise MethodNotAllowed
        reply = await answer(scope, await read_body(receive, limit), request_id)
    except OAuthError as refused:
        scope[REFUSED] = refused.bare()
        reply = refusal(refused)
    except ConnectionError:
        return
    await respond(send, reply, (b"x-request-id", request_id.encode("ascii")), scope=scope)


def refusal(error: OAuthError) -> Answer:
    """The bytes of a refusal (RFC 6749 section 5.2). Its private detail is not among them."""
    members = {"error": error.code, "error_description": error.description}
    if error.reason is not None:
        members["reason"] = error.reason
    headers = [JSON, *NO_STORE]
    if isinstance(error, InvalidClient):
        headers.append(_CHALLENGE)
    elif isinstance(error, MethodNotAllowed):
        headers.append((b"allow", b"POST"))
    elif isinstance(error, RequestTooLarge | RequestTimeout):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    elif isinstance(error, TemporarilyUnavailable):
        headers.append((b"retry-after", b"1"))
    elif isinstance(error, TooManyAttempts):
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    return Answer(error.status, headers, json_bytes(members))


def json_bytes(value: object) -> bytes:
    """Compact ASCII JSON."""
    return _compact(value).encode("ascii")


def not_found() -> Answer:
    """There is no such route."""
    body = {"error": "not_found", "error_description": "there is nothing at this address"}
    return Answer(404, [JSON, *NO_STORE], json_bytes(body))


def method_not_allowed(*allowed: str) -> Answer:
    """The route is there, for other methods."""
    names = ", ".join(allowed)
    body = {"error": "invalid_request", "error_description": f"this address answers to {names}"}
    return Answer(405, [JSON, *NO_STORE, (b"allow", names.encode("ascii"))], json_bytes(body))


def all_of(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of a header, in the order received; `name` in lower case."""
    return [value for key, value in headers if key == name]


def caller_address(scope: Mapping[str, Any], trusted: Networks) -> str:
    """The caller's IP address.

    The peer's, unless the peer is a trusted proxy: then the last address in X-Forwarded-For
    that no trusted proxy wrote, of the last `MAX_HOPS`. Used for audit and limits only, never to
    decide who may.
    """
    client = scope.get("client")
    peer = client[0] if client else ""
    networks = tuple(trusted)
    if not networks or not _is_in(peer, networks):
        return peer
    forwarded = b",".join(all_of(scope["headers"], b"x-forwarded-for"))
    for hop in reversed(forwarded.decode("latin-1").rsplit(",", MAX_HOPS)):
        address = _address(hop.strip())
        if address is None:
            return peer
        if not _is_in(address, networks):
            return address
        peer = address
    return peer


def _address(text: str) -> str | None:
    if "%" in text:  # what follows it, a zone, can be any text
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _is_in(address: str, networks: Networks) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks if network.version == parsed.version)
