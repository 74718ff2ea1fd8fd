"""A bug of ours is in the metrics, wherever it is met."""

import asyncio
from typing import Any

from hourpass.server.app import App
from hourpass.server.endpoints.http import Scope
from hourpass.server.routes import Routes
from hourpass.server.watched import Responses, Watched
from support.installation import Installation


def test_a_500_of_a_hot_route_is_counted(sqlite_installation: Installation) -> None:
    """Of those the status is what the scope says, not what is seen on its way out."""
    counts: Responses = {}

    async def broken(*_: object) -> None:
        raise ValueError

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        """To nobody."""

    async def main() -> None:
        app = App(sqlite_installation.context)
        app._routes["/token"] = broken
        routes = Routes(sqlite_installation.context.settings.issuer)
        watched = Watched(app, routes, responses=counts, traces=None, is_logged=False)
        scope: Scope = {"type": "http", "method": "POST", "path": "/token", "headers": []}
        await watched(scope, receive, send)
        await app._live.close()

    asyncio.run(main())

    assert counts == {("token", 500): 1}
