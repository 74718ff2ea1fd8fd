"""Statements that are run without a cursor: what goes wrong is told as a cursor tells it."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from hourpass.server.db.postgres import Prepared, raw_connection
from support.postgres import Cluster


@pytest.fixture
def connection(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """A bare connection to a database that others use as well."""
    made = raw_connection(cluster.url("postgres"), statement_timeout_s=5)
    with contextlib.closing(made):
        yield made


def test_rows_are_texts(connection: psycopg.Connection) -> None:
    """As many rows as there are, in order, run as often as wanted."""
    double = Prepared(connection, "double", "SELECT n, n * 2 FROM generate_series(1, $1::int) n")

    assert double(("2",)) == [["1", "2"], ["2", "4"]]
    assert double(("0",)) == []
    assert connection.execute("SELECT 1").fetchone() == (1,)  # cursors go on beside it


def test_a_statement_that_fails_says_why(connection: psycopg.Connection) -> None:
    """The connection stays: the next one is run."""
    divide = Prepared(connection, "divide", "SELECT 1 / $1::int")

    with pytest.raises(psycopg.errors.DivisionByZero):
        divide(("0",))
    assert divide(("1",)) == [["1"]]
    with pytest.raises(psycopg.errors.UndefinedTable):
        Prepared(connection, "nowhere", "SELECT * FROM nowhere")


def test_a_statement_that_takes_too_long_is_cancelled(cluster: Cluster) -> None:
    """`statement_timeout` holds for it as well."""
    with contextlib.closing(
        raw_connection(cluster.url("postgres"), statement_timeout_s=0.05)
    ) as made:
        sleep = Prepared(made, "sleep", "SELECT pg_sleep($1::int)")
        with pytest.raises(psycopg.errors.QueryCanceled):
            sleep(("30",))


def test_a_lost_connection_is_an_operational_error(
    cluster: Cluster, connection: psycopg.Connection
) -> None:
    """Ended by the database between two statements, and told again whenever it is tried."""
    one = Prepared(connection, "one", "SELECT 1")
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))

    for _ in range(3):
        with pytest.raises(psycopg.OperationalError):
            one(())
    assert connection.closed


def test_another_thread_can_shut_the_line(connection: psycopg.Connection) -> None:
    """While a statement waits all other threads go on, and one of them may end it."""
    sleep = Prepared(connection, "sleep", "SELECT pg_sleep($1::int)")
    faults: list[BaseException] = []

    def wait() -> None:
        try:
            sleep(("30",))
        except psycopg.OperationalError as fault:
            faults.append(fault)

    waiting = threading.Thread(target=wait)
    began = time.monotonic()
    waiting.start()
    time.sleep(0.2)
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
    waiting.join(10)

    assert len(faults) == 1
    assert time.monotonic() - began < 5
