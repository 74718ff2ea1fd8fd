"""`kill -9` under load, round after round; then look whether what was acknowledged is there."""

import random
import signal
import time

from faults import judge
from faults.judge import Verdict
from faults.load import Load
from faults.windows import worst
from support.installation import Installation, Server
from support.postgres import Cluster


def run(installation: Installation, rounds: int, *, cluster: Cluster | None = None) -> Verdict:
    """Kill the server in mid-work, `rounds` times.

    Whoever asks goes on: how long nobody gets a token is what a crash costs. With `cluster`,
    every second round crashes PostgreSQL as well.
    """
    verdict = Verdict()
    load = Load(installation)
    server = Server(installation)
    windows = []
    try:
        for number in range(rounds):
            with load.on(server.url):
                time.sleep(random.uniform(0.2, 1.0))
                server.kill()
                if cluster is not None and number % 2:
                    cluster.stop(signal.SIGQUIT)
                    cluster.start()
                server.start()
                load.wait_until_well(0.0)
            windows.append(load.window())
            installation.close()
            verdict.rounds += 1
            judge.check(installation, server, [load.deeds], [load.tokens], verdict)
            load.deeds.unlink()  # each round has clients of its own
    finally:
        server.stop()
    verdict.window = worst(windows)
    return verdict
