"""Figures to pages: bench/results.md, bench/chart.svg, the table in the README; bench/checks.md,
bench/audit.md.
"""

import os
import platform
import re
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import audit_volume
from bench.audit_volume import Volume
from bench.batch_of_one import BARE, Cost
from bench.load import Measured
from bench.management import Row
from bench.rates import Rates
from bench.verifying import SIGNATURE, Took
from hourpass.server.db import sqlite

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
_CEILING = "ceiling (no storage)"
_SHOWN = "32 connections, pinned"
_ABOUT = (
    "Made by `make bench` on {date}: {machine}. Medians of {rounds} rounds of {seconds} s; "
    "contestants take turns, so compare within a table, not across pages. `POST /token` with "
    "Basic credentials, load from wrk. Every Hourpass token's audit row is durable before its "
    "answer (SQLite: `synchronous=FULL`; PostgreSQL: `synchronous_commit=on`). CPU time is that "
    "of the server and, with PostgreSQL, of the database."
)
_CHECKS = (
    "Made by `make bench` on {date}: {machine}. Medians of {rounds} rounds of {seconds} s, in "
    "turns: compare within a table. A thousand tokens of as many clients, each seen before; load "
    "from wrk, the server on one core, wrk on the other. CPU time is that of the server and, with "
    "PostgreSQL, of the database. *Without the read*: signature, claims and answer as ever, and "
    "nothing looked up."
)
_AUDIT = (
    "Made by `make bench` on {date}: {machine}. Two installations with as many events a day, one "
    "with its last day only: compare within a table. Queries as the admin UI, the management API "
    "and the overview ask them, in turns, without HTTP; pages of 50."
)
_FLOODS = (
    "Made by `make bench` on {date}: {machine}. Medians of {rounds} rounds of {seconds} s, quiet "
    "and flooded in turns. The tokens are those of 10,000 other clients, asked for as fast as they "
    "come, from wrk; the server on one core, wrk and the flood on the other. Every kind of flood "
    "comes from the same machine, from one or several of its addresses. *Connections that ask "
    "without a pause*: from wrk, which minds no `Retry-After`; p99 is of all answers."
)
_TERMS = (
    "*Ceiling*: the same HTTP server, parsing, ES256 signature and answer, with no storage at "
    "all. *Pinned*: the server on one core, wrk on the other."
)
_STYLE = (
    "<style>text{font:14px system-ui,sans-serif;fill:#33332e}"
    "@media (prefers-color-scheme:dark){text{fill:#e6e6e0}}</style>"
)


@dataclass(frozen=True, slots=True)
class Line:
    """What one contestant did: wrk's figures, and CPU time a token in microseconds."""

    measured: Measured
    cpu_us: float


@dataclass(slots=True)
class Results:
    """Everything a run found."""

    seconds: int
    rounds: int
    tables: dict[str, dict[str, Line]] = field(default_factory=dict)
    raw: list[str] = field(default_factory=list)
    starting_s: list[float] = field(default_factory=list)
    resident_mb: dict[str, float] = field(default_factory=dict)
    batch_of_one: dict[str, Cost] = field(default_factory=dict)
    lists: dict[str, list[Row]] = field(default_factory=dict)
    creating: dict[str, tuple[Measured, float]] = field(default_factory=dict)
    rates: dict[str, Rates] = field(default_factory=dict)
    verifying: list[Took] = field(default_factory=list)
    integrator: list[str] = field(default_factory=list)
    floods: dict[str, list[str]] = field(default_factory=dict)
    verifier_mb: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    audit: dict[str, Volume] = field(default_factory=dict)


def write(results: Results) -> None:
    """All three."""
    (HERE / "results.md").write_text(_page(results), "utf-8")
    shown = results.tables[_SHOWN]
    (HERE / "chart.svg").write_text(_chart(shown), "utf-8")
    text = README.read_text("utf-8")
    section = f"<!-- bench -->\n{_readme(results)}<!-- /bench -->"
    README.write_text(
        re.sub(r"<!-- bench -->.*<!-- /bench -->", lambda _: section, text, flags=re.DOTALL),
        "utf-8",
    )


