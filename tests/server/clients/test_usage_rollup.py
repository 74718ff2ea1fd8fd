"""Old usage becomes one row a client and day, and no figure changes by it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from hourpass.server.clients import rollup, store, usage
from hourpass.server.clients.usage import Per
from hourpass.server.db.engine import Database
from hourpass.server.db.schema import usage as table
from hourpass.server.refused import BadInput
from support.installation import Installation

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLIENTS = ("m2m_a", "m2m_b", "m2m_c")
Row = tuple[str, int, int, int, bool]
"""Client, hours before today, issued, refused, whether the last token is known."""

# Around the moment from which hours are kept, and well before it.
ROWS = st.lists(
    st.tuples(
        st.sampled_from(CLIENTS),
        st.integers(33 * 24, 40 * 24),
        st.integers(0, 2**40),
        st.integers(0, 2**40),
        st.booleans(),
    ),
    max_size=30,
    unique_by=lambda row: row[:2],
)


@pytest.fixture(scope="module")
def database(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """On either database; each test begins by emptying the table."""
    made = new_installation(tmp_path_factory.mktemp("rollup"))
    yield made.context.database
    made.close()


def midnight() -> datetime:
    """Of today."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def add(database: Database, rows: list[Row], *, anew: bool = True) -> None:
    """These rows and no others; the last token of an hour is in its middle."""
    today = midnight()
    values = [
        {
            "client_id": client_id,
            "hour": today - back * HOUR,
            "issued": issued,
            "refused": refused,
            "last_issued_at": today - back * HOUR + HOUR / 2 if is_known else None,
        }
        for client_id, back, issued, refused, is_known in rows
    ]
    with database.write() as connection:
        if anew:
            connection.execute(delete(table))
        if values:
            connection.execute(insert(table), values)


def figures(database: Database) -> dict[str, object]:
    """Whatever can be asked: by day, by hour as far back as it goes, the last tokens."""
    today = midnight()
    with database.read() as connection:
        found: dict[str, object] = {"last": store.last_token_at(connection, CLIENTS)}
    for client_id in CLIENTS:
        for until in (today, today - 36 * DAY - 5 * HOUR, today - 37 * DAY - 23 * HOUR):
            found[f"{client_id} {until}"] = usage.of(database, client_id, Per.DAY, until=until)
        since = today - 35 * DAY
        found[client_id] = usage.of(
            database, client_id, Per.HOUR, since=since, until=since + 4 * DAY
        )
    return found


def rows(database: Database) -> set[tuple[object, ...]]:
    """All there are."""
    with database.read() as connection:
        return {tuple(row) for row in connection.execute(select(table))}


def roll_up_all(database: Database) -> None:
    """Until there is nothing more to do."""
    for _ in range(1000):
        if not rollup.roll_up(database):
            return
    raise AssertionError("there is always more")


@settings(max_examples=10)
@given(first=ROWS, late=ROWS)
def test_no_figure_changes(database: Database, first: list[Row], late: list[Row]) -> None:
    """Nor by hours that come when their day is summed already; a second look finds nothing."""
    add(database, first)
    before = figures(database)
    roll_up_all(database)
    assert figures(database) == before

    taken = {(client_id, hour) for client_id, hour, *_ in rows(database)}
    today = midnight()
    add(
        database,
        [row for row in late if (row[0], today - row[1] * HOUR) not in taken],
        anew=False,
    )
    before = figures(database)
    roll_up_all(database)
    assert figures(database) == before

    done = rows(database)
    assert not rollup.roll_up(database)
    assert rows(database) == done
    for _, hour, *_ in done:
        assert isinstance(hour, datetime)
        assert hour >= today - 36 * DAY or hour.hour == 0


def test_hours_become_one_row_of_their_day(database: Database) -> None:
    """It has the sums and the latest token; the first day of those that are kept stays as it is."""
    old, kept = 37 * 24, 36 * 24
    add(
        database,
        [
            ("m2m_a", old - 1, 3, 1, True),
            ("m2m_a", old - 23, 4, 0, True),
            ("m2m_b", old, 5, 0, True),
            ("m2m_b", old - 2, 0, 2, False),
            ("m2m_c", kept, 1, 0, True),
            ("m2m_c", kept - 1, 1, 0, True),
        ],
    )
    unchanged = {row for row in rows(database) if row[0] == "m2m_c"}
    day = midnight() - 37 * DAY

    roll_up_all(database)

    assert rows(database) - unchanged == {
        ("m2m_a", day, 7, 1, day + 23.5 * HOUR),
        ("m2m_b", day, 5, 2, day + 0.5 * HOUR),
    }
    assert unchanged < rows(database)


def test_it_goes_in_steps(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of a few clients and one day; between them every figure is right."""
    monkeypatch.setattr(rollup, "_FEWEST", 1)
    monkeypatch.setattr(rollup, "_MOST", 1)
    monkeypatch.setattr(rollup, "_WITHIN_S", 0.0001)
    add(
        database,
        [(each, 50 * 24 - hour, 1, 1, True) for each in CLIENTS for hour in (0, 1, 5, 25, 26)],
    )
    before, counts = figures(database), [len(rows(database))]
    while rollup.roll_up(database):
        assert figures(database) == before
        counts.append(len(rows(database)))

    assert figures(database) == before
    assert min(now - then for now, then in zip(counts[1:], counts, strict=False)) >= -2
    assert len(rows(database)) == 6


def test_two_at_once_and_late_hours_lose_nothing(database: Database) -> None:
    """A lock that was just lost may have two at it, while a process adds what it still has."""
    add(
        database,
        [(each, 50 * 24 - hour, 1, 0, True) for each in CLIENTS for hour in range(24)],
    )
    hour = midnight() - 50 * DAY + 3 * HOUR
    ended = threading.Event()

    def sum_up() -> None:
        while not ended.is_set():
            rollup.roll_up(database)

    def add_late() -> None:
        for number in range(60):
            of_client = CLIENTS[number % 3]
            key = {"client_id": of_client, "hour": hour}
            with database.write() as connection:
                one_more = update(table).filter_by(**key).values(issued=table.c.issued + 1)
                if not connection.execute(one_more).rowcount:
                    connection.execute(insert(table), {**key, "issued": 1, "refused": 0})

    with ThreadPoolExecutor(3) as pool:
        sums = [pool.submit(sum_up) for _ in range(2)]
        try:
            pool.submit(add_late).result(60)
        finally:
            ended.set()
        for each in sums:
            each.result(60)
    roll_up_all(database)

    with database.read() as connection:
        assert connection.execute(select(func.sum(table.c.issued))).scalar_one() == 3 * 24 + 60
    assert len(rows(database)) == 3


def test_hours_that_may_be_gone_cannot_be_asked_for(database: Database) -> None:
    """From the same moment on for all clients, whether their day is summed yet or not."""
    kept = midnight() - 35 * DAY

    assert len(usage.of(database, "m2m_a", Per.HOUR, since=kept, until=kept + HOUR)) == 1
    assert len(usage.of(database, "m2m_a", Per.HOUR, since=kept - 99 * DAY)) == 24 * 31
    with pytest.raises(BadInput, match=r"since: .*per=day"):
        usage.of(database, "m2m_a", Per.HOUR, since=kept - HOUR, until=kept + HOUR)
    with pytest.raises(BadInput, match=r"until: .*per=day"):
        usage.of(database, "m2m_a", Per.HOUR, until=kept + HOUR)
