"""What holds for every command: help, JSON, pipes and terminals."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from command_outcomes import each, json_of, wrong_usage
from typer.testing import CliRunner

from hourpass.cli import main
from support.installation import Installation, clean_environ

_HOURPASS = (sys.executable, "-m", "hourpass")
_WITHOUT_JSON = {("serve",), ("demo",)}  # they run until they are stopped


def _commands(command: object, *words: str) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every command there is, with the words that call it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield words, command
        return
    for name, child in below.items():
        yield from _commands(child, *words, name)


@pytest.mark.spec("contract", "Command line", "`--json` on every command for scripts")
def test_every_command_speaks_json() -> None:
    """Each has --json, but for the two that do not end by themselves."""
    built = typer.main.get_command(main._build(with_server=True))
    options = {
        words: [name for parameter in getattr(command, "params", ()) for name in parameter.opts]
        for words, command in _commands(built)
    }

    assert {words[0] for words in options} >= {"token", "clients", "scopes", "keys", "audit"}
    assert len(options) >= 21
    without = {words for words, names in options.items() if "--json" not in names}
    assert without == _WITHOUT_JSON


def test_help_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """On 80 columns every line is whole, and each command has one that says what it does."""
    monkeypatch.setenv("COLUMNS", "80")
    pages = {}
    for page in ("", "clients", "scopes", "keys", "audit", "clients create"):
        shown = CliRunner().invoke(main._build(with_server=True), [*page.split(), "--help"])
        assert shown.exit_code == 0
        lines = shown.stdout.splitlines()
        assert lines[0].startswith("Usage: ")
        assert [line for line in lines[1:] if line.endswith("...") or len(line) > 80] == []
        pages[page] = shown.stdout

    for name in ("token", "serve", "migrate", "demo", "clients", "scopes", "keys", "audit"):
        assert f"\n  {name} " in pages[""]
    deeds = "create list show set-scopes rotate-secret suspend activate revoke-tokens delete"
    for name in deeds.split():
        assert f"\n  {name} " in pages["clients"]
    for option in ("--name", "--scope", "--description", "--expires-in-days", "--organization"):
        assert f"\n  {option} " in pages["clients create"]


@pytest.mark.spec("contract", "Command line", "2 usage or settings")
def test_the_words_of_the_command_line(sqlite_installation: Installation) -> None:
    """Version and help need no installation; exit status 2 for what is no command."""
    version, shown, nothing, option = each(
        sqlite_installation,
        [("--version",), ("clients", "--help"), (), ("keys", "list", "--all")],
        HOURPASS_DATABASE_URL="not a database",
    )

    assert version.stdout == "hourpass 0.1.0\n"
    assert (shown.status, shown.stderr) == (0, "")
    assert "Create an API client; its secret is shown this once." in shown.stdout
    assert nothing.status == 2
    assert "Usage: " in nothing.stdout + nothing.stderr
    assert "--all" in wrong_usage(option)


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [("--version", ("sqlalchemy", "urllib3")), ("clients list", ("psycopg", "urllib3", "uvicorn"))],
)
def test_a_command_loads_only_what_it_needs(
    sqlite_installation: Installation, command: str, unneeded: tuple[str, ...]
) -> None:
    """Loading is most of what a short command costs."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hourpass", *command.split()],
        env={**clean_environ(), **sqlite_installation.environ},
        capture_output=True,
        text=True,
        timeout=60,
    )

    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "hourpass.cli.main" in loaded
    assert loaded.isdisjoint(unneeded)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_a_command_quietly(
    sqlite_installation: Installation, unbuffered: str
) -> None:
    """Whoever reads has seen enough: no word, and the command has done its work.

    Also when there is more to print than the pipe's buffer takes.
    """
    for number in range(50):
        sqlite_installation.create_client("customers:read", name=f"Client {number}")
    environ = {
        **clean_environ(),
        **sqlite_installation.environ,
        "PYTHONUNBUFFERED": unbuffered,
    }
    name = ("--name", "CRM sync", "--scope", "customers:read")
    for command in (("clients", "list", "--json"), ("clients", "create", *name)):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as stdout:
            ended = subprocess.run(
                [*_HOURPASS, *command],
                env=environ,
                stdout=stdout,
                stderr=subprocess.PIPE,
                timeout=30,
                check=False,
            )
        assert (ended.returncode, ended.stderr.decode()) == (0, "")
    assert sqlite_installation.events()[-1]["client_name"] == "CRM sync"


def test_output_is_utf8_whatever_the_machine_speaks(sqlite_installation: Installation) -> None:
    """A pipe gets UTF-8, as JSON has to be; tables with dashes do not fail."""
    sqlite_installation.create_client("customers:read", name="Küche ☕")

    document, table = each(
        sqlite_installation,
        [("clients", "list", "--json"), ("clients", "list")],
        PYTHONIOENCODING="ascii",
    )

    assert json_of(document)["items"][0]["name"] == "Küche ☕"
    assert "Küche ☕" in table.stdout
    assert table.status == 0


def test_a_terminal_gets_what_can_be_copied_whole(sqlite_installation: Installation) -> None:
    """However narrow it is, no client ID is broken over two lines; scopes are."""
    made = sqlite_installation.create_client("customers:read", "bookings:read", "profile:write")
    terminal, other_end = pty.openpty()
    environ = {**clean_environ(), **sqlite_installation.environ, "COLUMNS": "90", "TERM": "xterm"}
    with subprocess.Popen(
        [*_HOURPASS, "clients", "list"], env=environ, stdout=other_end, stderr=other_end
    ) as process:
        os.close(other_end)
        shown = b""
        try:
            while part := os.read(terminal, 4096):
                shown += part
        except OSError:
            pass  # how a terminal says that its other end is closed
        os.close(terminal)
        assert process.wait(30) == 0

    lines = shown.decode().splitlines()
    assert sum(made.client_id in line for line in lines) == 1
    words = [word for line in lines for word in line.split()]
    assert {"bookings:read", "customers:read", "profile:write"} <= set(words)
    assert not any("bookings:read" in line and "profile:write" in line for line in lines)
