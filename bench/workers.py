"""Two workers beside one, over one PostgreSQL: tokens a second, and what each costs.

First with as many connections for both: then each of the two has batches of half the size, which
cost more. Then with as many for each worker, as when workers are added because the load grows.
"""

from pathlib import Path

from bench.contestants import Contestant, hourpass
from support.installation import Installation
from support.postgres import Cluster

CONNECTIONS = (32, 128, 256)
EACH = (32, 128)
COUNTS = {"1": "one worker", "2": "two workers"}
TIMES = {COUNTS["2"]: 2}


def start(
    contestants: list[Contestant], installation: Installation, cluster: Cluster, folder: Path
) -> None:
    """Add them, each a `serve` of its own on the same database, as users run it."""
    url = installation.environ["HOURPASS_DATABASE_URL"]
    for count, name in COUNTS.items():
        own = Installation(folder / f"workers-{count}", url)
        environ = {"HOURPASS_WORKERS": count}
        contestants.append(hourpass(name, own, pinned=False, cluster=cluster, **environ))
