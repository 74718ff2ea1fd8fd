"""`hourpass serve` shows the set-up link on a terminal, and nowhere else."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from hourpass.server.operators import lifecycle
from hourpass.server.operators.tokens import Token
from support.desk import hire
from support.installation import TESTER, Installation, Server, clean_environ


def _printed(installation: Installation) -> str:
    """What `serve` writes to a terminal until it is ready."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hourpass", "serve"],
        env={**clean_environ(), **installation.environ},
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        url = f"http://localhost:{installation.port}/readyz"
        for _ in range(600):
            time.sleep(0.05)
            try:
                if httpx.get(url, trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                continue
        process.send_signal(signal.SIGINT)
        process.wait(20)
        os.set_blocking(ours, False)
        try:
            return os.read(ours, 4096).decode()
        except OSError:  # nothing was written, and nobody is left who could
            return ""
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.spec("threats", "19", "printed by `serve` only on a terminal")
def test_the_link_is_printed_on_a_terminal_until_somebody_signed_up(
    sqlite_installation: Installation,
) -> None:
    """And it works."""
    printed = _printed(sqlite_installation)
    token = Token(printed.partition("#")[2].strip())

    assert "/admin/invitation#" in printed
    assert lifecycle.look_at_link(sqlite_installation.context.database, token).email is None
    hire(sqlite_installation)
    assert _printed(sqlite_installation) == ""


def test_no_link_is_made_for_a_log(sqlite_installation: Installation) -> None:
    """Somebody else could read it there; a link that was made by command stays good."""
    database = sqlite_installation.context.database
    made = lifecycle.make_set_up_link(database, TESTER)
    server = Server(sqlite_installation)
    try:
        assert "#" not in server.log.read_text()
        assert lifecycle.look_at_link(database, made.token).email is None
        assert server.http.get("/").headers["location"] == "/admin/"
    finally:
        server.stop()
