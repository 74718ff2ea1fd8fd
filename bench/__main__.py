"""`make bench`: measure, and write bench/results.md, bench/chart.svg and the README's table, and
bench/checks.md, bench/audit.md and bench/floods.md. `python -m bench --only checks` (or `audit`, or
`floods`) does one alone; `--only workers` and `--only batch` print their part of the first.
So is bench/audit.md printed, and left, where it is of more rows than `--audit-rows` says.

Contestants are started together and asked in turn, round after round, so that whatever else
the machine does meets all of them alike; figures are medians, and what counts is their ratio.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress

from bench import (
    audit_volume,
    batch_of_one,
    floods,
    integrator,
    load,
    management,
    online,
    protected,
    report,
    verifying,
    workers,
)
from bench.contestants import Contestant, Peers, ceiling, hourpass
from bench.populate import populate
from bench.report import Line, Results
from support.installation import Installation
from support.postgres import Cluster

CONNECTIONS = (1, 32, 128)
CLIENTS = 10_000
FEW, MANY = 1_000, 1_000_000
DISTINCT_TOKENS = 1_000_000
UNKNOWN_IDS = 1_000_000

PARTS = ("tokens", "checks", "audit", "floods", "workers", "batch")


def main() -> int:
    """Run everything; exit status 2 when a program is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--seconds", type=int, default=5, help="of load for each figure")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=MANY, help="clients in the large installation")
    parser.add_argument("--audit-rows", type=int, default=10_000_000)
    parser.add_argument("--ids", type=int, default=UNKNOWN_IDS, help="unknown client IDs to try")
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    missing = load.missing_programs()
    if missing:
        sys.stderr.write(f"bench: install {', '.join(missing)} first (apt-get install wrk)\n")
        return 2
    results = Results(seconds=options.seconds, rounds=options.rounds)
    folder = Path(tempfile.mkdtemp(prefix="hourpass-bench-"))
    cluster = Cluster(folder)
    try:
        if options.only != "audit":
            sqlite, postgres = _ready(folder, cluster)
        if options.only in (None, "tokens"):
            _tokens(folder, cluster, sqlite, postgres, options.many, results)
        if options.only in (None, "tokens", "workers"):
            _workers(folder, cluster, postgres, results)
        if options.only in (None, "tokens", "batch"):
            results.batch_of_one = batch_of_one.measure(
                postgres,
                cluster,
                folder / "credentials-postgres",
                rounds=options.rounds,
                seconds=options.seconds,
            )
        if options.only in (None, "checks"):
            _checks(folder, cluster, sqlite, postgres, results)
        if options.only in (None, "audit"):
            rounds, seconds = results.rounds, results.seconds
            results.audit = audit_volume.measure(
                folder, cluster, options.audit_rows, rounds=rounds, seconds=seconds
            )
        if options.only in (None, "floods"):
            _floods(folder, cluster, sqlite, postgres, options.ids, results)
    except audit_volume.NoSpace as fault:
        sys.stderr.write(f"bench: {fault}\n")
        return 2
    finally:
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)
    if options.only in (None, "tokens"):
        report.write(results)
    if options.only in (None, "checks"):
        report.write_checks(results)
    if options.only in (None, "audit") and not report.write_audit(results):
        sys.stderr.write("bench: bench/audit.md has more rows and was left; see --audit-rows\n")
    if options.only in (None, "floods"):
        report.write_floods(results)
    if options.only in ("workers", "batch"):
        sys.stdout.write(report.part(results))
    return 0


def _ready(folder: Path, cluster: Cluster) -> tuple[Installation, Installation]:
    with Console(stderr=True).status(f"making {CLIENTS:,} clients …"):
        sqlite, postgres = _installations(folder, cluster, "main")
        populate(sqlite.context, CLIENTS, folder / "credentials", keep=CLIENTS)
        populate(postgres.context, CLIENTS, folder / "credentials-postgres", keep=CLIENTS)
    return sqlite, postgres


