"""The integrator's commands: they need neither the server nor a database."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hourpass.cli import api_call
from hourpass.cli.output import USAGE, AsJson, print_json, refuse, say
from hourpass.client import BadConfiguration, ServerUnavailable, TokenError, TokenSource

LOCAL = "http://localhost:8080"
Issuer = Annotated[
    str | None,
    typer.Option(
        envvar="HOURPASS_ISSUER", help=f"The Hourpass server's base URL. Default: {LOCAL}"
    ),
]
Scopes = Annotated[list[str] | None, typer.Option(help="Ask for this scope only; repeat.")]
Resource = Annotated[str | None, typer.Option(help="Ask for a token for this API.")]
Credentials = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="client_id and client_secret, as `clients create --json` prints them."
    ),
]
Cache = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Keep the token here for the next command.")
]
AllowHttp = Annotated[
    bool, typer.Option("--allow-http", help="Send secret and token over plain http.")
]


def token(
    issuer: Issuer = None,
    scope: Scopes = None,
    resource: Resource = None,
    credentials: Credentials = None,
    cache: Cache = None,
    allow_http: AllowHttp = False,
    as_json: AsJson = False,
) -> None:
    """Get an access token and print it.

    The credentials are HOURPASS_CLIENT_ID and HOURPASS_CLIENT_SECRET in the environment, or in
    a file.
    """
    source = _source(issuer, scope, resource, credentials, cache, allow_http)
    try:
        held = source.current()
    except TokenError as fault:
        _refuse(fault, issuer)
    if as_json:
        members = {
            "access_token": held.access_token,
            "token_type": "Bearer",
            "expires_in": source.remaining_s(held),
        }
        print_json(members if held.scope is None else {**members, "scope": held.scope})
    else:
        sys.stdout.write(f"{held.access_token}\n")


def call(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, POST, …")],
    url: Annotated[str, typer.Argument(metavar="URL", help="The address to call.")],
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="'Name: value'; repeat.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", help="The body; @FILE reads a file, @- standard input."),
    ] = None,
    issuer: Issuer = None,
    scope: Scopes = None,
    resource: Resource = None,
    credentials: Credentials = None,
    cache: Cache = None,
    allow_http: AllowHttp = False,
    timeout: Annotated[float, typer.Option(help="Seconds for the whole call.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON indented.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the headers of both sides.")
    ] = False,
) -> None:
    """Call an API with an access token and print its answer.

    Exit status 0 when the API answered 2xx, else 1, with its error on one line. A body is sent as
    application/json unless a header says otherwise. Redirects are not followed.
    """
    try:
        request = api_call.prepare(method, url, header or [], data, allow_http=allow_http)
    except ValueError as fault:
        refuse(str(fault), USAGE)
    source = _source(issuer, scope, resource, credentials, cache, allow_http)
    try:
        exchange = api_call.send(request, source, timeout_s=timeout)
    except TokenError as fault:
        _refuse(fault, issuer)
    except api_call.ApiUnreachable as fault:
        refuse(str(fault))
    if verbose:
        for line in api_call.transcript(exchange):
            say(line)
    if not 200 <= exchange.answer.status < 300:
        refuse(api_call.error_line(exchange))
    _print_body(exchange.answer.body, indented=as_json)


def _source(
    issuer: str | None,
    scope: list[str] | None,
    resource: str | None,
    credentials: Path | None,
    cache: Path | None,
    allow_http: bool,
) -> TokenSource:
    try:
        return TokenSource(
            issuer=issuer or LOCAL,
            credentials_file=credentials,
            scope=scope,
            resource=resource,
            cache_file=cache,
            patience_s=0,
            allow_http=allow_http,
        )
    except BadConfiguration as fault:
        _refuse(fault, issuer)


def _refuse(fault: TokenError, issuer: str | None) -> NoReturn:
    if not issuer and isinstance(fault, ServerUnavailable) and fault.status is None:
        refuse(f"{fault}. Is the server elsewhere? Set HOURPASS_ISSUER to its address")
    refuse(str(fault), USAGE if isinstance(fault, BadConfiguration) else 1)


def _print_body(body: bytes, *, indented: bool) -> None:
    if indented:
        try:
            print_json(json.loads(body))
        except (ValueError, RecursionError):
            refuse("the answer is no JSON: leave out --json")
    elif sys.stdout.isatty():
        # On a terminal no escape code of the API's gets through.
        text = body.decode(errors="replace")
        sys.stdout.write("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
