"""On SQLite: between a token's row reaching the WAL and its answer the WAL is synced."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import strace
from support.installation import Installation, Server

# `hourpass serve` with its own guard against this taken out, to see the test fail.
_WITHOUT_SYNC = """
from hourpass.server import context
from hourpass.server.db import sqlite
set_up = sqlite._on_connect
def weaken(connection, record):
    set_up(connection, record)
    connection.execute("PRAGMA synchronous=OFF")
sqlite._on_connect = weaken
context.durability_faults = lambda settings: []
import types
from hourpass.server.db import probe
probe.embedded = types.SimpleNamespace(**{**vars(sqlite), "weak_settings": lambda _: []})
import hourpass.cli.main
hourpass.cli.main.run()
"""
_TOKENS = 40


def _tokens_and_trace(
    installation: Installation, tmp_path: Path, *, weakened: bool
) -> tuple[list[str], list[strace.Call]]:
    """Get tokens, one at a time and together, from a server under strace."""
    assert shutil.which("strace"), "strace is needed: apt-get install strace"
    trace = tmp_path / "trace"
    program = ["-c", _WITHOUT_SYNC] if weakened else ["-m", "hourpass"]
    credentials = [installation.create_client("customers:read") for _ in range(4)]
    server = Server(
        installation, *strace.PREFIX, "-o", str(trace), program=[sys.executable, *program]
    )
    try:
        with ThreadPoolExecutor(8) as pool:
            one_by_one = [server.token(credentials[n % 4]) for n in range(_TOKENS // 2)]
            together = list(
                pool.map(lambda n: server.token(credentials[n % 4]), range(_TOKENS // 2))
            )
    finally:
        server.stop()
    answers = [*one_by_one, *together]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json()["access_token"] for answer in answers], list(strace.calls(trace))


def _not_synced(tokens: list[str], calls: list[strace.Call]) -> list[str]:
    """The tokens whose answer left before a sync of the WAL that holds their row had finished."""
    faults = []
    for token in tokens:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        written = _first(calls, 0, lambda call: call.name == "pwrite64", claims["jti"], "-wal>")
        synced = _first(calls, written, lambda call: "sync" in call.name, "-wal>")
        answered = _first(calls, 0, lambda call: call.name != "pwrite64", token)
        if not 0 <= written < synced < answered:
            faults.append(f"{claims['jti']}: written {written} synced {synced} sent {answered}")
    return faults


def _first(
    calls: list[strace.Call], start: int, kind: Callable[[strace.Call], bool], *texts: str
) -> int:
    """Where the first such call that mentions all `texts` is, from `start` on."""
    for index in range(max(start, 0), len(calls)):
        call = calls[index]
        if kind(call) and call.result >= 0 and all(text in call.arguments for text in texts):
            return index
    return sys.maxsize


@pytest.mark.spec("contract", "Audit events", "is durable before the caller gets an answer")
def test_no_answer_leaves_before_its_row_is_synced(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """Row into the WAL, then a sync that ended, then the answer: for every single token."""
    tokens, calls = _tokens_and_trace(sqlite_installation, tmp_path, weakened=False)

    assert _not_synced(tokens, calls) == []


def test_the_check_above_can_fail(sqlite_installation: Installation, tmp_path: Path) -> None:
    """With synchronous=OFF forced, no token's row is synced before its answer."""
    tokens, calls = _tokens_and_trace(sqlite_installation, tmp_path, weakened=True)

    assert len(_not_synced(tokens, calls)) == len(tokens)


def test_serve_refuses_a_database_that_would_lose_rows(sqlite_installation: Installation) -> None:
    """What durability needs is read back at start, and a weak setting is refused."""
    without_guard_removed = _WITHOUT_SYNC.replace("context.durability_faults", "unused")
    process = subprocess.run(
        [sys.executable, "-c", without_guard_removed, "serve"],
        env={**os.environ, **sqlite_installation.environ},
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert process.returncode == 1
    assert b"synchronous is 0, must be FULL (2)" in process.stderr
