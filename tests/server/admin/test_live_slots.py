"""The live audit log looks in slots of its own."""

import asyncio
from typing import Any

import anyio.to_thread
import pytest

from hourpass.server.admin import live
from hourpass.server.admin.live import LiveTail


class Ending(LiveTail):
    """Finds at its first look that the session is over."""

    def __init__(self) -> None:
        """Of nobody."""

    def _look(self) -> bytes | None:
        return live._OVER


def test_a_busy_management_api_keeps_no_live_audit_log_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of the API's threads hang in the database, and a stream goes on."""
    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    sent = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["body"])

    async def main() -> None:
        common = anyio.to_thread.current_default_thread_limiter()
        common.total_tokens = 1
        async with common, asyncio.timeout(10):
            gone = asyncio.create_task(asyncio.Event().wait())
            await Ending()._follow({gone}, send)  # type: ignore[arg-type]  # what it sends is a dict
            gone.cancel()

    asyncio.run(main())

    assert sent[1:] == [live._OVER]
