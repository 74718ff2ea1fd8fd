"""`hourpass clients`: the life of an API client."""

from datetime import datetime
from typing import Annotated

import typer

from hourpass.cli import paging
from hourpass.cli.installation import by_command, opened
from hourpass.cli.output import (
    USAGE,
    AsJson,
    print_facts,
    print_json,
    print_table,
    refuse,
    say,
    when,
)
from hourpass.limits import MAX_PER_MINUTE
from hourpass.server.audit.events import printable
from hourpass.server.clients import lifecycle, store, wire
from hourpass.server.clients.lifecycle import NewClient, WithSecret
from hourpass.server.clients.model import Client, Status
from hourpass.server.clients.store import ClientFilter
from hourpass.server.context import Context
from hourpass.server.organizations.model import DEFAULT

app = typer.Typer(help="API clients: create, list, rotate, suspend, delete.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="The client ID, m2m_…")]
_Scopes = Annotated[list[str], typer.Option("--scope", help="A scope; repeat for more.")]
_Organization = Annotated[
    str | None,
    typer.Option("--organization", help="Only if it belongs to this organization."),
]
_Revoke = Annotated[
    bool,
    typer.Option("--revoke-live-tokens", help="Online checks refuse tokens issued so far, too."),
]
_PAGE = 500


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the integration is called.")],
    scope: _Scopes,
    description: Annotated[str, typer.Option(help="What it is for, whom to ask.")] = "",
    expires_in_days: Annotated[
        int | None, typer.Option(help="1 to 3650; left out: no expiry.")
    ] = None,
    limit_per_minute: Annotated[
        int | None, typer.Option(help="Requests a minute; left out: the API's own limit.")
    ] = None,
    organization: Annotated[str, typer.Option(help="The organization's ID.")] = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Create an API client; its secret is shown this once."""
    new = NewClient(
        name=name,
        scopes=frozenset(scope),
        description=description,
        expires_in_days=expires_in_days,
        limit_per_minute=limit_per_minute,
        organization=organization,
    )
    with opened() as context:
        made = lifecycle.create(context.database, context.keyring(), new, by_command())
        if as_json:
            shown = _as_json(context, made.client)
            print_json({**shown, "client_secret": made.secret.reveal()})
        else:
            _print_with_secret(made)
            _say_where(context, made.client)


@app.command("list")
def list_(
    status: Annotated[Status | None, typer.Option(help="Only clients with this status.")] = None,
    scope: Annotated[str | None, typer.Option(help="Only clients that hold this scope.")] = None,
    search: Annotated[
        str | None, typer.Option(help="Beginnings of words of the name, or of the client ID.")
    ] = None,
    organization: Annotated[str | None, typer.Option(help="Only this organization's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 100,
    cursor: paging.After = None,
    as_json: AsJson = False,
) -> None:
    """List API clients, newest first."""
    wanted = ClientFilter(
        status=status,
        scope=None if scope is None else printable(scope, 100),
        organization=None if organization is None else printable(organization, 100),
        search=None if search is None else printable(search, 100),
    )
    with opened() as context:
        before = paging.position(context, wanted, cursor)
        clients, now, last, more = _newest(context, wanted, limit, before)
        next_cursor = paging.next_cursor(context, wanted, more)
    if as_json:
        items = [wire.as_json(client, now, last.get(client.client_id)) for client in clients]
        print_json({"items": items, "next_cursor": next_cursor})
        return
    rows = [
        (
            client.name,
            client.client_id,
            client.status(now).value,
            " ".join(sorted(client.scopes)),
            when(client.expires_at, never="never"),
            when(last.get(client.client_id), never="none yet"),
        )
        for client in clients
    ]
    columns = ("Name", "Client ID", "Status", "Scopes", "Expires", "Last token")
    empty = "No API clients fit; `hourpass clients create` makes one."
    print_table(columns, rows, empty, wraps="Scopes")
    paging.say_if_cut(len(rows), next_cursor)


@app.command()
def show(client_id: _Id, organization: _Organization = None, as_json: AsJson = False) -> None:
    """Show one API client."""
    with opened() as context:
        client = lifecycle.read(context.database, client_id, by_command(organization))
        _print(context, client, as_json=as_json)


@app.command()
def set_scopes(
    client_id: _Id, scope: _Scopes, organization: _Organization = None, as_json: AsJson = False
) -> None:
    """Replace an API client's scopes; its next token has them."""
    with opened() as context:
        client = lifecycle.set_scopes(
            context.database, client_id, frozenset(scope), by_command(organization)
        )
        _print(context, client, as_json=as_json)


@app.command()
def set_limit(
    client_id: _Id,
    limit: Annotated[
        str, typer.Argument(metavar="N|none", help="Requests a minute; none: the API's own limit.")
    ],
    organization: _Organization = None,
    as_json: AsJson = False,
) -> None:
    """Say how many requests a minute an API client may make."""
    is_number = limit.isascii() and limit.isdigit() and len(limit) < 10
    if not is_number and limit != "none":
        refuse(f"give 1 to {MAX_PER_MINUTE:,} requests a minute, or none", status=USAGE)
    with opened() as context:
        client = lifecycle.update(
            context.database,
            client_id,
            by_command(organization),
            limit_per_minute=int(limit) if is_number else None,
        )
        _print(context, client, as_json=as_json)


@app.command()
def rotate_secret(
    client_id: _Id,
    revoke_live_tokens: _Revoke = False,
    organization: _Organization = None,
    as_json: AsJson = False,
) -> None:
    """Make a new secret, shown this once. The old one fails from now on."""
    with opened() as context:
        made = lifecycle.rotate_secret(
            context.database,
            context.keyring(),
            client_id,
            by_command(organization),
            revoke_live_tokens=revoke_live_tokens,
        )
        if as_json:
            print_json({"client_id": client_id, "client_secret": made.secret.reveal()})
            return
        _print_with_secret(made)
        say("The old secret stopped working. " + _tokens_note(revoked=revoke_live_tokens))


@app.command()
def suspend(
    client_id: _Id,
    revoke_live_tokens: _Revoke = False,
    organization: _Organization = None,
    as_json: AsJson = False,
) -> None:
    """Give an API client no more tokens until it is activated."""
    with opened() as context:
        client = lifecycle.suspend(
            context.database,
            client_id,
            by_command(organization),
            revoke_live_tokens=revoke_live_tokens,
        )
        _print(context, client, as_json=as_json)
    if not as_json:
        say(_tokens_note(revoked=revoke_live_tokens))


@app.command()
def activate(client_id: _Id, organization: _Organization = None, as_json: AsJson = False) -> None:
    """Let a suspended API client get tokens again."""
    with opened() as context:
        client = lifecycle.activate(context.database, client_id, by_command(organization))
        _print(context, client, as_json=as_json)


@app.command()
def revoke_tokens(
    client_id: _Id, organization: _Organization = None, as_json: AsJson = False
) -> None:
    """Make online checks refuse every token issued so far."""
    with opened() as context:
        client = lifecycle.revoke_tokens(context.database, client_id, by_command(organization))
        _print(context, client, as_json=as_json)


@app.command()
def delete(
    client_id: _Id,
    yes: Annotated[bool, typer.Option("--yes", help="Really: it cannot be undone.")] = False,
    organization: _Organization = None,
    as_json: AsJson = False,
) -> None:
    """Delete an API client for good; its audit trail stays."""
    if not yes:
        refuse("deleting cannot be undone; say so with --yes", status=2)
    with opened() as context:
        lifecycle.delete(context.database, client_id, by_command(organization))
    if as_json:
        print_json({"client_id": client_id, "deleted": True})
    else:
        say(f"Deleted {client_id}. Its audit trail stays.")


def _newest(
    context: Context, wanted: ClientFilter, limit: int, before: int | None
) -> tuple[list[Client], datetime, dict[str, datetime], int | None]:
    """Clients, the time, when each last got a token, and where the next page begins, if any."""
    clients: list[Client] = []
    last: dict[str, datetime] = {}
    with context.database.read() as connection:
        now = context.database.now(connection)
        while len(clients) < limit:
            size = min(_PAGE, limit - len(clients))
            page, before = store.page(connection, wanted, now, limit=size, before=before)
            clients += page
            last |= store.last_token_at(connection, [client.client_id for client in page])
            if before is None:
                break
    return clients, now, last, before


def _as_json(context: Context, client: Client) -> dict[str, object]:
    with context.database.read() as connection:
        last = store.last_token_at(connection, [client.client_id])
        now = context.database.now(connection)
    return wire.as_json(client, now, last.get(client.client_id))


def _print(context: Context, client: Client, *, as_json: bool) -> None:
    with context.database.read() as connection:
        last = store.last_token_at(connection, [client.client_id]).get(client.client_id)
        now = context.database.now(connection)
    if as_json:
        print_json(wire.as_json(client, now, last))
        return
    facts = [
        ("Client ID", client.client_id),
        ("Name", client.name),
        ("Description", client.description.replace("\n", " ") or "–"),
        ("Status", client.status(now).value),
        ("Scopes", " ".join(sorted(client.scopes))),
        ("Organization", client.organization),
        ("Created", f"{when(client.created_at)} by {client.created_by.name}"),
        ("Expires", when(client.expires_at, never="never")),
        ("Limit", _limit(client)),
        ("Suspended", when(client.suspended_at)),
        ("Secret rotated", when(client.secret_rotated_at, never="never")),
        ("Last token", when(last, never="none yet")),
    ]
    print_facts(facts)


def _limit(client: Client) -> str:
    if client.limit_per_minute is None:
        return "the API's own"
    return f"up to {client.limit_per_minute:,} requests a minute"


def _print_with_secret(made: WithSecret) -> None:
    print_facts([("Client ID", made.client.client_id), ("Client secret", made.secret.reveal())])
    say("The secret is shown this once. Store it now; if it is lost, rotate it.")


def _say_where(context: Context, client: Client) -> None:
    say(f"Token endpoint: POST {context.settings.issuer}/token")
    for api in context.catalogue().apis:
        if any(scope.name in client.scopes for scope in api.scopes):
            say(f"{api.name}: {api.base_url}")


def _tokens_note(*, revoked: bool) -> str:
    if revoked:
        return "Online checks refuse its live tokens from now on; offline checks at their expiry."
    return "Tokens already issued stay valid for up to 1 hour."
