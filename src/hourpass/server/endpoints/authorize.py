"""The authorization endpoint: there because SDKs want its address, to say that it does nothing."""

import html

from hourpass.oauth.errors import UnsupportedResponseType
from hourpass.server.endpoints.http import (
    Answer,
    Receive,
    Scope,
    Send,
    json_bytes,
    method_not_allowed,
    respond,
)

_PAGE = """<!doctype html>
<html lang="en">
<title>This server signs in machines</title>
<h1>This server signs in machines, not people</h1>
<p>{description}. There is no sign-in page to send a browser to.
<p>An integration asks <code>POST {token_endpoint}</code> for an access token with its client ID
and secret (OAuth 2.0 client credentials).
<p><code>error: {code}</code>
"""


class AuthorizeEndpoint:
    """Always 400 `unsupported_response_type` (RFC 6749 section 4.1.2.1); redirects nowhere."""

    def __init__(self, issuer: str) -> None:
        error = UnsupportedResponseType()
        page = _PAGE.format(
            description=html.escape(error.description.capitalize()),
            token_endpoint=html.escape(f"{issuer}/token"),
            code=error.code,
        )
        headers = [
            (b"cache-control", b"no-store"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
            (b"x-content-type-options", b"nosniff"),
        ]
        body = json_bytes({"error": error.code, "error_description": error.description})
        self._json = Answer(400, [*headers, (b"content-type", b"application/json")], body)
        html_type = (b"content-type", b"text/html; charset=utf-8")
        self._html = Answer(400, [*headers, html_type], page.encode("utf-8"))

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """A page for browsers, JSON for programs."""
        if scope["method"] not in ("GET", "HEAD", "POST"):
            await respond(send, method_not_allowed("GET", "HEAD", "POST"))
            return
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        await respond(send, self._html if b"text/html" in accept else self._json)