def _page(results: Results) -> str:
    lines = [
        "# Measurements",
        "",
        _ABOUT.format(
            date=datetime.now(UTC).date(),
            machine=_machine(),
            rounds=results.rounds,
            seconds=results.seconds,
        ),
        "",
        _TERMS,
    ]
    lines += _tables(results)
    for title, rows in results.lists.items():
        lines += ["", f"## {title}", "", *_lists(rows)]
    for kind, (measured, cpu_ms) in results.creating.items():
        bad = measured.non200 + measured.errors
        lines.append("")
        lines.append(
            f"Creating clients over HTTP on {kind}, 8 connections, server on one core: "
            f"{measured.rps:,.0f} a second, {cpu_ms:.2f} ms of CPU time each, "
            f"p99 {measured.p99_ms:.0f} ms, {bad} failed."
        )
    lines += ["", "## Start and memory", ""]
    starting = median(results.starting_s)
    lines.append(f"- From start to the first answer: {starting:.2f} s")
    lines += [f"- Resident memory, {name}: {mb:.0f} MB" for name, mb in results.resident_mb.items()]
    lines += [f"- {note}" for note in results.notes]
    lines += ["", "## Raw lines", "", "```", *results.raw, "```", ""]
    return "\n".join(lines)


def part(results: Results) -> str:
    """Of bench/results.md, the tables alone."""
    raw = ["", "```", *results.raw, "```"] if results.raw else []
    return "\n".join([*_tables(results)[1:], *raw, ""])


_PAGES = (
    "[tokens, workers, memory](bench/results.md), [checks of tokens](bench/checks.md), "
    "[the audit trail](bench/audit.md), [floods](bench/floods.md)"
)


def write_checks(results: Results) -> None:
    """bench/checks.md."""
    about = _CHECKS.format(
        date=datetime.now(UTC).date(),
        machine=_machine(),
        rounds=results.rounds,
        seconds=results.seconds,
    )
    lines = ["# Measurements of the checks, and of the integrator's side", "", about]
    for title, rates in results.rates.items():
        lines += ["", f"## {title}", "", *_rates(rates)]
    lines += ["", "## The offline check, ES256", "", *_verifying(results.verifying), ""]
    lines += [f"- Resident memory, {name}: {mb:.0f} MB" for name, mb in results.verifier_mb.items()]
    lines += ["", "## The integrator's side", "", *(f"- {line}" for line in results.integrator), ""]
    (HERE / "checks.md").write_text("\n".join(lines), "utf-8")


def write_audit(results: Results) -> bool:
    """bench/audit.md; False where it has more rows than were measured now: it is only printed."""
    about = _AUDIT.format(date=datetime.now(UTC).date(), machine=_machine())
    page = audit_volume.page(results.audit, about)
    file = HERE / "audit.md"
    if file.exists() and audit_volume.most_rows(page) < audit_volume.most_rows(file.read_text()):
        sys.stdout.write(page)
        return False
    file.write_text(page, "utf-8")
    return True


def write_floods(results: Results) -> None:
    """bench/floods.md."""
    about = _FLOODS.format(
        date=datetime.now(UTC).date(),
        machine=_machine(),
        rounds=results.rounds,
        seconds=results.seconds,
    )
    lines = ["# What a flood costs those who have no part in it", "", about]
    for kind, found in results.floods.items():
        lines += ["", f"## {kind}", "", *found]
    (HERE / "floods.md").write_text("\n".join([*lines, ""]), "utf-8")


def _tables(results: Results) -> list[str]:
    lines = []
    for title, table in results.tables.items():
        lines += ["", f"## {title[0].upper()}{title[1:]}", "", *_table(table)]
    if results.batch_of_one:
        lines += ["", "## PostgreSQL: a batch of one", "", *_costs(results.batch_of_one)]
    return lines


