"""Processes that end: the server by `kill -9` or SIGTERM, PostgreSQL below it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from faults import checks, crash
from faults.haproxy import Balancer, balancer_for
from faults.judge import Verdict, odd_answers
from faults.load import Load
from faults.outcome import Outcome
from faults.scene import Scene, judged, serving
from faults.windows import worst
from support.installation import Installation, Server

_TIMES = 3


def kill_9(scene: Scene) -> Iterator[Outcome]:
    """The server is killed in mid-work, many times; every second time PostgreSQL too."""
    done = f"kill -9 under load, {scene.kills} times"
    with scene.sqlite() as installation:
        scene.say(f"SQLite: {done}")
        yield _of(crash.run(installation, scene.kills), done, "SQLite")
    with scene.postgres() as (installation, cluster):
        scene.say(f"PostgreSQL: {done}")
        yield _of(crash.run(installation, scene.kills, cluster=cluster), done, "PostgreSQL")


def _of(verdict: Verdict, done: str, database: str) -> Outcome:
    return Outcome(
        fault=done,
        database=database,
        tokens=verdict.tokens,
        deeds=verdict.deeds,
        losses=tuple(verdict.losses),
        window=verdict.window,
        recovery="restart",
        problem=odd_answers(verdict.odd),
    )


def postgresql_killed(scene: Scene) -> Iterator[Outcome]:
    """PostgreSQL crashes in mid-commit and is started again; the server lives on."""
    with scene.postgres() as (installation, cluster):
        load = Load(installation)
        windows = []
        with serving(installation) as server:
            for number in range(_TIMES):
                with load.on(server.url):
                    scene.say(f"PostgreSQL crashes, {number + 1} of {_TIMES}")
                    time.sleep(1)
                    cluster.stop(signal.SIGQUIT)
                    time.sleep(0.5)
                    cluster.start()
                    load.wait_until_well()
                windows.append(load.window())
            yield judged(
                f"PostgreSQL crashes {_TIMES} times, each for half a second",
                "PostgreSQL",
                load,
                server,
                window=worst(windows),
                recovery="by itself",
            )


def rolling_restart(scene: Scene) -> Iterator[Outcome]:
    """Two nodes behind HAProxy are restarted by SIGTERM, one after the other: nobody is refused."""
    with scene.postgres() as (installation, _), contextlib.ExitStack() as stack:
        second = Installation(scene.new_folder(), installation.environ["HOURPASS_DATABASE_URL"])
        balancer: Balancer = stack.enter_context(
            balancer_for(scene.new_folder(), [installation.port, second.port])
        )
        for each in (installation, second):
            each.environ["HOURPASS_ISSUER"] = balancer.url
            each.environ["HOURPASS_TRUSTED_PROXIES"] = "127.0.0.1"  # by addresses deeds are found
        nodes = [stack.enter_context(serving(each)) for each in (installation, second)]
        balancer.wait_until_up()
        load = Load(installation, with_checks=True)
        with load.on(balancer.url):
            load.wait_until_well()
            for node in nodes:
                scene.say("restarting a node")
                _restart(node)
                load.wait_until_well()
        seen = {kind: load.checks(kind) for kind in checks.KINDS}
        of_deeds = load.deeds_failed()
        failed = {
            "token requests": load.window().failed,
            f"deeds {sorted(set(of_deeds))}": len(of_deeds),
            **{f"checks at /{kind}": window.failed for kind, window in seen.items()},
        }
        of_checks = " and ".join(f"{seen[kind].answered:,} at /{kind}" for kind in checks.KINDS)
        yield judged(
            "rolling restart of two nodes behind HAProxy (SIGTERM)",
            "PostgreSQL",
            load,
            nodes[0],
            recovery=f"no request failed, also of {of_checks}",
            problem=", ".join(f"{number} {of} failed" for of, number in failed.items() if number),
        )


def _restart(node: Server) -> None:
    assert node.process is not None
    node.http.close()
    os.killpg(node.process.pid, signal.SIGTERM)
    node.process.wait(20)
    node.start()
