"""`hourpass`: which commands there are, and how each kind of failure ends.

Exit status 0: done. 1: refused, with one clear line on stderr. 2: usage or settings.
"""

import importlib
import importlib.util
import sys

import typer

from hourpass import __version__
from hourpass.cli.output import REFUSED, ReaderGone, drop_output, say, set_up

_HELP = "Open your API to machines: API clients, one-hour access tokens, exact revocation."
_VERSION = "--version"
# Command → module of this package, and its name there: a function, or a Typer app of commands.
_INTEGRATOR = {
    "token": ("integrator", "token"),
    "call": ("integrator", "call"),
    "scan": ("scan", "scan"),
}
_SERVER = {
    "backup": ("backup", "backup"),
    "restore": ("backup", "restore"),
    "serve": ("service", "serve"),
    "migrate": ("service", "migrate"),
    "demo": ("service", "demo"),
    "setup-link": ("operators", "setup_link"),
    "clients": ("clients", "app"),
    "scopes": ("scopes", "app"),
    "organizations": ("organizations", "app"),
    "operators": ("operators", "app"),
    "keys": ("keys", "app"),
    "audit": ("audit", "app"),
}
_NOT_INSTALLED = (
    "hourpass: this command needs the server, which is not installed: "
    "pip install 'hourpass[server]'"
)


def run() -> None:
    """The console script."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    only = _VERSION if sys.argv[1:] == [_VERSION] else words[0] if words else None
    wants_server = only != _VERSION and only not in _INTEGRATOR
    if wants_server and importlib.util.find_spec("sqlalchemy") is None:
        if words:
            say(_NOT_INSTALLED)
            sys.exit(REFUSED)
        wants_server = False
    app = _build(with_server=wants_server, only=only)
    set_up()
    try:
        if wants_server:
            failures = importlib.import_module("hourpass.cli.failures")
            status = failures.guard(lambda: _end(app))
        else:
            status = _end(app)
        sys.stdout.flush()
    except ReaderGone:
        drop_output()
        status = 0
    sys.exit(status)


def _build(*, with_server: bool, only: str | None = None) -> typer.Typer:
    """The command line; just `only` of its commands, if it is one: to load each takes time."""
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
            False, _VERSION, help="Print the version.", is_eager=True, callback=_version
        ),
    ) -> None:
        pass

    commands = _INTEGRATOR | (_SERVER if with_server else {})
    if only == _VERSION:
        commands = {}
    elif only in commands:
        commands = {only: commands[only]}
    for name, (module, attribute) in commands.items():
        command = getattr(importlib.import_module(f"hourpass.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _end(app: typer.Typer) -> int:
    """Run the command line; its exit status."""
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except KeyboardInterrupt:
        return 130
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"hourpass {__version__}\n")
        raise typer.Exit
