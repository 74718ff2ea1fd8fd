"""`hourpass operators` and `hourpass setup-link`: the people who administer the installation."""

import sys
from typing import Annotated

import typer

from hourpass.cli import paging
from hourpass.cli.installation import by_command, opened
from hourpass.cli.output import AsJson, print_json, print_table, refuse, say, when
from hourpass.server.audit.events import printable
from hourpass.server.cursors import Made
from hourpass.server.operators import lifecycle, lookup, wire
from hourpass.server.operators.lifecycle import OneTimeLink
from hourpass.server.operators.model import MAX_EMAIL, Operator, Role

app = typer.Typer(
    help="Operators: the people who administer the installation.", no_args_is_help=True
)

_Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's e-mail address.")]


@app.command()
def create(
    email: _Email,
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    organization: Annotated[
        str | None, typer.Option(help="Where; left out: in the whole installation.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give somebody a role. Prints a link for whoever is new, shown this once."""
    with opened() as context:
        made = lifecycle.set_role(context.database, email, organization, role, by_command())
        issuer = context.settings.issuer
    if as_json:
        print_json({**wire.as_json(made.operator), **wire.link_as_json(made.link, issuer)})
    elif made.link is None:
        where = organization or "the installation"
        say(f"{made.operator.email} is {role.value} of {where} now, and signs in as before.")
    else:
        _print_link(made.link, issuer, f"Send it to {made.operator.email}.")


@app.command("list")
def list_(
    organization: Annotated[str | None, typer.Option(help="Only this organization's.")] = None,
    search: Annotated[str | None, typer.Option(help="A part of the address.")] = None,
    limit: paging.Limit = 100,
    cursor: paging.After = None,
    as_json: AsJson = False,
) -> None:
    """List operators and their roles, newest first."""
    there = None if organization is None else printable(organization, 100)
    searched = "" if search is None else printable(search, MAX_EMAIL)

    def page(size: int, before: Made | None) -> tuple[list[Operator], Made | None]:
        return lookup.page(
            context.database, by_command(), there, limit=size, before=before, search=searched
        )

    with opened() as context:
        operators, next_cursor = paging.newest(
            context, ("operators", there, searched), cursor, limit, page
        )
    if as_json:
        items = [wire.as_json(operator) for operator in operators]
        print_json({"items": items, "next_cursor": next_cursor})
        return
    rows = [
        (
            operator.email,
            _roles(operator),
            when(operator.activated_at, never="not yet"),
            operator.created_by.name,
        )
        for operator in operators
    ]
    empty = "No operators fit; `hourpass setup-link` lets the first owner sign up."
    print_table(("E-mail", "Roles", "Signed up", "Invited by"), rows, empty, wraps="Roles")
    paging.say_if_cut(len(rows), next_cursor)


@app.command()
def remove(email: _Email, as_json: AsJson = False) -> None:
    """Remove a person: every role, session and credential."""
    with opened() as context:
        lifecycle.remove(context.database, email, by_command())
    if as_json:
        print_json({"email": email, "removed": True})
    else:
        say(f"Removed {email}. The audit trail stays.")


@app.command()
def reset(email: _Email, as_json: AsJson = False) -> None:
    """Print a link that lets somebody back in who cannot sign in, shown this once."""
    with opened() as context:
        made = lifecycle.reset(context.database, email, by_command())
        issuer = context.settings.issuer
    if made.link is None:
        refuse("there is no link to show")
    if as_json:
        print_json({**wire.as_json(made.operator), **wire.link_as_json(made.link, issuer)})
    else:
        _print_link(
            made.link,
            issuer,
            f"Send it to {made.operator.email}. Using it sets a new password, and ends every "
            "session, authenticator app and passkey of theirs.",
        )


def setup_link(as_json: AsJson = False) -> None:
    """Print a link that lets the first owner sign up."""
    with opened() as context:
        link = lifecycle.make_set_up_link(context.database, by_command())
        issuer = context.settings.issuer
    if as_json:
        print_json(wire.link_as_json(link, issuer))
    else:
        _print_link(link, issuer, "Whoever opens it becomes the owner of this installation.")


def _print_link(link: OneTimeLink, issuer: str, what_now: str) -> None:
    sys.stdout.write(link.url(issuer) + "\n")
    say(f"{what_now} It works once, until {when(link.expires_at)}, and is not shown again.")


def _roles(operator: Operator) -> str:
    return ", ".join(
        role.value if place is None else f"{role.value} of {place}"
        for place, role in sorted(operator.roles.items(), key=lambda item: item[0] or "")
    )
