"""Readiness tells the truth: which part is not well, and that requests under way are answered."""

import os
import signal
import socket
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from support.installation import Installation, Server
from support.metrics import Metrics, until
from support.ports import free_port
from support.postgres import Cluster

PARTS = ["database", "writes", "schema", "durability", "commits", "running"]


class Watched:
    """A server and its metrics port."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.metrics = Metrics(free_port())
        self.server = Server(installation, **self.metrics.setting)

    def is_unwell(self, part: str) -> bool:
        """Whether both ports say 503, and the operator's says which part and why."""
        public, detailed = self.server.http.get("/readyz"), self.metrics.get("/readyz")
        parts = detailed.json()["parts"]
        return (
            (public.status_code, detailed.status_code) == (503, 503)
            and public.json() == {"status": "unavailable"}
            and parts[part]["status"] == "unavailable"
            and bool(parts[part]["detail"])
        )

    def is_well(self) -> bool:
        """Whether both ports say 200."""
        return (
            self.server.http.get("/readyz").status_code == 200
            and self.metrics.get("/readyz").status_code == 200
        )

    def close(self) -> None:
        """Stop it."""
        self.server.stop()
        self.installation.close()


@pytest.fixture
def watched(installation: Installation) -> Iterator[Watched]:
    """A server of the test's own."""
    made = Watched(installation)
    yield made
    made.close()


def test_a_database_that_is_not_migrated_is_not_ready_and_a_newer_one_is(watched: Watched) -> None:
    """A newer version may migrate while this one serves."""
    assert list(watched.metrics.get("/readyz").json()["parts"]) == PARTS

    def set_version(version: str) -> None:
        with watched.installation.context.database.write() as connection:
            connection.execute(text(f"update alembic_version set version_num = '{version}'"))

    set_version("0001")
    assert watched.is_unwell("schema")
    assert watched.metrics.value("hourpass_ready") == 0
    assert watched.metrics.value("hourpass_database_up") == 1
    set_version("9999")
    assert watched.is_well()


def test_it_is_not_ready_once_it_was_told_to_end(watched: Watched) -> None:
    """From SIGTERM on, while a request that is under way still gets its answer."""
    server = watched.server
    credentials = watched.installation.create_client("customers:read")
    body = b"grant_type=client_credentials"
    head = (
        "POST /token HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {credentials.basic['Authorization']}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    assert server.process is not None
    with socket.create_connection(("127.0.0.1", watched.installation.port), timeout=15) as half:
        half.sendall(head.encode() + body[:5])
        until(lambda: watched.metrics.value("hourpass_ready") == 1)
        os.killpg(server.process.pid, signal.SIGTERM)
        until(lambda: watched.metrics.get("/readyz").status_code == 503)
        parts = watched.metrics.get("/readyz").json()["parts"]
        half.sendall(body[5:])
        answer = half.recv(65536)

    assert [name for name, part in parts.items() if part["status"] != "ok"] == ["running"]
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert server.process.wait(15) == 0


@pytest.fixture(scope="module")
def on_postgres(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A server on a database whose settings change under it."""
    cluster.execute("create database hp_readiness")
    installation = Installation(tmp_path_factory.mktemp("readiness"), cluster.url("hp_readiness"))
    installation.apply_catalogue()
    made = Watched(installation)
    yield made
    made.close()


def change(cluster: Cluster, setting: str) -> None:
    """Change the database and cut everybody's connection, so that new ones have the setting."""
    cluster.execute(f"alter database hp_readiness {setting}")
    cluster.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'hp_readiness'"
    )


@pytest.mark.parametrize(
    ("part", "setting", "back"),
    [
        (
            "writes",
            "set default_transaction_read_only = on",
            "reset default_transaction_read_only",
        ),
        ("durability", "set synchronous_commit = off", "reset synchronous_commit"),
        ("database", "allow_connections false", "allow_connections true"),
    ],
)
def test_postgresql_that_cannot_serve_is_not_ready(
    on_postgres: Watched, cluster: Cluster, part: str, setting: str, back: str
) -> None:
    """Read-only (a standby looks like that), forgetful, or away; and well again by itself."""
    metrics = on_postgres.metrics
    until(lambda: on_postgres.is_well() and metrics.value("hourpass_clients", status="active") == 0)
    change(cluster, setting)
    try:
        until(lambda: on_postgres.is_unwell(part))
        # A server that takes no writes is one that nobody connects to.
        assert metrics.value("hourpass_database_up") == float(part == "durability")
        assert metrics.value("hourpass_clients", status="active") == 0, "the last value stays"
        assert metrics.value("hourpass_tokens_issued_total") == 0
    finally:
        change(cluster, back)
    until(on_postgres.is_well)


def test_the_log_says_it_once(on_postgres: Watched, cluster: Cluster) -> None:
    """However often somebody asks: one line when it goes, one when it comes back."""
    log = on_postgres.server.log

    def lines(words: str) -> int:
        return log.read_text().count(words)

    before = lines("ready again")
    change(cluster, "set default_transaction_read_only = on")
    try:
        until(lambda: on_postgres.is_unwell("writes"))
        for _ in range(3):  # that its connection was cut is one reason, what it met then another
            assert on_postgres.is_unwell("writes")
        said = lines("not ready: ")
        for _ in range(5):
            assert on_postgres.is_unwell("writes")
        assert lines("not ready: ") == said
    finally:
        change(cluster, "reset default_transaction_read_only")
    until(on_postgres.is_well)

    assert said >= 1
    assert lines("ready again") - before >= 1
