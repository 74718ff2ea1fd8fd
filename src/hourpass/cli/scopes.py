"""`hourpass scopes`: the catalogue of APIs and scopes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import yaml

from hourpass.cli.installation import by_command, opened
from hourpass.cli.output import AsJson, print_json, print_table, refuse, say
from hourpass.server.catalogue import apply as catalogue
from hourpass.server.catalogue import file, openapi
from hourpass.server.catalogue.file import CatalogueFault
from hourpass.server.catalogue.model import Api, Scope
from hourpass.server.catalogue.wire import api_as_json

app = typer.Typer(help="The catalogue: APIs and their scopes.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The catalogue, in TOML.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the APIs and their scopes."""
    with opened() as context:
        apis = context.catalogue().apis
    if as_json:
        print_json({"items": [api_as_json(api) for api in apis], "next_cursor": None})
        return
    is_limited = any(_limits(api, scope) for api in apis for scope in api.scopes)
    is_kept = any(api.organizations for api in apis)
    rows = [
        (
            scope.name + (" (retired)" if scope.retired else ""),
            api.name,
            *((_limits(api, scope) or "–",) if is_limited else ()),
            *((", ".join(sorted(api.organizations or ())) or "–",) if is_kept else ()),
            scope.description,
        )
        for api in apis
        for scope in api.scopes
    ]
    print_table(
        (
            *("Scope", "API"),
            *(("Requests a minute",) if is_limited else ()),
            *(("Kept to",) if is_kept else ()),
            "Description",
        ),
        rows,
        "The catalogue is empty; `hourpass scopes apply FILE` fills it.",
        wraps="Description",
    )


@app.command()
def apply(
    path: _File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the catalogue what FILE says. Scopes that clients hold are retired, not lost."""
    with faults_of(path):
        wanted = file.parse(read_text(path))
    with opened() as context, faults_of(path):
        changes = catalogue.apply(
            context.database,
            wanted,
            by_command(),
            management_identifier=context.management_identifier,
            dry_run=dry_run,
        )
        unknown = catalogue.unknown_organizations(context.database, wanted)
    for name in unknown:
        say(f"Warning: an API is kept to {name}, and there is no such organization yet.")
    if as_json:
        print_json({"dry_run": dry_run, **changes.as_json()})
        return
    rows = [(word, name) for word, names in changes.as_json().items() for name in names]
    print_table(("Change", "What"), rows, "Nothing to change: the catalogue says this already.")
    if dry_run and changes:
        say("This was a dry run: nothing was changed.")


@app.command()
def import_openapi(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="OpenAPI 3, in JSON or YAML.")],
    key: Annotated[str | None, typer.Option(help="The API's key; default: from the title.")] = None,
    identifier: Annotated[
        str | None, typer.Option(help="The tokens' audience; default: the first server's URL.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a catalogue made from an OpenAPI document. Its security requirements say how."""
    text = read_text(path)
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (safe loaders, both)
    except (yaml.YAMLError, ValueError, RecursionError):
        refuse(f"{path} is neither JSON nor YAML")
    with faults_of(path):
        imported = openapi.read(document, key=key, identifier=identifier)
        toml = file.write((imported.api,))
        file.parse(toml)
    if as_json:
        left_out = list(imported.left_out)
        print_json({"items": [api_as_json(imported.api)], "left_out": left_out})
        return
    sys.stdout.write(toml)
    for line in imported.left_out:
        say(f"Left out: {line}")
    say("Look it over, save it as hourpass.toml, then `hourpass scopes apply hourpass.toml`.")


def _limits(api: Api, scope: Scope) -> str:
    """Requests a minute of one client: at the API, and of those that the scope grants."""
    told = ((api.limit_per_minute, "API"), (scope.limit_per_minute, "scope"))
    return ", ".join(f"{limit:,} ({whose})" for limit, whose in told if limit is not None)


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """What is wrong with the catalogue in this file is told with the file's name."""
    try:
        yield
    except CatalogueFault as fault:
        raise CatalogueFault([f"{path}: {line}" for line in fault.faults]) from fault


def read_text(path: Path) -> str:
    """A catalogue file's text; refuses one that cannot be read."""
    try:
        return path.read_text("utf-8")
    except OSError as fault:
        refuse(f"cannot read {path}: {fault.strerror}")
    except UnicodeDecodeError:
        refuse(f"{path} is not UTF-8 text")