def _costs(costs: dict[str, Cost]) -> list[str]:
    base = costs[BARE]
    return [
        "| | µs each | of the first | CPU µs each | CPU of the first |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name} | {cost.us:.0f} | {cost.us / base.us:.2f} "
            f"| {cost.cpu_us:.0f} | {cost.cpu_us / base.cpu_us:.2f} |"
            for name, cost in costs.items()
        ),
    ]


def _table(table: dict[str, Line]) -> list[str]:
    base = table.get(_CEILING) or next(iter(table.values()))
    lines = [
        "| | tokens/s | of the first | p50 ms | p99 ms | CPU µs a token | CPU of the first |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, line in table.items():
        measured = line.measured
        bad = measured.non200 + measured.errors
        lines.append(
            f"| {name}{f' ({bad} failed)' if bad else ''} | {measured.rps:,.0f} "
            f"| {measured.rps / base.measured.rps:.0%} | {measured.p50_ms:.2f} "
            f"| {measured.p99_ms:.2f} | {line.cpu_us:.0f} | {line.cpu_us / base.cpu_us:.0%} |"
        )
    return lines


def _rates(rates: Rates) -> list[str]:
    base = next(iter(rates.values()))
    return [
        "| | requests/s | of the first | p99 ms | CPU µs each |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name}{f' ({rate.failed} failed)' if rate.failed else ''} | {rate.rps:,.0f} "
            f"| {rate.rps / base.rps:.0%} | {rate.p99_ms:.2f} | {rate.cpu_us:.0f} |"
            for name, rate in rates.items()
        ),
    ]


def _verifying(took: list[Took]) -> list[str]:
    base = next(each.us for each in took if each.name == SIGNATURE)
    return [
        "| | µs a token | of joserfc's signature check |",
        "|---|---:|---:|",
        *(f"| {each.name} | {each.us:.1f} | {each.us / base:.2f} |" for each in took),
    ]


def _lists(rows: list[Row]) -> list[str]:
    return [
        "| `GET /clients…`, one connection | few: p50 ms | many: p50 ms | ratio |",
        "|---|---:|---:|---:|",
        *(
            f"| {row.name}{f' ({row.failed} failed)' if row.failed else ''} "
            f"| {row.few_ms:.2f} | {row.many_ms:.2f} | {row.many_ms / row.few_ms:.2f} |"
            for row in rows
        ),
    ]


def _readme(results: Results) -> str:
    lines = [f"Tokens a second, {_SHOWN} (server on one core; `make bench` on your machine):", ""]
    lines += ["| | tokens/s | p50 ms | p99 ms |", "|---|---:|---:|---:|"]
    for name, line in results.tables[_SHOWN].items():
        m = line.measured
        lines.append(f"| {name} | {m.rps:,.0f} | {m.p50_ms:.1f} | {m.p99_ms:.1f} |")
    lines += ["", "![Tokens a second](bench/chart.svg)", "", f"All figures: {_PAGES}.", ""]
    return "\n".join(lines)


def _chart(table: dict[str, Line]) -> str:
    """Horizontal bars, readable on light and on dark."""
    top = max(line.measured.rps for line in table.values())
    rows = []
    for number, (name, line) in enumerate(table.items()):
        y, width = 16 + number * 34, 360 * line.measured.rps / top
        colour = "#2f6f5e" if name.startswith("Hourpass") else "#9a9a93"
        rows.append(
            f'<text x="226" y="{y + 16}" text-anchor="end">{name}</text>'
            f'<rect x="236" y="{y}" width="{width:.0f}" height="22" rx="3" fill="{colour}"/>'
            f'<text x="{242 + width:.0f}" y="{y + 16}">{line.measured.rps:,.0f}</text>'
        )
    height = 24 + 34 * len(rows)
    size = f'viewBox="0 0 680 {height}" width="680" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Tokens a second">'
        f"{_STYLE}{''.join(rows)}</svg>\n"
    )


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        cpu = names[0].strip() if names else cpu
    except OSError:
        pass
    return (
        f"{os.cpu_count()} cores ({cpu}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite.driver.sqlite_version}"
    )
