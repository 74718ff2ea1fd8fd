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
_INTEGRATOR = ("token", "call", "scan")
_SERVICE = ("serve", "migrate", "demo")
_SETUP_LINK = "setup-link"
_VERSION = "--version"
_BACKUP = ("backup", "restore")
# Name → help, each a module of this package with a Typer app or command called `app`.
_GROUPS = {
    "clients": "API clients: create, list, rotate, suspend, delete.",
    "scopes": "The catalogue: APIs and their scopes.",
    "organizations": "Organizations: create, list, suspend.",
    "operators": "Operators: the people who administer the installation.",
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
    """The command line; of the server's commands just `only`, if it is one: each takes time."""
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

    if only not in (*_GROUPS, *_SERVICE, *_BACKUP, _SETUP_LINK, _VERSION):
        # Loaded for themselves and for the list of commands, not for those of the server.
        integrator = importlib.import_module("hourpass.cli.integrator")
        app.command("token")(integrator.token)
        app.command("call")(integrator.call)
        app.command("scan")(importlib.import_module("hourpass.cli.scan").scan)
    if with_server:
        groups = {only: _GROUPS[only]} if only in _GROUPS else _GROUPS
        if only in (*_SERVICE, *_BACKUP, _SETUP_LINK):
            groups = {}
        if only not in (*_GROUPS, *_SERVICE, _SETUP_LINK):
            copies = importlib.import_module("hourpass.cli.backup")
            for name in _BACKUP:
                app.command(name)(getattr(copies, name))
        if only not in (*_GROUPS, *_BACKUP):
            service = importlib.import_module("hourpass.cli.service")
            for name in _SERVICE:
                app.command(name)(getattr(service, name))
            if only in (None, _SETUP_LINK):
                operators = importlib.import_module("hourpass.cli.operators")
                app.command(_SETUP_LINK)(operators.setup_link)
        for name, text in groups.items():
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
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"hourpass {__version__}\n")
        raise typer.Exit
