"""What a token costs in bytes, on PostgreSQL and SQLite: `python -m bench.coefficients`.

Writes bench/coefficients.md, from which docs/scale.md and docs/operate.md calculate. Nothing
here is a timing, so a busy machine does no harm; it only makes batches smaller or larger, and
how many tokens shared a commit is said.
"""

import shutil
import socket
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from rich.console import Console

from bench import load
from bench.contestants import Contestant, hourpass
from bench.populate import populate
from support.installation import Credentials, Installation
from support.postgres import Cluster

HERE = Path(__file__).parent
CLIENTS = 10_000
CONNECTIONS = (1, 32, 128)
EARLIER = 200  # tokens of each client, so that its part of the index fills pages of its own
SECONDS = 10
# As an installation of this size would have it: a checkpoint every half an hour or so.
_SETTINGS = {"checkpoint_timeout": "'1h'", "max_wal_size": "'16GB'", "autovacuum": "off"}
_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, 0"
_EARLIER = """
    INSERT INTO audit_event (time, event, actor_type, actor_id, actor_name,
        client_id, client_name, organization, request_id, ip, detail)
    SELECT now() - interval '1 hour' * n, e.event, e.actor_type, e.actor_id, e.actor_name,
        c.client_id, c.name, c.organization, e.request_id, e.ip, e.detail
    FROM generate_series(%s, 1, -1) AS n CROSS JOIN client c CROSS JOIN
        (SELECT * FROM audit_event WHERE event = 'token.issued' LIMIT 1) AS e
"""
_COMMITS = "SELECT count(DISTINCT time), count(*) FROM audit_event WHERE event = 'token.issued'"
_SIZES = """
    WITH part AS (
        SELECT inhrelid AS relation FROM pg_inherits WHERE inhparent = 'audit_event'::regclass
        UNION SELECT 'audit_event'::regclass)
    SELECT sum(pg_table_size(relation)), sum(pg_indexes_size(relation)) FROM part
"""


_FIRST = "each client's first token since a checkpoint"
_ABOUT = (
    f"Made by `python -m bench.coefficients` on {{date}}: {CLIENTS:,} clients that ask in turn, "
    f"{SECONDS} s of load each, PostgreSQL 18 from the wheel with full page writes, no WAL "
    "compression unless said, and no checkpoint meanwhile. The share of a token in what was "
    "written, in bytes; no timings."
)
_SHARE = (
    f"- Of the CPU time of server and PostgreSQL, with {CONNECTIONS[-1]} connections, "
    "{share:.0%} is PostgreSQL's."
)
_TERMS = (
    "*From a checkpoint on*: the first change of a page since a checkpoint writes the whole page "
    "into the WAL (`full_page_writes`). *Later*: most pages were changed since. *Each client's "
    f"first token*: {EARLIER * CLIENTS:,} earlier tokens are in the table, so that each client has "
    "pages of its own in the index by client, and one of them is written whole."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a database had done by then; bytes since it was made."""

    tokens: int
    commits: int
    wal: int
    table: int
    indexes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A token's share of what was done between two moments, in bytes."""

    name: str
    tokens: int
    batch: float
    wal: float
    table: float
    indexes: float


def main() -> int:
    """Measure and write the page."""
    if missing := load.missing_programs():
        sys.stderr.write(f"bench: install {', '.join(missing)} first\n")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="hourpass-coefficients-"))
    cluster = Cluster(folder)
    try:
        costs, share = _postgresql(folder, cluster)
        size = _sqlite(folder)
        request, answer = _on_the_wire(folder)
    finally:
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)
    (HERE / "coefficients.md").write_text(_page(costs, share, size, request, answer), "utf-8")
    return 0


def _postgresql(folder: Path, cluster: Cluster) -> tuple[list[Cost], float]:
    """Costs by the number of connections, and PostgreSQL's share of the CPU time."""
    for name, value in _SETTINGS.items():
        cluster.execute(f"ALTER SYSTEM SET {name} = {value}")
    cluster.execute("SELECT pg_reload_conf()")
    cluster.execute("CREATE DATABASE coefficients")
    url = cluster.url("coefficients")
    made, credentials = _ready(folder / "postgresql", url)
    both = hourpass("PostgreSQL", made, pinned=False, cluster=cluster)
    alone = Contestant(both.name, both.url, both.process)
    costs = []
    try:
        with closing(psycopg.connect(url, autocommit=True)) as session:
            _ask(both.url, credentials, 32, 5)  # the tables have pages, the server its clients
            for connections in CONNECTIONS:
                session.execute("CHECKPOINT")
                name = f"{connections} connections, from a checkpoint on"
                costs.append(_between(session, name, both.url, credentials, connections))
                cpu, own = both.cpu_s(), alone.cpu_s()
                name = f"{connections} connections, later"
                costs.append(_between(session, name, both.url, credentials, connections))
                whole, server = both.cpu_s() - cpu, alone.cpu_s() - own
            with Console(stderr=True).status(f"{EARLIER * CLIENTS:,} earlier tokens …"):
                session.execute(_EARLIER.encode(), (EARLIER,))
            for compression in ("off", "pglz"):
                session.execute(f"ALTER SYSTEM SET wal_compression = {compression}".encode())
                session.execute("SELECT pg_reload_conf()")
                session.execute("CHECKPOINT")
                name = (
                    f"each client's first token since a checkpoint, `wal_compression={compression}`"
                )
                costs.append(_between(session, name, both.url, credentials, CONNECTIONS[-1], 2))
    finally:
        both.stop()
        made.close()
    return costs, (whole - server) / whole