def _tokens(
    folder: Path,
    cluster: Cluster,
    sqlite: Installation,
    postgres: Installation,
    many: int,
    results: Results,
) -> None:
    credentials = folder / "credentials"
    with Console(stderr=True).status("setting up peers …"):
        peers = Peers(folder / "peers")
        peers.folder.mkdir()
        peers.set_up(str(Path(sys.executable).with_name("uv")))
        results.notes += peers.notes
    files = {"Hourpass, PostgreSQL": folder / "credentials-postgres"}
    for pinned in (True, False):
        contestants: list[Contestant] = []
        with _ended(contestants):
            contestants.append(ceiling(pinned=pinned))
            contestants.append(hourpass("Hourpass, SQLite", sqlite, pinned=pinned))
            contestants.append(
                hourpass("Hourpass, PostgreSQL", postgres, pinned=pinned, cluster=cluster)
            )
            if pinned:
                contestants += peers.start(credentials)
            results.starting_s += [c.starting_s for c in contestants if c.starting_s]
            for connections in CONNECTIONS:
                title = f"{connections} connections, {'pinned' if pinned else 'as users run it'}"
                _take_turns(contestants, credentials, files, connections, pinned, results, title)
    for kind in ("sqlite", "postgresql"):
        _sizes(folder, cluster, kind, many, results)


def _workers(folder: Path, cluster: Cluster, postgres: Installation, results: Results) -> None:
    contestants: list[Contestant] = []
    credentials = folder / "credentials-postgres"
    with _ended(contestants):
        workers.start(contestants, postgres, cluster, folder)
        for connections in workers.CONNECTIONS:
            title = f"workers over PostgreSQL, {connections} connections, as users run it"
            _take_turns(contestants, credentials, {}, connections, False, results, title)
        for connections in workers.EACH:
            title = f"workers over PostgreSQL, {connections} connections a worker, as users run it"
            times = workers.TIMES
            _take_turns(contestants, credentials, {}, connections, False, results, title, times)


def _checks(
    folder: Path,
    cluster: Cluster,
    sqlite: Installation,
    postgres: Installation,
    results: Results,
) -> None:
    contestants: list[Contestant] = []
    with _ended(contestants):
        contestants.append(hourpass("SQLite", sqlite, pinned=True))
        _online("SQLite", sqlite, contestants[0], folder / "credentials", results)
    contestants = []
    with _ended(contestants):
        contestants.append(hourpass("PostgreSQL", postgres, pinned=True, cluster=cluster))
        credentials = folder / "credentials-postgres"
        _online("PostgreSQL", postgres, contestants[0], credentials, results)
    _offline(results)


def _online(
    kind: str, installation: Installation, running: Contestant, credentials: Path, results: Results
) -> None:
    with Console(stderr=True).status(f"{kind}: /verify and /introspect …"):
        rates = online.measure(
            installation, running, credentials, rounds=results.rounds, seconds=results.seconds
        )
    for connections, found in rates.items():
        results.rates[f"Online checks, {kind}, {connections} connections, pinned"] = found


def _offline(results: Results) -> None:
    with Console(stderr=True).status("the offline verifier …"):
        results.verifying = verifying.measure(rounds=results.rounds)
        title = "A trivial ASGI app (uvicorn), 32 connections, pinned"
        results.rates[title] = protected.measure(rounds=results.rounds, seconds=results.seconds)
    with Console(stderr=True).status("the integrator's side …"):
        results.integrator = integrator.figures()
    with Console(stderr=True).status(f"a verifier and {DISTINCT_TOKENS:,} distinct tokens …"):
        before, after = verifying.memory(DISTINCT_TOKENS)
    results.verifier_mb["a process with a verifier"] = before
    results.verifier_mb[f"the same after {DISTINCT_TOKENS:,} distinct tokens"] = after


def _floods(
    folder: Path,
    cluster: Cluster,
    sqlite: Installation,
    postgres: Installation,
    ids: int,
    results: Results,
) -> None:
    for kind, installation, theirs, name in (
        ("SQLite", sqlite, None, "credentials"),
        ("PostgreSQL", postgres, cluster, "credentials-postgres"),
    ):
        contestants: list[Contestant] = []
        with _ended(contestants):
            contestants.append(hourpass(kind, installation, pinned=True, cluster=theirs))
            results.floods[kind] = floods.measure(
                kind,
                installation,
                contestants[0],
                folder / name,
                rounds=results.rounds,
                seconds=results.seconds,
                ids=ids,
            )


