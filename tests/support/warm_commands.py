"""`hourpass …` in a process of its own, forked from one that has loaded everything before.

Loading is most of what a short command costs, and the tests run hundreds of them. What happens in
loading has tests of its own, which begin with a fresh interpreter.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "hourpass.cli.main",
        "hourpass.cli.failures",
        *(f"hourpass.cli.{name}" for name in ("backup", "integrator", "scan", "service")),
        *(f"hourpass.cli.{name}" for name in ("audit", "clients", "keys", "operators")),
        *(f"hourpass.cli.{name}" for name in ("organizations", "scopes")),
        "hourpass.server.db.postgres",
    ]
)


def run(
    arguments: Sequence[str], environ: Mapping[str, str], folder: Path, *, timeout_s: float
) -> tuple[int, bytes, bytes]:
    """Exit status, stdout and stderr. Raises TimeoutError; the process is ended then."""
    with tempfile.TemporaryDirectory() as outputs:
        stdout, stderr = Path(outputs, "stdout"), Path(outputs, "stderr")
        process = _context.Process(
            target=_command, args=(list(arguments), dict(environ), folder, stdout, stderr)
        )
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"hourpass {' '.join(arguments)} did not end")
        return process.exitcode, stdout.read_bytes(), stderr.read_bytes()


def _command(
    arguments: Sequence[str], environ: Mapping[str, str], folder: Path, stdout: Path, stderr: Path
) -> None:
    """In the forked process: what the console script does."""
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["hourpass", *arguments]
    from hourpass.cli import main

    main.run()
