"""`python -m faults [--rounds 50]`: the crash rounds on both databases, data on a real disk."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from faults import crash
from support.installation import Installation
from support.postgres import Cluster


def main() -> int:
    """Run the rounds; exit status 1 when anything acknowledged was lost."""
    parser = argparse.ArgumentParser(prog="python -m faults")
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="hourpass-faults-"))
    cluster = Cluster(folder)
    lost = 0
    try:
        cluster.execute("create database hp")
        for name, url, its_cluster in (
            ("SQLite", f"sqlite:///{folder}/hp.db", None),
            ("PostgreSQL", cluster.url("hp"), cluster),
        ):
            installation = Installation(folder / name, url)
            installation.apply_catalogue()
            with console.status(f"{name}: {rounds} rounds of kill -9 …"):
                verdict = crash.run(installation, rounds, cluster=its_cluster)
            installation.close()
            lost += len(verdict.losses)
            console.print(
                f"{name}: {verdict.rounds} rounds, {verdict.tokens} tokens, "
                f"{verdict.deeds} deeds acknowledged, {len(verdict.losses)} lost"
            )
            for line in verdict.losses[:10]:
                console.print(f"  {line}")
    finally:
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