def _sizes(folder: Path, cluster: Cluster, kind: str, many: int, results: Results) -> None:
    """The same load on a small and a very large installation, in turns."""
    contestants: list[Contestant] = []
    installations: list[Installation] = []
    files: dict[str, Path] = {}
    few, large = f"{FEW:,} clients", f"{many:,} clients"
    everyone = f"{large}, nearly every token another's"
    with _ended(contestants):
        for count, name in ((FEW, few), (many, large)):
            with Console(stderr=True).status(f"making {count:,} clients on {kind} …"):
                installation = _installations(folder, cluster, f"n{count}")[kind == "postgresql"]
                files[name] = folder / f"credentials-{kind}-{count}"
                populate(installation.context, count, files[name], keep=min(count, 200_000))
            installations.append(installation)
            theirs = cluster if kind == "postgresql" else None
            contestants.append(hourpass(name, installation, pinned=True, cluster=theirs))
        running = contestants[1]
        contestants.append(Contestant(everyone, running.url, running.process, running.also))
        files[everyone] = files[large].with_name(f"credentials-{kind}-everyone")
        shutil.copy(files[large], files[everyone])
        lines = files[everyone].read_text().splitlines()
        files[large].write_text("\n".join(lines[:: max(1, len(lines) // CLIENTS)]) + "\n")
        title = f"{kind}: size of the installation, 128 connections, pinned"
        _take_turns(contestants, files[few], files, 128, True, results, title)
        results.resident_mb[f"{kind}, {large}"] = running.resident_mb()
        with Console(stderr=True).status(f"{kind}: the management API …"):
            _management(kind, installations, contestants[:2], results)
        results.resident_mb[f"{kind}, {large}, management API used"] = running.resident_mb()


def _management(
    kind: str, installations: list[Installation], running: list[Contestant], results: Results
) -> None:
    few, many = (
        management.Side.of(installation, contestant)
        for installation, contestant in zip(installations, running, strict=True)
    )
    rounds, seconds = results.rounds, min(2, results.seconds)
    title = f"{kind}: the management API, {few.clients:,} clients against {many.clients:,}"
    results.lists[title] = management.lists(few, many, rounds=rounds, seconds=seconds)
    results.creating[kind] = management.creating(few, rounds=rounds, seconds=seconds)


def _take_turns(
    contestants: list[Contestant],
    credentials: Path,
    files: dict[str, Path],
    connections: int,
    pinned: bool,
    results: Results,
    title: str,
    times: Mapping[str, int] = {},
) -> None:
    """`times`: of whom so many times the connections are asked."""
    lines: dict[str, list[Line]] = {contestant.name: [] for contestant in contestants}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=results.rounds * len(contestants))
        for number in range(results.rounds + 1):
            for contestant in contestants:
                file = files.get(contestant.name, credentials)
                before = contestant.cpu_s()
                seconds = results.seconds if number else 1  # the first round only warms up
                measured = load.tokens(
                    contestant.url,
                    file,
                    connections=connections * times.get(contestant.name, 1),
                    seconds=seconds,
                    pinned=pinned,
                )
                cpu_us = (contestant.cpu_s() - before) / max(measured.requests, 1) * 1e6
                if number:
                    lines[contestant.name].append(Line(measured, cpu_us))
                    progress.advance(task)
    for name, taken in lines.items():
        results.raw += [f"{title} | {name} | {line}" for line in taken]
        results.tables.setdefault(title, {})[name] = Line(
            load.Measured(
                rps=median(line.measured.rps for line in taken),
                requests=sum(line.measured.requests for line in taken),
                non200=sum(line.measured.non200 for line in taken),
                errors=sum(line.measured.errors for line in taken),
                p50_ms=median(line.measured.p50_ms for line in taken),
                p99_ms=median(line.measured.p99_ms for line in taken),
            ),
            median(line.cpu_us for line in taken),
        )


def _installations(folder: Path, cluster: Cluster, name: str) -> tuple[Installation, Installation]:
    database = f"bench_{name}"
    made = []
    for kind, url in (("sqlite", f"sqlite:///{folder}/{name}.db"), ("pg", cluster.url(database))):
        home = folder / f"{name}-{kind}"
        if kind == "pg" and not home.exists():
            cluster.execute(f"create database {database}")
        installation = Installation(home, url)
        installation.apply_catalogue()
        made.append(installation)
    return made[0], made[1]


@contextmanager
def _ended(contestants: list[Contestant]) -> Iterator[None]:
    """End whoever was started, also when the next could not be."""
    try:
        yield
    finally:
        for process in {contestant.process.pid: contestant for contestant in contestants}.values():
            process.stop()


if __name__ == "__main__":
    sys.exit(main())
