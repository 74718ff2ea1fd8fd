"""`serve` with two workers: one that dies is replaced, and none outlives the supervisor."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from half_requests import until_closed

from support.certificate import write_certificate
from support.installation import CATALOGUE, Installation, Server, clean_environ
from support.postgres import Cluster
from support.token_server import eventually
from support.worker_lines import a_line_to_each, workers

_DATABASE = "watched_workers"


@pytest.fixture(scope="module")
def installation(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """On PostgreSQL; its catalogue file differs from the catalogue."""
    cluster.execute(f"create database {_DATABASE}")
    made = Installation(tmp_path_factory.mktemp("workers"), cluster.url(_DATABASE))
    with closing(made):
        made.apply_catalogue()
        made.catalogue.write_text(CATALOGUE.replace("Bookings API", "Bookings"))
        yield made


@pytest.fixture
def server(installation: Installation) -> Iterator[Server]:
    """Two workers."""
    installation.folder.joinpath("server.log").unlink(missing_ok=True)
    running = Server(installation, HOURPASS_WORKERS="2")
    yield running
    running.stop()


def test_a_worker_that_dies_is_replaced_while_the_other_serves(server: Server) -> None:
    """kill -9 of one: nobody on the other notices; what is done at start was done once."""
    credentials = server.installation.create_client("customers:read")
    lines = a_line_to_each(server)
    (dead, hit), (alive, spared) = lines.items()

    os.kill(dead, signal.SIGKILL)
    for _ in range(50):
        assert spared.token(credentials).status == 200
    eventually(lambda: len(workers(server)) == 2)
    assert alive in workers(server)
    assert dead not in workers(server)
    for line in (*a_line_to_each(server).values(), spared):
        assert line.token(credentials).status == 200
        line.close()
    hit.close()

    said = events(server)
    assert [line for line in said if "was ended by" in line] == [
        f"worker {dead} was ended by SIGKILL; another in 0.5 s"
    ]
    assert len([line for line in said if "the catalogue differs" in line]) == 1


def test_no_worker_outlives_the_supervisor(server: Server) -> None:
    """kill -9 of the supervisor alone: soon nobody has the port any more."""
    assert server.process is not None
    served_by = workers(server)
    server.process.kill()
    server.process.wait(10)

    until_closed(server)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in served_by))


def test_workers_come_back_with_the_database(server: Server, cluster: Cluster) -> None:
    """None can start while it is away: they are tried again, slower each time."""
    cluster.execute(f"alter database {_DATABASE} allow_connections false")
    try:
        for pid in workers(server):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len([e for e in events(server) if e.endswith("another in 1.0 s")]) == 2)
    finally:
        cluster.execute(f"alter database {_DATABASE} allow_connections true")

    eventually(lambda: len(workers(server)) == 2)
    for line in a_line_to_each(server).values():
        assert line.ask("GET", "/readyz").status == 200
        line.close()
    log = server.log.read_text()
    assert "hourpass: the database is not available: " in log
    assert "Traceback" not in log


def test_workers_speak_tls(installation: Installation, tmp_path: Path) -> None:
    """With the certificate that the supervisor looked at."""
    certificate = tmp_path / "certificate.pem"
    key = write_certificate(certificate)
    files = {"HOURPASS_TLS_CERT_FILE": str(certificate), "HOURPASS_TLS_KEY_FILE": str(key)}

    class TlsServer(Server):
        verify = ssl.create_default_context(cafile=str(certificate))
        url = f"https://127.0.0.1:{installation.port}"

    server = TlsServer(installation, HOURPASS_WORKERS="2", **files)
    try:
        credentials = installation.create_client("customers:read")
        assert server.token(credentials).status_code == 200
        assert len(workers(server)) == 2
    finally:
        assert server.stop() == 0


def test_an_end_within_a_finalizer_is_an_end() -> None:
    """Python ignores what is raised there: a worker told to end just then ends all the same."""
    program = """
import os, signal, socket, time
from hourpass.server.supervisor import Supervisor
class Ending:
    def __del__(self):
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(2)  # in which the supervisor passes it on
def work():
    Ending()
    time.sleep(60)
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(Supervisor([work], listener).run())
"""
    ended = run(program)

    assert (ended.stdout, ended.stderr) == ("0\n", "")


def test_what_cannot_go_on_is_not_tried_for_ever() -> None:
    """Workers that fail again and again, and one that says that the disk did, end the server,
    and whatever is well beside them.
    """
    program = """
import logging, signal, socket, sys
from hourpass.server import supervisor
supervise = lambda *works, **more: supervisor.Supervisor(*works, **more).run()
logging.basicConfig(stream=sys.stdout, format="%(message)s")
supervisor.FIRST_WAIT_S = 0.01
for work in (lambda: 1, lambda: 1 / 0, lambda: 3):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print("->", supervise([work] * 2, listener, beside=[signal.pause]), flush=True)
"""
    ended = run(program)

    refusing, failing, broken, rest = ended.stdout.split("-> ")
    for said in (refusing, failing):
        assert said.endswith("no worker can be started; ending, see above for what each met\n")
        assert 12 <= said.count("ended with status 1") <= 14
    assert failing.startswith("1\na worker failed\nTraceback")
    assert failing.count("ZeroDivisionError") >= 12
    assert "ended since the disk failed; ending all\n" in broken
    assert "another in" not in broken
    assert (broken[0], rest) == ("1", "3\n")


def test_a_fork_that_fails_is_tried_again() -> None:
    """A moment without processes or memory ends nobody: whoever is well goes on, and signals are
    heeded meanwhile.
    """
    program = """
import errno, logging, os, signal, socket, sys
from hourpass.server import supervisor
logging.basicConfig(stream=sys.stdout, format="%(message)s")
fork, forks = os.fork, []
def the_second_fails():
    forks.append(None)
    if len(forks) == 2:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()
os.fork = the_second_fails
def end():
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
for supervisor.FIRST_WAIT_S, works in (0.01, (signal.pause, end)), (20, (end, signal.pause)):
    forks.clear()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print("->", supervisor.Supervisor(works, listener).run(), len(forks), flush=True)
"""
    ended = run(program)

    cannot = "cannot start a worker: Resource temporarily unavailable; trying again in"
    assert ended.stdout == f"{cannot} 0.0 s\n-> 0 3\n{cannot} 20.0 s\n-> 0 2\n"
    assert ended.stderr == ""


def test_that_workers_were_killed_is_said_once() -> None:
    """However long one hangs in the kernel, where SIGKILL does not reach it."""
    program = """
import logging, os, signal, socket, sys, time
from hourpass.server import supervisor
logging.basicConfig(stream=sys.stdout, format="%(message)s")
supervisor.END_WITHIN_S = 0.2
kill = os.kill
os.kill = lambda pid, number: number == signal.SIGKILL or kill(pid, number)
def hang():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(1)
    return 0
with socket.create_server(("127.0.0.1", 0)) as listener:
    print("->", supervisor.Supervisor([hang], listener).run())
"""
    ended = run(program)

    assert ended.stdout == "workers did not end in time; killed\n-> 0\n"


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A program of its own, to its end."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def events(server: Server) -> list[str]:
    """What it has logged so far."""
    lines = server.log.read_text().splitlines()
    return [str(json.loads(line)["event"]) for line in lines if line.startswith("{")]
