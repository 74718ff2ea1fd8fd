"""`/healthz` and `/readyz`, and what still answers when the database does not."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from token_answers import refused, token_in

from support.installation import Credentials, Installation, Server
from support.metrics import Metrics, until
from support.ports import free_port
from support.postgres import Cluster

JWKS = "/.well-known/jwks.json"
METADATA = "/.well-known/oauth-authorization-server"
SOON_S = 3.0
BOTH = pytest.mark.parametrize("path", ["/healthz", "/readyz"])


@BOTH
@pytest.mark.spec("contract", "HTTP", "/healthz, /readyz: status only")
def test_a_healthy_server_says_so_and_no_more(shared_server: Server, path: str) -> None:
    """No version, no database, nothing to cache."""
    answer = shared_server.http.get(path)

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


@BOTH
def test_health_can_be_asked_for_without_a_body(shared_server: Server, path: str) -> None:
    """As load balancers do; other methods are told which there are."""
    assert shared_server.http.head(path).status_code == 200
    answer = shared_server.http.post(path)
    refused(answer, 405, "invalid_request")
    assert answer.headers["allow"] == "GET, HEAD"


class Outage:
    """A server whose PostgreSQL can go away and come back."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster()
        self.cluster.execute("create database hp")
        self.installation = Installation(folder, self.cluster.url("hp"))
        self.installation.apply_catalogue()
        self.credentials = self.installation.create_client("customers:read")
        self.metrics = Metrics(free_port())
        self.server = Server(self.installation, **self.metrics.setting)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """PostgreSQL is shut down; whoever connects is refused."""
        self.installation.close()
        self.cluster.stop()
        try:
            yield
        finally:
            self.cluster.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of PostgreSQL stands still: connections stay open and silent."""
        with psycopg.connect(self.cluster.url("hp"), autocommit=True) as connection:
            rows = connection.execute("select pid from pg_stat_activity").fetchall()
            status = Path(f"/proc/{connection.info.backend_pid}/status").read_text()
        parent = next(line for line in status.splitlines() if line.startswith("PPid:"))
        pids = [int(parent.split()[1]), *(pid for (pid,) in rows)]
        self._signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(pids, signal.SIGCONT)

    @staticmethod
    def _signal(pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # it has ended since


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    """A cluster of its own: others are not to suffer."""
    made = Outage(tmp_path_factory.mktemp("outage"))
    yield made
    made.server.stop()
    made.installation.close()
    made.cluster.remove()


def in_time(*asks: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """The answers to all of them at once, which have to come within three seconds."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(asks)) as threads:
        answers = [asked.result() for asked in [threads.submit(ask) for ask in asks]]
    assert time.monotonic() - began < SOON_S
    return answers


def well_again(server: Server, credentials: Credentials) -> None:
    """Wait until it is ready; then it issues."""
    deadline = time.monotonic() + 15
    while server.http.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, "it does not recover"
        time.sleep(0.05)
    while server.token(credentials).status_code != 200:
        assert time.monotonic() < deadline, "it does not issue"
        time.sleep(0.05)


@pytest.mark.spec("threats", "13", "database down is 503, never 2xx")
@pytest.mark.spec("contract", "Audit events", "When it cannot be written the answer is 503.")
@pytest.mark.parametrize("kind", ["stopped", "frozen"])
def test_without_its_database_a_server_issues_nothing_and_recovers_by_itself(
    outage: Outage, kind: str
) -> None:
    """503 in time, keys and metadata as before; then tokens again, from the same process."""
    server, credentials = outage.server, outage.credentials
    assert server.process is not None
    token_in(server.token(credentials))
    keys, metadata = server.http.get(JWKS), server.http.get(METADATA)

    with outage.stopped() if kind == "stopped" else outage.frozen():
        for _ in range(5):
            token, ready, jwks, document, health, detailed = in_time(
                lambda: server.token(credentials),
                lambda: server.http.get("/readyz"),
                lambda: server.http.get(JWKS),
                lambda: server.http.get(METADATA),
                lambda: server.http.get("/healthz"),
                lambda: outage.metrics.get("/readyz"),
            )
            refused(token, 503, "temporarily_unavailable")
            assert token.headers["retry-after"] == "1"
            assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})
            assert ready.headers["cache-control"] == "no-store"
            assert (jwks.content, document.content) == (keys.content, metadata.content)
            assert health.status_code == 200
            assert detailed.status_code == 503
            assert detailed.json()["parts"]["database"]["detail"]

    well_again(server, credentials)
    assert server.process.poll() is None
    assert "Traceback" not in server.log.read_text()


def test_a_hung_database_makes_no_threads_pile_up(outage: Outage) -> None:
    """However many ask whether it is ready, one look is under way; figures keep their values."""
    server, metrics = outage.server, outage.metrics
    clients = metrics.value("hourpass_clients", status="active")
    assert clients >= 1
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status")

    def threads() -> int:
        return int(status.read_text().partition("Threads:")[2].split()[0])

    with outage.frozen():
        in_time(lambda: server.http.get("/readyz"))
        before = threads()
        for _ in range(3):
            answers = in_time(*[lambda: server.http.get("/readyz")] * 20)
            assert {answer.status_code for answer in answers} == {503}
        assert threads() <= before + 5  # of 60 that asked
        shown = metrics.samples()
    well_again(server, outage.credentials)

    assert shown["hourpass_database_up", frozenset()] == 0
    assert shown["hourpass_clients", frozenset({("status", "active")})] == clients


def why_not(metrics: Metrics) -> str:
    """What the metrics port says of the database; empty when it is well."""
    detail: str = metrics.get("/readyz").json()["parts"]["database"].get("detail", "")
    return detail


def test_a_standby_is_not_ready(outage: Outage) -> None:
    """It can be read, and issues nothing; once it is promoted, tokens go on."""
    server = outage.server
    outage.installation.close()
    outage.cluster.restart_as_standby()
    try:
        until(lambda: "read-only" in why_not(outage.metrics))
        assert server.http.get("/readyz").status_code == 503
        refused(server.token(outage.credentials), 503, "temporarily_unavailable")
    finally:
        outage.cluster.promote()
    well_again(server, outage.credentials)


def test_every_token_of_that_time_is_on_record_and_no_other(outage: Outage) -> None:
    """After outages as before: as many rows as tokens were had."""
    server, credentials = outage.server, outage.installation.create_client("customers:read")
    had = [server.token(credentials).status_code for _ in range(3)]
    with outage.stopped():
        had.append(server.token(credentials).status_code)
    well_again(server, outage.credentials)
    had += [server.token(credentials).status_code for _ in range(2)]

    assert had == [200, 200, 200, 503, 200, 200]
    issued = outage.installation.events(client_id=credentials.client_id, event="token.issued")
    assert len(issued) == 5
