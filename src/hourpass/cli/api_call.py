"""`hourpass call`: one request to an API with an access token, and what is shown of it."""

import http
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hourpass import fetch
from hourpass.client import TokenSource
from hourpass.client.addresses import is_confidential
from hourpass.client.challenge import says_invalid_token

MAX_BODY = 64 * 1024 * 1024
_METHOD = re.compile(r"[A-Z]{1,20}")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): *([\x20-\x7e\t]*)")
_OURS = {"authorization", "host", "content-length", "transfer-encoding", "connection"}
_CONFIDENTIAL = re.compile(r"auth|cookie|key|token|secret|password", re.IGNORECASE)
_SHOWN = 500


class ApiUnreachable(Exception):
    """The API gave no answer within its bounds; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send, but for the token."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request, the token it went with, and its answer."""

    request: Request
    access_token: str = field(repr=False)
    scope: str | None
    answer: fetch.Answer


def prepare(
    method: str, url: str, headers: Sequence[str], data: str | None, *, allow_http: bool
) -> Request:
    """The request as the command line describes it; ValueError says what is wrong with that.

    Each header is `Name: value`. `data` is the body, `@FILE` or `@-`.
    """
    method = method.upper()
    if _METHOD.fullmatch(method) is None:
        raise ValueError("the method is a word such as GET or POST")
    try:
        confidential = is_confidential(url)
    except ValueError:
        raise ValueError(f"this is no http or https URL: {ascii(url)[:200]}") from None
    if not (confidential or allow_http):
        raise ValueError("the token would travel in clear: use https, or --allow-http")
    named = dict(_header(line) for line in headers)
    body = None if data is None else _body(data)
    if body is not None and not any(name.lower() == "content-type" for name in named):
        named["Content-Type"] = "application/json"
    return Request(method=method, url=url, headers=named, body=body)


def send(request: Request, source: TokenSource, *, timeout_s: float) -> Exchange:
    """Call the API; a token that it does not take any more is replaced once.

    Raises TokenError or ApiUnreachable.
    """
    exchange = _send(request, source, timeout_s)
    challenges = exchange.answer.headers.get("WWW-Authenticate", "")
    if (
        exchange.answer.status == 401
        and says_invalid_token(challenges)
        and source.reject(exchange.access_token)
    ):
        return _send(request, source, timeout_s)
    return exchange


def transcript(exchange: Exchange) -> Iterator[str]:
    """Both sides' headers, a line each, without a secret and without a whole token."""
    request, answer = exchange.request, exchange.answer
    yield f"> {request.method} {request.url}"
    scope = "" if exchange.scope is None else f" (scope {exchange.scope})"
    yield f"> Authorization: Bearer {exchange.access_token[:3]}…{scope}"
    for name, value in request.headers.items():
        yield f"> {_line(exchange, name, value)}"
    yield f"< {answer.status} {_phrase(answer.status)}"
    for name, value in answer.headers.items():
        yield f"< {_line(exchange, name, value)}"


def error_line(exchange: Exchange) -> str:
    """The API's own words about a refusal, on one line of at most 500 characters."""
    answer = exchange.answer
    if 300 <= answer.status < 400:
        to = answer.headers.get("Location", "nowhere")
        return _without_token(exchange, f"{answer.status}: it redirects to {to}")[:_SHOWN]
    return _without_token(exchange, f"{answer.status} {_words(answer)}")[:_SHOWN]


def _send(request: Request, source: TokenSource, timeout_s: float) -> Exchange:
    held = source.current()
    try:
        answer = fetch.fetch(
            request.method,
            request.url,
            deadline=time.monotonic() + timeout_s,
            headers={
                "User-Agent": "hourpass",
                **request.headers,
                "Authorization": f"Bearer {held.access_token}",
            },
            body=request.body,
            max_body=MAX_BODY,
        )
    except fetch.AnswerTooLong:
        raise ApiUnreachable(f"{request.url} sends more than 64 MiB") from None
    except fetch.FetchFailed as fault:
        raise ApiUnreachable(f"{request.url} cannot be reached ({fault.why})") from None
    return Exchange(
        request=request, access_token=held.access_token, scope=held.scope, answer=answer
    )


def _header(line: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(line)
    if match is None:
        raise ValueError("a header is written 'Name: value'")
    if match[1].lower() in _OURS:
        raise ValueError(f"the header {match[1]} is set by this command")
    return match[1], match[2]


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode("utf-8", "surrogateescape")
    if data == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as fault:
        raise ValueError(f"{data[1:]} cannot be read: {fault.strerror}") from None


def _line(exchange: Exchange, name: str, value: str) -> str:
    # A challenge has no secret in it, and says why a call was refused.
    if name.lower() != "www-authenticate" and _CONFIDENTIAL.search(name):
        return f"{name}: …"
    return _without_token(exchange, f"{name}: {value}")


def _without_token(exchange: Exchange, text: str) -> str:
    return text.replace(exchange.access_token, "…")


def _words(answer: fetch.Answer) -> str:
    """What a body says of an error: RFC 6750 and OAuth, RFC 9457, and what frameworks do."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        found = [
            body[name]
            for names in (("error", "title"), ("error_description", "detail", "message"))
            for name in names
            if isinstance(body.get(name), str)
        ]
        if found:
            return ": ".join(found)
    return _phrase(answer.status)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "(no standard status)"
