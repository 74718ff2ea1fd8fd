"""One token for many short-lived processes."""

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hourpass.client import BadConfiguration, TokenSource
from hourpass.client.token_source import monotonic
from support.installation import clean_environ
from support.token_server import CLIENT_ID, SECRET, Clock, TokenServer


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def entry(file: Path) -> dict[str, Any]:
    """The only one in the file."""
    (only,) = json.loads(file.read_text()).values()
    assert isinstance(only, dict)
    return only


def rewrite(file: Path, **changes: object) -> None:
    """Change the only entry."""
    ((name, members),) = json.loads(file.read_text()).items()
    file.write_text(json.dumps({name: members | changes}))


def test_processes_share_a_token(server: TokenServer, file: Path) -> None:
    """Eight that start together, and one after them, make one request."""
    program = (
        "import sys; from hourpass.client import TokenSource; print(TokenSource("
        "token_url=sys.argv[1], cache_file=sys.argv[2]).token())"
    )
    environ = {
        **clean_environ(),
        "HOURPASS_CLIENT_ID": CLIENT_ID,
        "HOURPASS_CLIENT_SECRET": SECRET,
    }
    command = [sys.executable, "-c", program, f"{server.url}/token", str(file)]
    running = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]

    assert {process.communicate(timeout=60)[0] for process in running} == {"token-1\n"}
    assert server.source(cache_file=file).token() == "token-1"
    assert server.token_requests == 1


def test_the_file_is_its_owners_and_holds_no_secret(server: TokenServer, file: Path) -> None:
    umask = os.umask(0)
    try:
        server.source(cache_file=file).token()
    finally:
        os.umask(umask)

    for made in file.parent.iterdir():
        assert stat.S_IMODE(made.stat().st_mode) == 0o600, made
        assert SECRET not in made.read_text()
    assert [made.name for made in sorted(file.parent.iterdir())] == [file.name, f"{file.name}.lock"]


def test_every_server_client_scope_and_resource_has_its_own(
    server: TokenServer, file: Path
) -> None:
    settings: list[dict[str, Any]] = [
        {},
        {"scope": "a:read"},
        {"scope": "a:read b:read"},
        {"resource": "https://api.example.com"},
        {"client_id": "m2m_other"},
        {"issuer": server.url},
    ]

    tokens = [server.source(cache_file=file, **one).token() for one in settings]
    again = [server.source(cache_file=file, **one).token() for one in settings]

    assert len(set(tokens)) == len(settings)
    assert again == tokens


def test_a_token_near_its_end_is_renewed_in_the_file(server: TokenServer, file: Path) -> None:
    server.source(cache_file=file).token()
    rewrite(file, asked_at=time.time() - 3590)

    assert server.source(cache_file=file).token() == "token-2"
    assert entry(file)["access_token"] == "token-2"


def test_who_renews_late_finds_the_token_of_who_renewed_first(
    server: TokenServer, file: Path
) -> None:
    clock = Clock(monotonic())
    early, late = (server.source(cache_file=file, clock=clock) for _ in range(2))
    assert early.token() == late.token() == "token-1"
    rewrite(file, asked_at=time.time(), access_token="token-of-another-process")

    clock.now += 3599

    assert late.token() == "token-of-another-process"
    assert server.token_requests == 1


def test_a_token_that_was_refused_is_not_taken_from_the_file(
    server: TokenServer, file: Path
) -> None:
    source = server.source(cache_file=file)

    assert source.reject(source.token())

    assert source.token() == "token-2"
    assert server.source(cache_file=file).token() == "token-2"


@pytest.mark.parametrize(
    "change",
    [
        {"asked_at": 1e300},
        {"asked_at": 4e9},
        {"asked_at": -1e300},
        {"asked_at": "now"},
        {"asked_at": None},
        {"asked_at": True},
        {"access_token": "a\r\nb"},
        {"access_token": 7},
        {"expires_in": 10**30},
        {"expires_in": None},
        {"token_type": "mac"},
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_believed_is_not_used(
    server: TokenServer, file: Path, change: dict[str, Any]
) -> None:
    """From the future too: the clock was set back since."""
    server.source(cache_file=file).token()
    rewrite(file, **change)

    assert server.source(cache_file=file).token() == "token-2"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b"\xff", b"[" * 60_000, b'{"a": 1}'])
def test_a_broken_file_is_written_anew(server: TokenServer, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)

    assert server.source(cache_file=file).token() == "token-1"
    assert server.source(cache_file=file).token() == "token-1"


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_file_for_others_is_refused(server: TokenServer, file: Path, mode: int) -> None:
    """Its tokens may be known, or may be somebody else's."""
    file.write_text("{}")
    file.chmod(mode)

    with pytest.raises(BadConfiguration, match="others"):
        server.source(cache_file=file).token()
    assert server.token_requests == 0


def test_a_folder_that_is_missing_is_told(server: TokenServer, tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="folder"):
        server.source(cache_file=tmp_path / "missing" / "tokens.json")


def test_a_lock_that_is_never_free_holds_nobody_up(
    server: TokenServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that hangs with the lock: the others ask for themselves."""
    import fcntl

    from hourpass.client import token_source

    monkeypatch.setattr(token_source, "ATTEMPT_S", 1.0)
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert server.source(cache_file=file).token() == "token-1"


def test_a_file_that_cannot_be_written_holds_nobody_up(
    server: TokenServer, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder in its lock's place, for one."""
    file.with_name(f"{file.name}.lock").mkdir()
    source: TokenSource = server.source(cache_file=file)

    assert source.token() == "token-1"
    assert "cache file" in caplog.text


def test_entries_that_have_expired_are_left_out(server: TokenServer, file: Path) -> None:
    server.source(cache_file=file).token()
    rewrite(file, asked_at=time.time() - 4000)

    server.source(cache_file=file, scope="a:read").token()

    assert entry(file)["access_token"] == "token-2"
