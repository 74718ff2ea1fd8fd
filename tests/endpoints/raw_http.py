"""Token requests over a bare socket: for what no well-behaved client library would send."""

from support import raw_http
from support.installation import Credentials, Server
from support.raw_http import RawAnswer

__all__ = ["Connection", "RawAnswer", "form_of", "token_head", "token_request"]


class Connection(raw_http.Connection):
    """One TCP connection to a running Hourpass server."""

    def __init__(self, server: Server, timeout_s: float = 15) -> None:
        super().__init__(server.installation.port, timeout_s)


def form_of(credentials: Credentials) -> bytes:
    """The plainest token request's body."""
    return (
        "grant_type=client_credentials"
        f"&client_id={credentials.client_id}&client_secret={credentials.secret}"
    ).encode("ascii")


def token_head(*lines: str, version: str = "1.1") -> bytes:
    """The head of a token request with a form, up to the empty line."""
    head = [
        f"POST /token HTTP/{version}",
        "Host: localhost",
        "Content-Type: application/x-www-form-urlencoded",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def token_request(credentials: Credentials, *lines: str, version: str = "1.1") -> bytes:
    """A whole token request."""
    body = form_of(credentials)
    return token_head(*lines, f"Content-Length: {len(body)}", version=version) + body
