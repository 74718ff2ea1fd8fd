"""Signing keys follow their timetable for as long as the server runs, whatever one look met."""

import asyncio

import pytest

from hourpass.server import app as composition
from hourpass.server.app import App
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.keys import operations
from support.installation import Installation


@pytest.mark.parametrize("fault", [DatabaseUnavailable("gone"), ValueError("a bug")])
def test_one_bad_look_does_not_end_the_timetable(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """The database away or a bug met: it is looked at again."""
    looks: list[Exception | None] = []
    keep_timetable = operations.keep_timetable

    def bad_at_first(*arguments: object) -> bool:
        looks.append(None if looks else fault)
        if looks[-1] is not None:
            raise looks[-1]
        return keep_timetable(*arguments)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(operations, "keep_timetable", bad_at_first)
    monkeypatch.setattr(composition, "_TIMETABLE_EVERY_S", 0.01)

    async def run() -> None:
        """For a moment, or until it ends by itself, which it must not."""
        task = asyncio.create_task(App(sqlite_installation.context)._keep_timetable())
        await asyncio.wait((task,), timeout=1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())

    assert looks[:3] == [fault, None, None]
