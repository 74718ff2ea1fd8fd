"""The integrator's commands: they need neither the server nor a database."""

import os
import sys
from typing import Annotated

import typer

from hourpass.cli.output import AsJson, print_json, refuse
from hourpass.client.token_request import TokenRefused, TokenUnavailable, request_token


def token(
    issuer: Annotated[
        str, typer.Option(envvar="HOURPASS_ISSUER", help="The Hourpass server's base URL.")
    ] = "http://localhost:8080",
    scope: Annotated[
        list[str] | None, typer.Option(help="Ask for this scope only; repeat.")
    ] = None,
    resource: Annotated[str | None, typer.Option(help="Ask for a token for this API.")] = None,
    as_json: AsJson = False,
) -> None:
    """Get an access token and print it.

    The credentials are HOURPASS_CLIENT_ID and HOURPASS_CLIENT_SECRET in the environment.
    """
    client_id = os.environ.get("HOURPASS_CLIENT_ID")
    client_secret = os.environ.get("HOURPASS_CLIENT_SECRET")
    if not client_id or not client_secret:
        refuse("set HOURPASS_CLIENT_ID and HOURPASS_CLIENT_SECRET in the environment", status=2)
    try:
        answer = request_token(
            issuer,
            client_id,
            client_secret,
            scope=" ".join(scope) if scope else None,
            resource=resource,
        )
    except (TokenRefused, TokenUnavailable) as fault:
        refuse(str(fault))
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(f"{answer['access_token']}\n")
