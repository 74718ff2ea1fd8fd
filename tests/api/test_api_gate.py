"""The management API's gate: who was told that it took too long lets nobody in behind it."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from hourpass.oauth.errors import Overloaded, TemporarilyUnavailable
from hourpass.server.api.application import _Answering
from hourpass.server.api.problems import UNAVAILABLE, Problem
from hourpass.server.endpoints import gate
from hourpass.server.endpoints.gate import Gate


def test_what_hangs_keeps_its_slot_after_its_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it comes back, whoever comes is turned away unbegun; then they are served again."""
    monkeypatch.setattr(gate, "BUDGET_S", 0.2)
    monkeypatch.setattr(gate, "WAIT_S", 0.1)
    sent: list[MutableMapping[str, Any]] = []
    begun = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def main() -> None:
        narrow, hangs = Gate(1), asyncio.Event()

        async def ask(name: str) -> None:
            answer = _Answering(send, name)

            async def app() -> None:
                begun.append(name)
                await hangs.wait()
                await answer({"type": "http.response.start", "status": 200, "headers": []})
                await answer({"type": "http.response.body", "body": b""})

            async def until_begun() -> "asyncio.Task[None]":
                return await answer.begun_by(app())

            try:
                await (await narrow.through(until_begun))
            except (Overloaded, TemporarilyUnavailable):
                await answer.problem(Problem(UNAVAILABLE, name))

        async with asyncio.timeout(20):
            await ask("hangs")
            await ask("behind")
            assert begun == ["hangs"]
            hangs.set()
            await ask("after")

    asyncio.run(main())

    starts = [message["status"] for message in sent if message["type"] == "http.response.start"]
    assert begun == ["hangs", "after"]
    assert starts == [503, 503, 200]
