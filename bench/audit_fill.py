"""An audit trail as large as wanted, in little time: rows as a server would have written them.

Of a thousand events about four are refusals and one is a deed; the rest are tokens issued. A tenth
of the clients get most of them, and one client in a hundred belongs to another organization.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, text

from hourpass.server.audit import partition_store
from hourpass.server.audit.partitions import keep_partitions, month, partitions
from hourpass.server.db.columns import micros
from hourpass.server.db.engine import Database, Dialect
from hourpass.server.db.schema import client

OTHER_ORGANIZATION = "acme"
BYTES_A_ROW = {Dialect.POSTGRESQL: 600, Dialect.SQLITE: 600}
"""On disk, with the indexes and what the write-ahead log takes in between."""
_AT_ONCE = {Dialect.POSTGRESQL: 500_000, Dialect.SQLITE: 50_000}
_COLUMNS = (
    "time, event, actor_type, actor_id, actor_name, client_id, client_name, organization, "
    "request_id, ip, detail"
)
_EVENT = (
    "CASE WHEN i % 250 = 0 THEN 'token.refused' WHEN i % 1000 = 1 THEN 'client.updated' "
    "ELSE 'token.issued' END"
)
_ROWS = (
    "'client', c.client_id, c.name, c.client_id, c.name, c.organization, RANDOM, "
    "'192.0.2.' || (i % 250), "
    '\'{"jti":"\' || RANDOM || \'","scope":"bookings:read customers:read",'
    '"aud":"https://api.example.com","kid":"3oQ8nIxk3vW5uDWkO2c1rN7Jb5y8cE0Vq9mT4hZl2aY",'
    '"method":"client_secret_basic"}\''
)
_POSTGRES = f"""
    INSERT INTO TABLE_NAME ({_COLUMNS})
    SELECT CAST(:begin AS timestamptz) + (i - :first) * CAST(:step AS interval), {_EVENT},
        {_ROWS.replace("RANDOM", "md5(i::text)")}
    FROM (SELECT i, floor(power(random(), 3) * :clients)::int AS n
            FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS i) AS s
        JOIN bench_client c USING (n)
    ORDER BY i
"""
_SQLITE = f"""
    INSERT INTO audit_event ({_COLUMNS})
    WITH RECURSIVE s(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM s WHERE i < :last),
        p(i, n) AS MATERIALIZED (
            SELECT i, CAST(pow((random() & 1048575) / 1048576.0, 3) * :clients AS INTEGER) FROM s)
    SELECT :begin + CAST((i - :first) * :step AS INTEGER), {_EVENT},
        {_ROWS.replace("RANDOM", "lower(hex(randomblob(16)))")}
    FROM p CROSS JOIN bench_client c ON c.n = p.n
"""  # (put together from constants)


def fill(database: Database, rows: int, since: datetime, advance: Callable[[int], None]) -> None:
    """So many events, spread evenly from `since` to now; `advance` hears how many were written."""
    with database.read() as connection:
        now = database.now(connection)
    step = (now - since) / rows
    _number_clients(database)
    if database.dialect is Dialect.POSTGRESQL:
        _fill_partitions(database, rows, since, step, now, advance)
    else:
        _fill_table(database, rows, since, step, advance)


def _number_clients(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("DROP TABLE IF EXISTS bench_client"))
        connection.execute(
            text(
                "CREATE TABLE bench_client (n integer PRIMARY KEY, client_id text, name text, "
                "organization text)"
            )
        )
        found = connection.execute(select(client.c.client_id, client.c.name).order_by(client.c.seq))
        numbered = [
            {
                "n": number,
                "client_id": client_id,
                "name": name,
                "organization": OTHER_ORGANIZATION if number % 100 == 99 else "default",
            }
            for number, (client_id, name) in enumerate(found)
        ]
        names = ", ".join(f":{name}" for name in numbered[0])
        connection.execute(text(f"INSERT INTO bench_client VALUES ({names})"), numbered)


def _fill_partitions(
    database: Database,
    rows: int,
    since: datetime,
    step: timedelta,
    now: datetime,
    advance: Callable[[int], None],
) -> None:
    """Each month's partition is filled first and gets its indexes then: five times as fast."""
    with database.write() as connection:
        _unlimited(connection)
        connection.execute(text("CREATE TABLE bench_kept AS SELECT * FROM audit_event"))
        for each in partitions(connection):
            connection.execute(text(f"DROP TABLE {each.name}"))
    clients = _count_clients(database)
    first, begin = 1, month(since)
    while begin <= now:
        name, until = f"audit_event_{begin:%Y_%m}", month(begin, 1)
        last = min(rows, int((until - since) / step))
        with database.write() as connection:
            _unlimited(connection)
            connection.execute(text(f"CREATE TABLE {name} (LIKE audit_event INCLUDING DEFAULTS)"))
        for a, b in _chunks(first, last, _AT_ONCE[Dialect.POSTGRESQL]):
            with database.write() as connection:
                _unlimited(connection)
                values = {
                    "begin": since + a * step,
                    "step": step,
                    "first": a,
                    "last": b,
                    "clients": clients,
                }
                connection.execute(text(_POSTGRES.replace("TABLE_NAME", name)), values)
            advance(b - a + 1)
        with database.write() as connection:
            _unlimited(connection)
            connection.execute(text(f"DELETE FROM {name} WHERE time >= '{until.isoformat()}'"))
            partition_store.attach(connection, name, begin, until)
        first, begin = last + 1, until
    with database.write() as connection:
        connection.execute(
            text("INSERT INTO audit_event SELECT * FROM bench_kept"),
        )
        connection.execute(text("DROP TABLE bench_kept"))
    keep_partitions(database)
    with database.look() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        for each in partitions(connection):
            connection.execute(text(f"VACUUM (ANALYZE) {each.name}"))
        connection.execute(text("ANALYZE audit_event"))
        connection.execute(text("CHECKPOINT"))
        connection.invalidate()


def _fill_table(
    database: Database,
    rows: int,
    since: datetime,
    step: timedelta,
    advance: Callable[[int], None],
) -> None:
    """The indexes are made afterwards, as above."""
    with database.write() as connection:
        indexes: dict[str, str] = dict(
            connection.execute(
                text(
                    "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'audit_event' "
                    "AND type = 'index' AND sql IS NOT NULL"
                )
            ).all()
        )
        for name in indexes:
            connection.execute(text(f"DROP INDEX {name}"))
    clients = _count_clients(database)
    for a, b in _chunks(1, rows, _AT_ONCE[Dialect.SQLITE]):
        values = {
            "begin": micros(since + a * step),
            "step": step / timedelta(microseconds=1),
            "first": a,
            "last": b,
            "clients": clients,
        }
        with database.write() as connection:
            connection.execute(text(_SQLITE), values)
        advance(b - a + 1)
    with database.write() as connection:
        for statement in indexes.values():
            connection.execute(text(statement))
        connection.execute(text("ANALYZE"))


def _count_clients(database: Database) -> int:
    with database.read() as connection:
        count: int = connection.execute(text("SELECT count(*) FROM bench_client")).scalar_one()
        return count


def _chunks(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    for begin in range(first, last + 1, size):
        yield begin, min(last, begin + size - 1)


def _unlimited(connection: Connection) -> None:
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL synchronous_commit = off"))
    connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
