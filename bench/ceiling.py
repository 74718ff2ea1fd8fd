"""The ceiling: the same HTTP server, parsing, signature and answer, with no storage at all.

Every well-formed request gets a token: nothing is looked up, decided or recorded.
"""

import secrets
import sys
from datetime import UTC, datetime

from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.server import http_server
from hourpass.server.audit.events import SYSTEM
from hourpass.server.clients.model import Client
from hourpass.server.endpoints.http import Receive, Scope, Send
from hourpass.server.endpoints.token import TokenEndpoint
from hourpass.server.tokens.authenticate import RawRequest
from hourpass.server.tokens.exchange import Granted, Issued, Refused, read
from hourpass.server.tokens.failures import FailureBudgets
from hourpass.server.tokens.issue import TokenWriter

_GRANTED = Granted("bookings:read customers:read", '"https://api.example.com"')
_SIGNER = PrivateKey.generate(Algorithm.ES256)
_NOW = datetime.now(UTC)


class _NoStorage:
    """Stands where the commit loop stands; decides nothing and signs at once."""

    def __init__(self, issuer: str) -> None:
        self._writer = TokenWriter(issuer)

    async def join(self, raw: RawRequest) -> bytes | Refused:
        """A token for every well-formed request."""
        joined = read(raw)
        if isinstance(joined, Refused):
            return joined
        client = Client(
            client_id=joined.client_id,
            organization="default",
            name="",
            description="",
            scopes=frozenset(),
            credentials=(),
            created_at=_NOW,
            created_by=SYSTEM,
        )
        jti = secrets.token_urlsafe(16)
        now = datetime.now(UTC)
        issued = Issued(
            joined.request_id, client, _GRANTED, jti, _SIGNER, now, joined.ip, joined.method
        )
        return self._writer.answer(issued)


def main(port: int) -> None:
    """Serve until told to stop."""
    storage = _NoStorage(f"http://localhost:{port}")
    endpoint = TokenEndpoint(storage, FailureBudgets(), ())  # type: ignore[arg-type]  # the part of a commit loop that it uses

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await endpoint(scope, receive, send)
            return
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    listener = http_server.listen("127.0.0.1", port)
    http_server.run(app, listener, certificate=None, key=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
