"""`hourpass backup` and `hourpass restore`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from hourpass.cli.installation import by_command
from hourpass.cli.output import AsJson, print_json, print_table, refuse, say, when
from hourpass.server import config
from hourpass.server.audit.events import printable
from hourpass.server.backup import copies, old_database, restores
from hourpass.server.backup.copies import NotBackedUp
from hourpass.server.backup.differences import Difference
from hourpass.server.backup.made_safe import Restore
from hourpass.server.backup.restores import NotRestored, Restored
from hourpass.server.config import Settings
from hourpass.server.context import COMMAND_BUSY_TIMEOUT_S, key_policy, open_context
from hourpass.server.db.file_lock import FileLock, InUse
from hourpass.server.db.sqlite_copy import Progress as Told

_KEEP_KEY = "The master key is not in it: keep that elsewhere."
_NOT_COMPARED = (
    "The old database cannot be read, so nobody can tell what was done since the backup: whatever "
    "was rotated, suspended or deleted since is alive again."
)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the embedded database while it is served.

    The copy is verified, and on disk, before the command says so.
    """
    settings = config.load()
    if settings.is_postgresql:
        refuse("PostgreSQL has its own tools: run pg_basebackup or pg_dump, as docs/backup.md says")
    try:
        with _progress("Copying") as told:
            made = copies.back_up(settings.sqlite_path, file, told, overwrite=force)
    except NotBackedUp as fault:
        refuse(str(fault))
    if as_json:
        print_json({"file": str(made.path), "bytes": made.size, "schema": made.schema})
    else:
        say(f"{made.path}: {made.size:,} bytes, verified and on disk. {_KEEP_KEY}")


def restore(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A backup of the embedded database.")
    ] = None,
    after: Annotated[
        bool,
        typer.Option(
            "--after",
            help="Make safe a database that another program has restored; "
            "HOURPASS_OLD_DATABASE_URL names the old one, to compare with.",
        ),
    ] = False,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Restore although clients, operators, organizations or keys changed since the "
            "backup.",
        ),
    ] = False,
    keep_active: Annotated[
        bool,
        typer.Option(
            "--keep-active",
            help="Without an old database to compare with, leave clients active (default: "
            "suspend all).",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the database.

    Every token and every session ends. What was changed since the backup is listed where the old
    database can still be read; else every client is suspended.
    """
    if (file is None) is not after:
        refuse("give the FILE to restore, or --after, and not both", status=2)
    settings = config.load()
    how = Restore(
        by=by_command(), policy=key_policy(settings), accept=accept, keep_active=keep_active
    )
    try:
        if file is None:
            with _progress("Comparing"):
                restored = _after(settings, how)
        elif settings.is_postgresql:
            refuse(
                "PostgreSQL is restored by its own tools, as docs/backup.md says; then run "
                "`hourpass restore --after`"
            )
        else:
            with _progress("Copying") as told:
                restored = restores.restore_file(file, settings.sqlite_path, how, told)
    except NotRestored as fault:
        refuse(str(fault))
    if as_json:
        print_json(_as_json(restored))
    else:
        _print_differences(restored.differences)
    if restored.done is None:
        refuse(
            f"the backup differs, as listed ({len(restored.differences)}); nothing was changed. "
            "To restore all the same, say --accept"
        )
    if not as_json:
        _tell(restored, keep_active=keep_active)


def _after(settings: Settings, how: Restore) -> Restored:
    if not settings.is_postgresql:
        try:
            FileLock.alone(settings.sqlite_path).release()
        except InUse:
            raise NotRestored(
                f"a server or a command has {settings.sqlite_path} open; stop it first"
            ) from None
    opened = open_context(settings, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
    try:
        old = old_database.open_old()
        try:
            return restores.after_restore(opened.database, old, how)
        finally:
            if old is not None:
                old.close()
    finally:
        opened.database.close()


def _print_differences(found: tuple[Difference, ...]) -> None:
    if found:
        rows = [
            (
                difference.kind.value,
                printable(difference.name, 100),
                difference.id,
                "; ".join(change.sentence for change in difference.changes),
            )
            for difference in found
        ]
        print_table(("What", "Name", "ID", "Old → restored"), rows, "", wraps="Old → restored")


def _tell(restored: Restored, *, keep_active: bool) -> None:
    done = restored.done
    assert done is not None  # noqa: S101  (else it was refused)
    until = when(restored.backup.last_event_at)
    say(f"Restored, as of {until}. No token that was issued before is valid at an online check.")
    if restored.kept is not None:
        say(f"The old database is {restored.kept}; its audit trail is the only one of that time.")
    if not restored.compared:
        say(_NOT_COMPARED)
        if keep_active:
            say("No client was suspended, as you said.")
        else:
            say(
                f"Suspended {done.suspended} clients: `hourpass clients activate ID` each whose "
                "secret you trust, or rotate it first."
            )
        say("Look at `hourpass operators list`: who was removed since can sign in again.")
    if done.revoked_keys:
        say(
            f"Revoked {len(done.revoked_keys)} signing keys that were, or may have been, revoked "
            "since."
        )


def _as_json(restored: Restored) -> dict[str, object]:
    done, last = restored.done, restored.backup.last_event_at
    return {
        "restored": done is not None,
        "compared": restored.compared,
        "backup_until": None if last is None else last.isoformat().replace("+00:00", "Z"),
        "differences": [difference.as_json() for difference in restored.differences],
        "clients_suspended": 0 if done is None else done.suspended,
        "keys_revoked": [] if done is None else list(done.revoked_keys),
        "sessions_ended": 0 if done is None else done.sessions_ended,
        "old_database": None if restored.kept is None else str(restored.kept),
    }


@contextmanager
def _progress(what: str) -> Iterator[Told]:
    """Pages done of all pages, on a terminal."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with progress:
        task = progress.add_task(what, total=None)

        def told(done: int, total: int) -> None:
            described = what if done < total else "Verifying"
            progress.update(task, completed=done, total=total, description=described)

        yield told
