"""`hourpass scopes`: the catalogue of APIs and scopes."""

from pathlib import Path
from typing import Annotated

import typer

from hourpass.cli.installation import by_command, opened
from hourpass.cli.output import AsJson, print_json, print_table, refuse, say
from hourpass.server.catalogue import apply as catalogue
from hourpass.server.catalogue import file
from hourpass.server.catalogue.wire import api_as_json

app = typer.Typer()

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The catalogue, in TOML.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the APIs and their scopes."""
    with opened() as context:
        apis = context.catalogue().apis
    if as_json:
        print_json({"items": [api_as_json(api) for api in apis]})
        return
    rows = [
        (scope.name + (" (retired)" if scope.retired else ""), api.name, scope.description)
        for api in apis
        for scope in api.scopes
    ]
    print_table(
        ("Scope", "API", "Description"),
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
    """Make the catalogue what FILE says; scopes that clients hold are retired, not lost."""
    wanted = file.parse(read_text(path))
    with opened() as context:
        changes = catalogue.apply(
            context.database,
            wanted,
            by_command(),
            management_identifier=context.management_identifier,
            dry_run=dry_run,
        )
    if as_json:
        print_json({"dry_run": dry_run, **changes.as_json()})
        return
    rows = [(word, name) for word, names in changes.as_json().items() for name in names]
    print_table(("Change", "What"), rows, "Nothing to change: the catalogue says this already.")
    if dry_run and changes:
        say("This was a dry run: nothing was changed.")


def read_text(path: Path) -> str:
    """A catalogue file's text; refuses one that cannot be read."""
    try:
        return path.read_text("utf-8")
    except OSError as fault:
        refuse(f"cannot read {path}: {fault.strerror}")
    except UnicodeDecodeError:
        refuse(f"{path} is not UTF-8 text")
