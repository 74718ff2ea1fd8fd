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
        for title, fault in _faults(cluster, network).items():
            scene.say(title)
            yield from _under_load(title, fault, cluster, ways)


def _faults(cluster: Cluster, network: Network) -> dict[str, Callable[[], None]]:
    """What is done, each to the node that is the primary, or the standby, then."""

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

    return {
        "kill -9 of the primary's postmaster": kill_postgres,
        "kill -9 of Patroni and PostgreSQL on the primary": kill_node,
        "kill -9 of Patroni alone: two servers take themselves for the primary": kill_patroni,
        "kill -9 of Patroni and PostgreSQL on the synchronous standby": kill_standby,
        "switchover": cluster.switch_over,
        f"primary cut off from the network for {_CUT_S} s": cut_off,
        f"primary hangs (kill -STOP) for {_STOPPED_S} s": stop,
    }


def _under_load(
    title: str, fault: Callable[[], None], cluster: Cluster, ways: list[_Way]
) -> Iterator[Outcome]:
    cluster.wait_until_whole()
    problems = dict.fromkeys((way.name for way in ways), "")
    with contextlib.ExitStack() as stack:
        for way in ways:
            stack.enter_context(way.load.on(way.server.url))
        for way in ways:
            way.load.wait_until_well()
        fault()
        for way in ways:
            try:
                way.load.wait_until_well(timeout_s=_WELL_AGAIN_S)
            except NotWell as problem:
                problems[way.name] = str(problem).splitlines()[0]
    cluster.wait_until_whole()
    for way in ways:
        if problems[way.name]:  # so that the next fault begins with a server that is well
            way.server.kill()
            way.server.start()
        yield judged(
            title,
            f"Patroni, {way.name}",
            way.load,
            way.server,
            recovery="by itself",
            problem=problems[way.name],
        )
        way.load.forget()
