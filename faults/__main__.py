"""The whole programme of faults: `faults/run [--only NAME] [--kills 50] [--rounds 2]`.

Exit status 1 when anything acknowledged was lost, or what should have recovered did not; 2 when
all is well but something could not be run on this machine. Only a run of the whole programme
changes the pages that are published.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from faults import objectives
from faults.outcome import Outcome, exit_status, is_whole, page
from faults.programme import PROGRAMME, Fault
from faults.scene import Scene
from faults.versions import commit, versions

_PARTIAL = objectives.RESULTS.with_name("results-partial.md")


def main() -> int:
    """Run what was asked for; publish the results when that was all of it."""
    parser = argparse.ArgumentParser(prog="faults/run", description="Hard faults, on purpose.")
    parser.add_argument("--kills", type=int, default=50, help="rounds of kill -9 under load (50)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=2,
        help="rounds of the primary's node killed, and of the primary cut off (2)",
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="this one, or all whose names begin so; repeatable. "
        f"Names: {', '.join(fault.name for fault in PROGRAMME)}",
    )
    asked = parser.parse_args()
    if min(asked.kills, asked.rounds) < 1:
        parser.error("--kills and --rounds are at least 1")
    chosen = [
        fault
        for fault in PROGRAMME
        if asked.only is None or any(fault.name.startswith(name) for name in asked.only)
    ]
    if not chosen:
        parser.error(f"no fault has a name that begins with {' or '.join(asked.only)}")
    # So that everything is taken down again: namespaces, mounts and processes.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    ran_on = commit(objectives.ROOT)  # before the pages are written, which are changes
    outcomes = list(_run(chosen, asked.kills, asked.rounds))
    for outcome in outcomes:
        if not outcome.is_good:
            print("Not good:", _line(outcome))
    _write(page(outcomes, versions(), ran_on), publish=not asked.only and is_whole(outcomes))
    return exit_status(outcomes)


def _write(text: str, *, publish: bool) -> None:
    """Where it belongs, and say where."""
    target = objectives.RESULTS if publish else _PARTIAL
    target.write_text(text, "utf-8")
    print(f"The results are in {target.relative_to(objectives.ROOT)}", end="")
    if publish:
        objectives.write()
        print(", and in the table of docs/operate.md.")
    else:
        print(": not all was run, so the pages that are published stay as they are.")


def _run(chosen: list[Fault], kills: int, rounds: int) -> Iterator[Outcome]:
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="hourpass-faults-"))
    folder.chmod(0o755)  # PostgreSQL below Patroni runs as another user
    try:
        for number, fault in enumerate(chosen, 1):
            with console.status("") as status:

                def say(text: str, title: str = f"{number}/{len(chosen)} {fault.name}") -> None:
                    status.update(f"{title}: {text} …")

                say("preparing")
                scene = Scene(folder, kills=kills, rounds=rounds, say=say)
                for outcome in _outcomes(fault, scene):
                    console.print(_line(outcome))
                    yield outcome
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _outcomes(fault: Fault, scene: Scene) -> Iterator[Outcome]:
    """Those of one fault; whatever goes wrong is one too, and the next fault is run."""
    missing = fault.missing()
    if missing:
        yield Outcome(fault=fault.title, database="", not_run=", ".join(missing))
        return
    try:
        yield from fault.run(scene)
    except Exception as problem:  # noqa: BLE001  (it goes into the results)
        traceback.print_exc()
        first = (str(problem).splitlines() or [type(problem).__name__])[0]
        yield Outcome(fault=fault.title, database="", problem=first, is_cut_short=True)


def _line(outcome: Outcome) -> str:
    where = f"{outcome.fault} ({outcome.database})" if outcome.database else outcome.fault
    if outcome.not_run:
        return f"{where}: not run: needs {outcome.not_run}"
    seen = outcome.window
    times = f", errors for {seen.errors_s:.1f} s, gap {seen.gap_s:.1f} s" if seen else ""
    told = (
        f"{where}: {outcome.tokens} tokens, {outcome.deeds} deeds acknowledged, "
        f"{len(outcome.losses)} lost{times}; {outcome.problem or outcome.recovery}"
    )
    return "\n".join([told, *(f"  {loss}" for loss in outcome.losses[:10])])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
