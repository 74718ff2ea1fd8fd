"""What the tests of the command line ask of every command that has ended."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.installation import Finished, Installation

CLIENT_MEMBERS = {
    *("client_id", "name", "description", "scopes", "status", "organization"),
    *("created_at", "created_by", "expires_at", "suspended_at", "secret_rotated_at"),
    *("last_token_at", "limit_per_minute"),
}
EVENT_MEMBERS = {
    *("id", "time", "event", "actor", "client_id", "client_name", "organization"),
    *("request_id", "ip", "detail"),
}
NOBODY = "m2m_00000000000000000000"


def lines_of_refusal(finished: Finished, status: int = 1) -> list[str]:
    """The clear lines of a refusal: no traceback, no escape code, nothing on stdout."""
    assert finished.status == status, finished
    assert finished.stdout == ""
    lines = finished.stderr.splitlines()
    assert lines, "a refusal says why"
    for line in lines:
        assert line.startswith("hourpass: "), finished.stderr
        assert line.isprintable()
    return [line.removeprefix("hourpass: ") for line in lines]


def refusal(finished: Finished, status: int = 1) -> str:
    """The one clear line of a refusal."""
    lines = lines_of_refusal(finished, status)
    assert len(lines) == 1, finished.stderr
    return lines[0]


def wrong_usage(finished: Finished) -> str:
    """What is said to somebody who used a command wrongly; exit status 2."""
    assert finished.status == 2, finished
    assert finished.stdout == ""
    assert "Usage: " in finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.stderr


def json_of(finished: Finished) -> Any:
    """The document that a command with --json printed, and nothing beside it."""
    assert finished.status == 0, finished
    assert finished.stderr == ""
    return finished.json()


def each(
    installation: Installation, commands: Sequence[Sequence[str]], **environ: str
) -> list[Finished]:
    """Run commands that do not depend on each other, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda c: installation.command(*c, environ=environ), commands))
