"""PostgreSQL fails over to its standby: a URL with both hosts follows, nothing is lost.

How long that takes with a whole cluster around it is measured by `faults/run`.
"""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from support.installation import Installation, Server
from support.postgres import Cluster, Standby


@pytest.fixture
def pair() -> Iterator[tuple[Cluster, Standby]]:
    """A primary, and a standby that follows it."""
    primary = Cluster()
    primary.execute("create database hp")
    standby = Standby(primary)
    yield primary, standby
    standby.remove()
    primary.remove()


@pytest.fixture
def server(pair: tuple[Cluster, Standby], tmp_path: Path) -> Iterator[Server]:
    """A server whose URL names both, the standby first."""
    primary, standby = pair
    url = f"postgresql://hourpass@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/hp"
    installation = Installation(tmp_path / "installation", url)
    installation.apply_catalogue()
    running = Server(installation)
    yield running
    running.stop()
    installation.close()


def test_a_url_of_two_hosts_follows_the_primary(
    server: Server, pair: tuple[Cluster, Standby]
) -> None:
    """The standby is not asked while it is one; when the primary has died it is, with all rows."""
    primary, standby = pair
    installation = server.installation
    location = installation.context.database.location
    assert location == "PostgreSQL 127.0.0.1, 127.0.0.1 database hp"
    before = installation.create_client("customers:read")
    assert server.token(before).status_code == 200
    _until(lambda: _events(standby) == _events(primary))

    primary.stop(signal.SIGKILL)
    installation.close()
    assert server.token(before).status_code == 503
    standby.promote()
    _until(lambda: server.token(before).status_code == 200)

    after = installation.create_client("customers:read")
    assert server.token(after).status_code == 200
    _until(lambda: server.http.get("/readyz").status_code == 200)


def test_a_primary_that_takes_no_writes_any_more_is_given_up(
    server: Server, pair: tuple[Cluster, Standby]
) -> None:
    """Connections to it stay open, and read: who writes gets 503, then the new primary."""
    primary, standby = pair
    installation = server.installation
    manager = installation.create_client("hourpass.clients:write")
    client = installation.create_client("customers:read")
    parameters = {"resource": f"{server.url}/api/v1"}
    token = server.token(manager, **parameters).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    path = f"/api/v1/clients/{client.client_id}"
    assert server.http.post(f"{path}/suspend", headers=bearer).status_code == 200
    _until(lambda: _events(standby) == _events(primary))

    primary.execute("alter system set default_transaction_read_only = on")
    primary.execute("select pg_reload_conf()")
    _until(lambda: server.token(manager, **parameters).status_code == 503)
    refused = server.http.post(f"{path}/activate", headers=bearer)
    assert refused.status_code == 503, refused.text
    assert refused.headers["retry-after"]
    standby.promote()

    _until(lambda: server.http.post(f"{path}/activate", headers=bearer).status_code == 200)
    _until(lambda: server.token(client).status_code == 200)
    assert "activated" in str(_events(standby))
    assert "activated" not in str(_events(primary))


def test_a_deed_whose_standby_did_not_confirm_is_not_acknowledged(
    server: Server, pair: tuple[Cluster, Standby]
) -> None:
    """PostgreSQL says done, with a warning: what is on one server alone could be lost with it."""
    primary, standby = pair
    installation = server.installation
    manager = installation.create_client("hourpass.clients:write")
    token = server.token(manager, resource=f"{server.url}/api/v1").json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    standby.stop()
    primary.execute("alter system set synchronous_standby_names = '*'")
    primary.execute("select pg_reload_conf()")

    with ThreadPoolExecutor(1) as pool, psycopg.connect(primary.url("hp")) as watcher:
        watcher.autocommit = True
        client = {"name": "Unsure", "scopes": ["hourpass.clients:write"]}
        posting = pool.submit(
            lambda: server.http.post("/api/v1/clients", headers=bearer, json=client)
        )
        while not posting.done():
            watcher.execute(_CANCEL_WAITS)
            time.sleep(0.02)

    made = posting.result()
    assert made.status_code == 503, made.text
    primary.execute("alter system reset synchronous_standby_names")
    primary.execute("select pg_reload_conf()")
    standby.start()


# Cancelled before the transaction commits, a statement would be rolled back: not what is meant.
_CANCEL_WAITS = """
    select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'
"""


def _events(cluster: Cluster) -> list[tuple[str]]:
    with psycopg.connect(cluster.url("hp")) as connection:
        return connection.execute("select event from audit_event order by id").fetchall()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
