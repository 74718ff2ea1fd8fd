"""`hourpass organizations`: the tenants."""

from typing import Annotated

import typer

from hourpass.cli import paging
from hourpass.cli.installation import by_command, opened
from hourpass.cli.output import AsJson, print_facts, print_json, print_table, say, when
from hourpass.server.audit.events import printable
from hourpass.server.cursors import Made
from hourpass.server.organizations import operations, store, wire
from hourpass.server.organizations.model import Organization

app = typer.Typer(help="Organizations: create, list, suspend.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="The organization's ID.")]


@app.command()
def create(
    organization_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="1 to 40 of a-z, 0-9 and -; it can never be changed."),
    ],
    name: Annotated[str, typer.Option(help="What people call it.")],
    as_json: AsJson = False,
) -> None:
    """Create an organization. Its ID is `org_id` in its clients' tokens."""
    with opened() as context:
        made = operations.create(context.database, organization_id, name, by_command())
    _print(made, as_json=as_json)


@app.command("list")
def list_(
    search: Annotated[
        str | None, typer.Option(help="Beginnings of words of the name, or of the ID.")
    ] = None,
    limit: paging.Limit = 100,
    cursor: paging.After = None,
    as_json: AsJson = False,
) -> None:
    """List organizations, newest first."""
    searched = "" if search is None else printable(search, 100)

    def page(size: int, before: Made | None) -> tuple[list[Organization], Made | None]:
        with context.database.read() as connection:
            return store.page(connection, limit=size, before=before, search=searched)

    with opened() as context:
        found, next_cursor = paging.newest(
            context, ("organizations", searched), cursor, limit, page
        )
    if as_json:
        items = [wire.as_json(organization) for organization in found]
        print_json({"items": items, "next_cursor": next_cursor})
        return
    rows = [
        (organization.id, organization.name, organization.status, when(organization.created_at))
        for organization in found
    ]
    print_table(("ID", "Name", "Status", "Created"), rows, "No organizations fit.", wraps="Name")
    paging.say_if_cut(len(rows), next_cursor)


@app.command()
def suspend(organization_id: _Id, as_json: AsJson = False) -> None:
    """Give none of its API clients tokens until it is activated."""
    with opened() as context:
        organization = operations.suspend(context.database, organization_id, by_command())
    _print(organization, as_json=as_json)
    if not as_json:
        say("Online checks refuse its live tokens from now on; offline checks at their expiry.")


@app.command()
def activate(organization_id: _Id, as_json: AsJson = False) -> None:
    """Let a suspended organization's API clients get tokens again."""
    with opened() as context:
        organization = operations.activate(context.database, organization_id, by_command())
    _print(organization, as_json=as_json)


def _print(organization: Organization, *, as_json: bool) -> None:
    if as_json:
        print_json(wire.as_json(organization))
        return
    print_facts(
        [
            ("ID", organization.id),
            ("Name", organization.name),
            ("Status", organization.status),
            ("Created", when(organization.created_at)),
            ("Suspended", when(organization.suspended_at)),
        ]
    )
