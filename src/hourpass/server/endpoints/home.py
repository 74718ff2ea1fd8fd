"""The server's own address in a browser: on to the admin UI."""

from hourpass.server.endpoints.http import Answer, Receive, Scope, Send, method_not_allowed, respond


class HomeEndpoint:
    """GET leads to `/admin/`."""

    def __init__(self, root: str) -> None:
        """`root` is the path of the issuer."""
        location = f"{root}/admin/".encode("ascii")
        self._answer = Answer(303, [(b"location", location), (b"cache-control", b"no-store")])

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """One request, to its answer."""
        is_get = scope["method"] in ("GET", "HEAD")
        await respond(send, self._answer if is_get else method_not_allowed("GET", "HEAD"))
