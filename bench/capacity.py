"""From measured coefficients to machines, by arithmetic: `python -m bench.capacity`.

Writes the table between the marks in docs/scale.md. Pure but for that; nothing is measured here.
"""

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "scale.md"
RATES = (100, 1_000, 5_000, 20_000, 100_000, 1_000_000)
_HEAD = (
    "| tokens/s | clients that renew in time | nodes of 4 cores | cores of PostgreSQL "
    "| WAL MB/s: burst · compressed · worst | audit GB a day | network Mbit/s |"
)
MARKED = re.compile(r"(<!-- capacity -->\n).*(<!-- /capacity -->)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """A token's share, measured (bench/results.md, bench/coefficients.md), and what is chosen."""

    server_cpu_s: float = 180e-6
    postgresql_cpu_s: float = 40e-6
    wal_bytes: float = 1_150
    wal_bytes_compressed: float = 2_300  # each token the client's first since a checkpoint
    wal_bytes_worst: float = 5_600  # the same without compression
    audit_bytes: float = 510
    wire_bytes: float = 1_200
    renewed_after_s: float = 3_060  # 85 % of an hour
    busy: float = 0.7  # of a core, so that there is room for bursts
    node_cores: int = 4  # as many workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a rate of tokens needs; MB and GB are powers of ten."""

    rate: int
    clients: float
    server_cores: int
    nodes: int
    postgresql_cores: int
    wal_mb_s: tuple[float, float, float]
    audit_gb_day: float
    wire_mbit_s: float


def needs(rate: int, per: Coefficients) -> Needs:
    """Machines for `rate` tokens a second; one node more than needed, so that any may be lost."""
    server_cores = math.ceil(rate * per.server_cpu_s / per.busy)
    wal = (per.wal_bytes, per.wal_bytes_compressed, per.wal_bytes_worst)
    return Needs(
        rate=rate,
        clients=rate * per.renewed_after_s,
        server_cores=server_cores,
        nodes=math.ceil(server_cores / per.node_cores) + 1,
        postgresql_cores=math.ceil(rate * per.postgresql_cpu_s / per.busy),
        wal_mb_s=(rate * wal[0] / 1e6, rate * wal[1] / 1e6, rate * wal[2] / 1e6),
        audit_gb_day=rate * per.audit_bytes * 86_400 / 1e9,
        wire_mbit_s=rate * per.wire_bytes * 8 / 1e6,
    )


def table(per: Coefficients) -> str:
    """The table of docs/scale.md."""
    lines = [_HEAD, "|---:|---:|---:|---:|---:|---:|---:|"]
    for rate in RATES:
        found = needs(rate, per)
        wal = " · ".join(_figure(value) for value in found.wal_mb_s)
        lines.append(
            f"| {rate:,} | {_people(found.clients)} | {found.nodes:,} | {found.postgresql_cores} "
            f"| {wal} | {_figure(found.audit_gb_day)} | {_figure(found.wire_mbit_s)} |"
        )
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    """Two digits that count, and no more than are known."""
    digits = 1 - math.floor(math.log10(value))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def _people(count: float) -> str:
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if count >= size:
            return f"{_figure(count / size)} {name}"
    return f"{round(count, -4):,.0f}"


def main() -> int:
    """Put the table into the page."""
    text = PAGE.read_text("utf-8")
    made = table(Coefficients())
    PAGE.write_text(MARKED.sub(lambda found: found[1] + made + found[2], text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
