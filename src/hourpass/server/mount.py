"""What is loaded by the first request for it, in a thread: management API and admin UI.

FastAPI and Jinja take a third of a second to load, which a server that only issues tokens never
needs.
"""

import asyncio
import importlib
from typing import Any

from hourpass.server.context import Context
from hourpass.server.endpoints.http import Receive, Scope, Send


class Mount:
    """An ASGI app of an installation, once somebody asks for it."""

    def __init__(self, context: Context, module: str, name: str) -> None:
        """`name` in `module` is called with the context."""
        self._context = context
        self._module, self._name = module, name
        self._app: Any = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to its answer."""
        if self._app is None:
            async with self._loading:
                if self._app is None:
                    self._app = await asyncio.to_thread(self._load)
        await self._app(scope, receive, send)

    def _load(self) -> Any:
        return getattr(importlib.import_module(self._module), self._name)(self._context)
