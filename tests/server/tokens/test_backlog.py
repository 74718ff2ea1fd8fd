"""Who would wait too long is told at once, whatever the speed of the machine."""

import asyncio
import threading
import time
from typing import Any

import pytest
from commits import all_at_once, asking, backend, commits, eventually, tokens

from hourpass.oauth.errors import Overloaded
from hourpass.server.tokens import backlog
from hourpass.server.tokens.backlog import MAX_WAIT_S, Backlog
from hourpass.server.tokens.commit import MAX_BATCH
from support.installation import Installation


def test_a_queue_is_as_long_as_it_takes() -> None:
    """The same number of requests is short on a quick machine and long on a slow one."""
    quick, slow = Backlog(100), Backlog(100)
    for _ in range(20):
        quick.took(0.01)
        slow.took(0.3)

    assert not quick.is_too_long(5_000, None)
    assert not slow.is_too_long(350, None)
    assert slow.is_too_long(450, None)
    assert quick.is_too_long(20_000, None)


def test_a_batch_that_hangs_counts_while_it_hangs() -> None:
    """It says nothing of itself; but nobody of the next batch is turned away for it."""
    queue = Backlog(100)
    queue.took(0.001)
    since = time.monotonic() - MAX_WAIT_S - 0.1

    assert queue.is_too_long(100, since)
    assert not queue.is_too_long(99, since)


def test_the_estimate_follows_quickly() -> None:
    """After a bad minute of the disk the queue is soon as long as before."""
    queue = Backlog(100)
    queue.took(10.0)
    assert queue.is_too_long(1_000, None)
    for _ in range(10):
        queue.took(0.01)
    assert not queue.is_too_long(1_000, None)


def test_the_commit_loop_sheds_what_it_cannot_serve_in_time(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a batch is written, those of the next get their tokens; all others come again."""
    made = installation.create_client("customers:read")
    on = backend(installation)
    real, begun, may_go_on = on.commit, threading.Event(), threading.Event()

    def held(*arguments: Any) -> Any:
        begun.set()
        may_go_on.wait(10)
        return real(*arguments)

    monkeypatch.setattr(on, "commit", held)
    monkeypatch.setattr(backlog, "MAX_WAIT_S", 0.0)

    async def main() -> tuple[list[Any], list[Any]]:
        async with commits(installation, on=on) as loop:
            first = asyncio.create_task(all_at_once(loop, [asking(made)]))
            await eventually(begun.is_set)
            others = [asking(made) for _ in range(2 * MAX_BATCH)]
            joined = asyncio.create_task(all_at_once(loop, others))
            await eventually(lambda: loop.waiting == MAX_BATCH)
            may_go_on.set()
            return await first, await joined

    first, outcomes = asyncio.run(main())

    assert len(tokens(first)) == 1
    assert len(tokens(outcomes[:MAX_BATCH])) == MAX_BATCH
    assert [type(outcome) for outcome in outcomes[MAX_BATCH:]] == [Overloaded] * MAX_BATCH
