"""The gate before the threads: nobody waits for ever, and no more get in than there are slots."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hourpass.oauth.errors import Overloaded, TemporarilyUnavailable
from hourpass.server.endpoints import gate
from hourpass.server.endpoints.gate import Gate


def run(main: Callable[[], Awaitable[None]]) -> None:
    """It has to end by itself."""

    async def within() -> None:
        async with asyncio.timeout(20):
            await main()

    asyncio.run(within())


async def outcome(work: Awaitable[Any]) -> Any:
    """What it gives, or the kind of what it raises."""
    try:
        return await work
    except Exception as fault:  # noqa: BLE001  (the test looks at it)
        return type(fault)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets that a test can wait for."""
    monkeypatch.setattr(gate, "BUDGET_S", 0.2)
    monkeypatch.setattr(gate, "WAIT_S", 0.1)


def test_what_hangs_keeps_its_slot_and_its_caller_is_answered() -> None:
    """Whoever comes behind is turned away unbegun, until it comes back."""
    begun = []

    async def main() -> None:
        narrow, hangs = Gate(2), asyncio.Event()

        async def hang() -> None:
            begun.append("hang")
            await hangs.wait()

        async def work() -> str:
            begun.append("work")
            return "done"

        hanging = [outcome(narrow.through(hang)) for _ in range(2)]
        behind = [outcome(narrow.through(work)) for _ in range(3)]
        assert await asyncio.gather(*hanging, *behind) == [
            *[TemporarilyUnavailable] * 2,
            *[Overloaded] * 3,
        ]
        assert await outcome(narrow.through(work)) is Overloaded
        assert begun == ["hang", "hang"]
        hangs.set()
        assert await asyncio.gather(*(narrow.through(work) for _ in range(5))) == ["done"] * 5

    run(main)


def test_only_so_many_may_wait() -> None:
    """One more is told at once; a fault is the caller's own and gives its slot back."""

    async def main() -> None:
        narrow = Gate(1, max_waiting=3)
        order: list[Any] = []

        async def fail() -> None:
            await asyncio.sleep(0)
            raise ValueError

        async def ask() -> None:
            found = await outcome(narrow.through(fail))
            order.append(found)

        await asyncio.gather(*(ask() for _ in range(6)))
        assert order == [*[Overloaded] * 2, *[ValueError] * 4]
        assert await outcome(narrow.through(fail)) is ValueError

    run(main)
