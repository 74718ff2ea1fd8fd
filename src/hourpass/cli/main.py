"""`hourpass`: which commands there are, and how each kind of failure ends.

Exit status 0: done. 1: refused, with one clear line on stderr. 2: usage or settings.
"""

import importlib
import importlib.util
import os
import sys

import typer

from hourpass import __version__
from hourpass.cli import integrator
from hourpass.cli.output import REFUSED, say

_HELP = "Open your API to machines: API clients, one-hour access tokens, exact revocation."
_INTEGRATOR = ("token",)
# Name → help, each a module of this package with a Typer app or command called `app`.
_GROUPS = {
    "clients": "API clients: create, list, rotate, suspend, delete.",
    "scopes": "The catalogue: APIs and their scopes.",
    "keys": "Signing keys and the master key.",
    "audit": "The audit trail.",
}
_NOT_INSTALLED = (
    "hourpass: this command needs the server, which is not installed: "
    "pip install 'hourpass[server]'"
)


def run() -> None:
    """The console script."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    wants_server = not words or words[0] not in _INTEGRATOR
    if wants_server and importlib.util.find_spec("sqlalchemy") is None:
        if words:
            say(_NOT_INSTALLED)
            sys.exit(REFUSED)
        wants_server = False
    app = _build(with_server=wants_server)
    if not wants_server:
        sys.exit(_end(app))
    failures = importlib.import_module("hourpass.cli.failures")
    sys.exit(failures.guard(lambda: _end(app)))


def _build(*, with_server: bool) -> typer.Typer:
    app = typer.Typer(
        name="hourpass",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def main(
        version: bool = typer.Option(
            False, "--version", help="Print the version.", is_eager=True, callback=_version
        ),
    ) -> None:
        pass

    app.command("token")(integrator.token)
    if with_server:
        service = importlib.import_module("hourpass.cli.service")
        for command in (service.serve, service.migrate, service.demo):
            app.command()(command)
        for name, text in _GROUPS.items():
            group = importlib.import_module(f"hourpass.cli.{name}")
            app.add_typer(group.app, name=name, help=text, no_args_is_help=True)
    return app


def _end(app: typer.Typer) -> int:
    """Run the command line; its exit status."""
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"hourpass {__version__}\n")
        raise typer.Exit