def _between(
    session: psycopg.Connection,
    name: str,
    url: str,
    credentials: Path,
    connections: int,
    seconds: int = SECONDS,
) -> Cost:
    before = _moment(session)
    _ask(url, credentials, connections, seconds)
    after = _moment(session)
    tokens = after.tokens - before.tokens
    return Cost(
        name=name,
        tokens=tokens,
        batch=tokens / (after.commits - before.commits),
        wal=(after.wal - before.wal) / tokens,
        table=(after.table - before.table) / tokens,
        indexes=(after.indexes - before.indexes) / tokens,
    )


def _moment(session: psycopg.Connection) -> Moment:
    """Counted when nothing is under way."""
    commits, tokens = _row(session, _COMMITS)
    wal, _ = _row(session, _WAL)
    table, indexes = _row(session, _SIZES)
    return Moment(tokens=tokens, commits=commits, wal=wal, table=table, indexes=indexes)


def _row(session: psycopg.Connection, query: str) -> tuple[int, int]:
    row = session.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _ask(url: str, credentials: Path, connections: int, seconds: int) -> None:
    with Console(stderr=True).status(f"{connections} connections for {seconds} s …"):
        done = load.tokens(url, credentials, connections=connections, seconds=seconds, pinned=False)
    if done.non200 or done.errors:
        raise RuntimeError(f"{done.non200} requests were refused, {done.errors} failed")


def _sqlite(folder: Path) -> float:
    """Bytes by which the file grows with each token."""
    file = folder / "growing.db"
    made, credentials = _ready(folder / "sqlite", f"sqlite:///{file}")
    size, before = file.stat().st_size, len(made.events(event="token.issued"))
    running = hourpass("SQLite", made, pinned=False)
    try:
        _ask(running.url, credentials, 32, SECONDS)
    finally:
        running.stop()  # the WAL is in the file now
    tokens = len(made.events(event="token.issued")) - before
    made.close()
    return (file.stat().st_size - size) / tokens


def _on_the_wire(folder: Path) -> tuple[int, int]:
    """Bytes of a request as programs send it, and of its answer, heads included."""
    made = Installation(folder / "wire", f"sqlite:///{folder}/wire.db")
    made.apply_catalogue()
    client: Credentials = made.create_client("bookings:read", "customers:read")
    running = hourpass("wire", made, pinned=False)
    body = "grant_type=client_credentials"
    form = {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"}
    request = load.request("POST", "/token", {**form, **client.basic}, body).encode()
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", made.port), 10) as connection:
            connection.sendall(request)
            while part := connection.recv(65536):
                answer += part
    finally:
        running.stop()
        made.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return len(request), len(answer)


def _ready(folder: Path, url: str) -> tuple[Installation, Path]:
    with Console(stderr=True).status(f"making {CLIENTS:,} clients …"):
        made = Installation(folder, url)
        made.apply_catalogue()
        credentials = folder / "credentials"
        populate(made.context, CLIENTS, credentials, keep=CLIENTS)
    return made, credentials


def _page(costs: list[Cost], share: float, size: float, request: int, answer: int) -> str:
    lines = [
        "# What a token costs in bytes",
        "",
        _ABOUT.format(date=datetime.now(UTC).date()),
        "",
        "| | tokens | tokens a commit | WAL | table | indexes |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {cost.name} | {cost.tokens:,} | {cost.batch:.1f} | {cost.wal:,.0f} | "
        f"{cost.table:,.0f} | {cost.indexes:,.0f} |"
        for cost in costs
    ]
    lines += [
        "",
        f"- SQLite: the file grows by {size:,.0f} bytes with each token.",
        f"- A request is {request:,} bytes, its answer {answer:,}, heads included.",
        _SHARE.format(share=share),
        "",
        _TERMS,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
