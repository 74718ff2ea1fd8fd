"""The audit trail at volume: two years of it against its last day alone, on either database.

Both have as many events a day; so what the last 24 hours hold is the same, and what differs is
only what lies before. Queries are asked in turns, in this process, without HTTP: the median counts.
"""

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import text

from bench import load
from bench.audit_fill import BYTES_A_ROW, OTHER_ORGANIZATION, fill
from bench.contestants import hourpass
from bench.populate import populate
from hourpass.server.audit import export, store
from hourpass.server.audit.events import SYSTEM, Event, Origin
from hourpass.server.audit.store import EventFilter, Position
from hourpass.server.db.engine import Database, Dialect
from support.installation import Installation
from support.postgres import Cluster

MONTHS = 24
SQLITE_ROWS = 1_000_000
CLIENTS = 10_000
_DAY = timedelta(days=1)
_REPETITIONS, _WARM = 40, 5
_CONNECTIONS = 32
_ROWS = re.compile(r"^## \w+: ([\d,]+) rows", re.MULTILINE)
Query = Callable[[Database], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one query took, in milliseconds, where little and where much lies before."""

    name: str
    few_ms: float
    many_ms: float


@dataclass(slots=True, kw_only=True)
class Volume:
    """Everything found of one database."""

    rows: int
    filled_s: float
    size_gb: float
    queries: list[Took]
    tokens: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Tokens a second, and CPU time each in microseconds, of each round."""


class NoSpace(Exception):
    """The disk is too small for so many rows; the text says how much is needed."""


def measure(
    folder: Path, cluster: Cluster, rows: int, *, rounds: int, seconds: int
) -> dict[str, Volume]:
    """On PostgreSQL with so many rows, and on SQLite with a million at most."""
    sizes = {Dialect.POSTGRESQL: rows, Dialect.SQLITE: min(rows, SQLITE_ROWS)}
    needed = sum(BYTES_A_ROW[dialect] * count for dialect, count in sizes.items())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoSpace(
            f"{rows:,} rows need about {needed / 1e9:.0f} GB and {folder} has {free / 1e9:.0f} GB: "
            f"give --audit-rows {int(free * 0.9 / BYTES_A_ROW[Dialect.POSTGRESQL]):,} or fewer, "
            "or another TMPDIR"
        )
    found = {}
    for dialect, count in sizes.items():
        theirs = cluster if dialect is Dialect.POSTGRESQL else None
        found[dialect.value] = _measure(folder, theirs, count, rounds, seconds)
    return found


def _measure(folder: Path, cluster: Cluster | None, rows: int, rounds: int, seconds: int) -> Volume:
    few, many = (_installation(folder, cluster, name) for name in ("few", "many"))
    try:
        a_day = max(1, round(rows / (MONTHS * 30.5)))
        began = time.monotonic()
        for installation, count, days in ((few, a_day, 1.0), (many, rows, MONTHS * 30.5)):
            _fill(installation, count, days)
        found = Volume(
            rows=rows,
            filled_s=time.monotonic() - began,
            size_gb=_size(many.context.database) / 1e9,
            queries=_queries(few.context.database, many.context.database),
        )
        _tokens(cluster, (few, many), rounds, seconds, found)
        return found
    finally:
        few.close()
        many.close()


def _installation(folder: Path, cluster: Cluster | None, name: str) -> Installation:
    home = folder / f"audit-{name}-{'sqlite' if cluster is None else 'postgresql'}"
    if cluster is None:
        made = Installation(home, f"sqlite:///{home}/hourpass.db")
    else:
        cluster.execute(f"create database audit_{name}")
        made = Installation(home, cluster.url(f"audit_{name}"))
    made.apply_catalogue()
    populate(made.context, CLIENTS, home / "credentials", keep=CLIENTS)
    return made


def _fill(installation: Installation, rows: int, days: float) -> None:
    database = installation.context.database
    with database.read() as connection:
        since = database.now(connection) - timedelta(days=days)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{database.dialect}: audit events", total=rows)
        fill(database, rows, since, lambda count: progress.advance(task, count))


def _size(database: Database) -> float:
    if database.dialect is Dialect.SQLITE:
        return float(Path(database.location.removeprefix("SQLite ")).stat().st_size)
    with database.read() as connection:
        query = "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
        query += " WHERE inhparent = 'audit_event'::regclass"
        return float(connection.execute(text(query)).scalar_one())


def _queries(few: Database, many: Database) -> list[Took]:
    sides = (few, many)
    asked = [_asked(database) for database in sides]
    names = list(asked[0])
    took = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{few.dialect}: queries", total=len(names))
        for name in names:
            times: tuple[list[float], list[float]] = ([], [])
            for number in range(_REPETITIONS + _WARM):
                for side, database in enumerate(sides):
                    began = time.perf_counter()
                    asked[side][name](database)
                    if number >= _WARM:
                        times[side].append((time.perf_counter() - began) * 1e3)
            took.append(Took(name=name, few_ms=median(times[0]), many_ms=median(times[1])))
            progress.advance(task)
    return took


def _asked(database: Database) -> dict[str, Query]:
    """The queries of the audit page, the API and the overview, and the export of an hour."""
    with database.read() as connection:
        now = database.now(connection)
        busy, quiet = connection.execute(
            text("SELECT client_id FROM bench_client WHERE n IN (0, 9998) ORDER BY n")
        ).scalars()
    since = now - _DAY
    hour = EventFilter(since=now - timedelta(hours=7), until=now - timedelta(hours=6))

    def listed(**wanted: object) -> Query:
        return _page(EventFilter(since=since, **wanted))  # type: ignore[arg-type]  # fields of several types

    return {
        "24 h: all": listed(),
        "24 h: a busy client": listed(client_id=busy),
        "24 h: a quiet client": listed(client_id=quiet),
        "24 h: one event (client.updated)": listed(event=Event.CLIENT_UPDATED.value),
        "24 h: one event (token.issued)": listed(event=Event.TOKEN_ISSUED.value),
        "24 h: one organization": listed(organization=OTHER_ORGANIZATION),
        "24 h: one actor's deeds": listed(actor=busy, is_deed=True),
        "24 h: the next page": _page(
            EventFilter(since=since), Position(time=now - timedelta(hours=12), id=1)
        ),
        "24 h: refusals by reason (overview)": _refusals(since),
        "an hour of today, as JSON lines": _export(hour),
        "any time: the newest": _page(EventFilter()),
        "any time: a quiet client": _page(EventFilter(client_id=quiet)),
        "any time: a deed of the client page": _page(
            EventFilter(client_id=busy, is_deed=True), limit=10
        ),
        "any time: the page after those of a day": _page(EventFilter(), Position(time=since, id=1)),
        "the live tail looks": _tail(database),
    }


def _page(wanted: EventFilter, before: Position | None = None, *, limit: int = 51) -> Query:
    def ask(database: Database) -> object:
        with database.read() as connection:
            return store.page(connection, wanted, limit=limit, before=before)

    return ask


def _refusals(since: datetime) -> Query:
    def ask(database: Database) -> object:
        with database.read() as connection:
            return store.newest_details(
                connection, Event.TOKEN_REFUSED.value, None, since, limit=10_000
            )

    return ask


def _export(wanted: EventFilter) -> Query:
    def ask(database: Database) -> object:
        return sum(map(len, export.json_lines(database, wanted, Origin(actor=SYSTEM))))

    return ask


def _tail(database: Database) -> Query:
    with database.read() as connection:
        newest = store.newest_id(connection) - 5

    def ask(database: Database) -> object:
        with database.read() as connection:
            return store.written_after(connection, EventFilter(), newest, limit=50)

    return ask


def _tokens(
    cluster: Cluster | None,
    sides: Sequence[Installation],
    rounds: int,
    seconds: int,
    found: Volume,
) -> None:
    names = ("a day's rows", f"{found.rows:,} rows")
    with Console(stderr=True).status("tokens a second …"):
        running = [
            hourpass(name, installation, pinned=True, cluster=cluster)
            for name, installation in zip(names, sides, strict=True)
        ]
        try:
            for number in range(rounds + 1):
                for each, installation in zip(running, sides, strict=True):
                    before = each.cpu_s()
                    measured = load.tokens(
                        each.url,
                        installation.folder / "credentials",
                        connections=_CONNECTIONS,
                        seconds=seconds if number else 1,  # the first round only warms up
                        pinned=True,
                    )
                    cpu_us = (each.cpu_s() - before) / max(measured.requests, 1) * 1e6
                    if number:
                        found.tokens.setdefault(each.name, []).append((measured.rps, cpu_us))
        finally:
            for each in running:
                each.stop()


def most_rows(text: str) -> int:
    """Of the largest trail that is on a page."""
    return max(int(rows.replace(",", "")) for rows in _ROWS.findall(text))


def page(found: dict[str, Volume], about: str) -> str:
    """bench/audit.md."""
    lines = ["# Measurements of the audit trail at volume", "", about]
    for name, volume in found.items():
        lines += [
            "",
            f"## {name}: {volume.rows:,} rows over {MONTHS} months",
            "",
            f"{volume.size_gb:.1f} GB with indexes, filled in {volume.filled_s:,.0f} s.",
            "",
            "| median of a query | a day's rows: ms | all: ms | ratio |",
            "|---|---:|---:|---:|",
        ]
        lines += [
            f"| {each.name} | {each.few_ms:.2f} | {each.many_ms:.2f} "
            f"| {each.many_ms / each.few_ms:.2f} |"
            for each in volume.queries
        ]
        lines += [
            "",
            f"| {_CONNECTIONS} connections, pinned | tokens/s | ratio | CPU µs a token |",
            "|---|---:|---:|---:|",
        ]
        rates = {
            name: (median(rps for rps, _ in rounds), median(cpu_us for _, cpu_us in rounds))
            for name, rounds in volume.tokens.items()
        }
        base = next(iter(rates.values()))[0]
        lines += [
            f"| {name} | {rps:,.0f} | {rps / base:.2f} | {cpu_us:.0f} |"
            for name, (rps, cpu_us) in rates.items()
        ]
    return "\n".join([*lines, ""])
