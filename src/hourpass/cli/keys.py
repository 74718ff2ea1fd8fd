"""`hourpass keys`: signing keys and the master key."""

import sys
from typing import Annotated

import typer

from hourpass.cli.installation import by_command, opened
from hourpass.cli.output import AsJson, print_json, print_table, refuse, say, when
from hourpass.server.keys import master, operations, store
from hourpass.server.keys.model import KeyState
from hourpass.server.keys.wire import key_as_json

app = typer.Typer(help="Signing keys and the master key.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List signing keys. States: next, active, retiring, gone, revoked."""
    with opened() as context, context.database.read() as connection:
        keys = store.signing_keys(connection)
        now = context.database.now(connection)
    if as_json:
        print_json({"items": [key_as_json(key, now) for key in keys], "next_cursor": None})
        return
    rows = [
        (
            key.kid,
            key.state(now).value,
            key.algorithm.value,
            when(key.activates_at),
            when(key.retires_at),
        )
        for key in keys
    ]
    print_table(("Key ID", "State", "Algorithm", "Signs from", "Signs until"), rows, "No keys.")


@app.command()
def rotate(as_json: AsJson = False) -> None:
    """Let the next key sign as soon as every verifier can know it."""
    with opened() as context:
        key = operations.rotate(context.database, context.policy, by_command())
        with context.database.read() as connection:
            now = context.database.now(connection)
    if as_json:
        print_json(key_as_json(key, now))
    elif key.state(now) is KeyState.NEXT:
        say(f"{key.kid} signs from {when(key.activates_at)}, once verifiers that cache know it.")
    else:
        say(f"{key.kid} signs from now on; the one before stays published until its tokens expire.")


# One key ID in 64 begins with a dash.
@app.command(context_settings={"ignore_unknown_options": True})
def revoke(
    kid: Annotated[str, typer.Argument(metavar="KID", help="The key ID.")], as_json: AsJson = False
) -> None:
    """Take a leaked key out of use now. Its tokens fail as soon as verifiers notice."""
    with opened() as context:
        try:
            operations.revoke(context.database, context.policy, kid, by_command())
        except operations.UnknownKeyId:
            refuse(
                "there is no such key, or it was revoked before; `hourpass keys list` shows them"
            )
    if as_json:
        print_json({"kid": kid, "revoked": True})
    else:
        say(f"Revoked {kid}. Verifiers that cache the key set refuse its tokens within 5 minutes.")


@app.command()
def new_master(as_json: AsJson = False) -> None:
    """Print a new master key, for HOURPASS_MASTER_KEY or its file."""
    key = master.generate()
    if as_json:
        print_json({"master_key": key})
    else:
        sys.stdout.write(key + "\n")


@app.command()
def rewrap(as_json: AsJson = False) -> None:
    """Encrypt every key under the first master key. Then older lines can go."""
    with opened() as context:
        count = operations.rewrap(context.database, context.policy.master)
        name = context.policy.master.fingerprint
    if as_json:
        print_json({"rewrapped": count, "master_key": name})
    else:
        say(f"{count} keys are sealed under the first master key ({name}) now.")
