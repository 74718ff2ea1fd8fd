"""A Patroni cluster loses a server in seven ways, under the load of two Hourpass nodes.

One node reaches the database through HAProxy, the other by a URL that names all three hosts.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from faults import haproxy
from faults.load import Load, NotWell
from faults.namespaces import HUB, Network, address, inside
from faults.outcome import Outcome
from faults.patroni import NODES, Cluster
from faults.scene import Scene, judged, serving
from faults.windows import Window, too_slow, worst
from support.installation import Installation, Server

_PORT = 5000  # as deploy/high-availability/postgresql.cfg has it
_CUT_S = 14
_STOPPED_S = 5
_ALONE_S = 3
_WELL_AGAIN_S = 90.0
_THREADS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a Hourpass node reaches the database."""

    name: str
    load: Load
    server: Server


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is done to the cluster."""

    title: str
    do: Callable[[], None]
    rounds: int = 1
    hangs: bool = False
    """Whether the database says nothing rather than no: answers have to come all the same."""


def failovers(scene: Scene) -> Iterator[Outcome]:
    """Each fault in turn; between two the cluster becomes whole again."""
    folder = scene.new_folder()
    scene.say("starting three database nodes")
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network(len(NODES)))
        stack.enter_context(inside(HUB))
        cluster = stack.enter_context(Cluster(folder))
        changes = {f"db{node}.example.com": address(node) for node in NODES}
        stack.enter_context(haproxy.running(folder, "postgresql.cfg", changes, _PORT))
        user = cluster.make_database("hp")
        hosts = ",".join(map(address, NODES))
        ways = []
        for name, where in (("HAProxy", f"127.0.0.1:{_PORT}"), ("URL of three hosts", hosts)):
            installation = Installation(scene.new_folder(), f"postgresql://{user}@{where}/hp")
            installation.apply_catalogue()
            server = stack.enter_context(serving(installation))
            ways.append(_Way(name=name, load=Load(installation, threads=_THREADS), server=server))
        for fault in _faults(cluster, network, scene.rounds):
            yield from _under_load(fault, cluster, ways, scene.say)


def _faults(cluster: Cluster, network: Network, rounds: int) -> list[_Fault]:
    """What is done, each to the node that is the primary, or the standby, then.

    Those that cost most, and are told first of a cluster, are done in several rounds.
    """

    def kill_postgres() -> None:
        cluster.kill_postgres(cluster.primary())

    def kill_node() -> None:
        node = cluster.primary()
        cluster.kill_all(node)
        cluster.wait_for_primary(node)
        cluster.start_patroni(node)

    def kill_patroni() -> None:
        node = cluster.primary()
        cluster.kill_patroni(node)
        cluster.wait_for_primary(node)
        time.sleep(_ALONE_S)
        cluster.start_patroni(node)

    def kill_standby() -> None:
        node = cluster.standby()
        cluster.kill_all(node)
        time.sleep(_ALONE_S)
        cluster.start_patroni(node)

    def cut_off() -> None:
        node = cluster.primary()
        network.cut(node)
        time.sleep(_CUT_S)
        network.mend(node)

    def stop() -> None:
        node = cluster.primary()
        cluster.signal_postgres(node, signal.SIGSTOP)
        time.sleep(_STOPPED_S)
        cluster.signal_postgres(node, signal.SIGCONT)

    return [
        _Fault("kill -9 of the primary's postmaster", kill_postgres),
        _Fault("kill -9 of Patroni and PostgreSQL on the primary", kill_node, rounds=rounds),
        _Fault(
            "kill -9 of Patroni alone: two servers take themselves for the primary", kill_patroni
        ),
        _Fault("kill -9 of Patroni and PostgreSQL on the synchronous standby", kill_standby),
        _Fault("switchover", cluster.switch_over),
        _Fault(
            f"primary cut off from the network for {_CUT_S} s", cut_off, rounds=rounds, hangs=True
        ),
        _Fault(f"primary hangs (kill -STOP) for {_STOPPED_S} s", stop, hangs=True),
    ]


def _under_load(
    fault: _Fault, cluster: Cluster, ways: list[_Way], say: Callable[[str], None]
) -> Iterator[Outcome]:
    problems = dict.fromkeys((way.name for way in ways), "")
    windows: dict[str, list[Window]] = {way.name: [] for way in ways}
    for number in range(1, fault.rounds + 1):
        say(f"{fault.title}, {number} of {fault.rounds}")
        cluster.wait_until_whole()
        for name, problem in _round(fault, ways).items():
            problems[name] = problems[name] or problem
        cluster.wait_until_whole()
        for way in ways:
            windows[way.name].append(way.load.window())
    for way in ways:
        seen = worst(windows[way.name])
        slow = too_slow(seen) if fault.hangs else ""
        yield judged(
            fault.title if fault.rounds == 1 else f"{fault.title}, {fault.rounds} times",
            f"Patroni, {way.name}",
            way.load,
            way.server,
            window=seen,
            recovery="by itself",
            problem=problems[way.name] or slow,
        )
        way.load.forget()


def _round(fault: _Fault, ways: list[_Way]) -> dict[str, str]:
    """Do it once, under load; which ways were not well again in time, and what they said."""
    problems = {}
    with contextlib.ExitStack() as stack:
        for way in ways:
            stack.enter_context(way.load.on(way.server.url))
        for way in ways:
            way.load.wait_until_well()
        fault.do()
        for way in ways:
            try:
                way.load.wait_until_well(timeout_s=_WELL_AGAIN_S)
            except NotWell as problem:
                problems[way.name] = str(problem).splitlines()[0]
    for way in ways:
        if way.name in problems:  # so that what comes next begins with a server that is well
            way.server.kill()
            way.server.start()
    return problems
