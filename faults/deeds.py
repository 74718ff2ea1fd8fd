"""Deeds without end, journaled before and after: `python -m faults.deeds JOURNAL`; to be killed.

The settings of the installation are in the environment.
"""

import random
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from faults.expected import EVENTS
from faults.journal import Journal
from hourpass.server import config
from hourpass.server.audit.events import Actor, Origin
from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.context import open_context
from hourpass.server.db.engine import Database, DatabaseUnavailable
from hourpass.server.keys.keyring import Keyring
from hourpass.server.rights import FULL

_BY = Origin(actor=Actor("cli", "deeds", "deeds"), rights=FULL)
_SCOPES = ("customers:read", "bookings:read", "invoices:read")


def main(path: Path) -> None:
    """Every deed on API clients that there is, in any order, until killed."""
    journal = Journal(path)
    context = open_context(config.load(), busy_timeout_s=30)
    database, keyring = context.database, context.keyring()
    clients: list[str] = []
    while True:
        deed = random.choice(list(EVENTS)) if len(clients) >= 3 else "create"
        about: dict[str, Any] = {
            "client_id": "" if deed == "create" else random.choice(clients),
            "request_id": secrets.token_hex(8),  # the audit event has it as well
        }
        if deed in ("create", "set_scopes"):
            about["scopes"] = random.sample(_SCOPES, random.randint(1, len(_SCOPES)))
        journal.write(begins=deed, **about)
        try:
            about |= _do(deed, database, keyring, about)
        except DatabaseUnavailable:
            journal.write(unknown=deed, **about)
            time.sleep(0.05)  # somebody who tries again does not hammer
            continue
        except lifecycle.NotFound:  # an earlier `delete`, whose end was unknown, was done
            journal.write(absent=deed, **about)
            clients.remove(about["client_id"])
            continue
        journal.write(done=deed, **about)
        if deed == "create":
            clients.append(about["client_id"])
        elif deed == "delete":
            clients.remove(about["client_id"])


def _do(deed: str, database: Database, keyring: Keyring, about: dict[str, Any]) -> dict[str, Any]:
    """What the answer says; raises DatabaseUnavailable when the outcome is unknown, NotFound."""
    client_id = about["client_id"]
    by = replace(_BY, request_id=about["request_id"])
    match deed:
        case "create":
            new = NewClient(name="Deed", scopes=frozenset(about["scopes"]))
            made = lifecycle.create(database, keyring, new, by)
            return {"client_id": made.client.client_id, "secret": made.secret.reveal()}
        case "rotate":
            rotated = lifecycle.rotate_secret(database, keyring, client_id, by)
            return {"secret": rotated.secret.reveal()}
        case "suspend":
            lifecycle.suspend(database, client_id, by)
        case "activate":
            lifecycle.activate(database, client_id, by)
        case "delete":
            lifecycle.delete(database, client_id, by)
        case "set_scopes":
            lifecycle.set_scopes(database, client_id, frozenset(about["scopes"]), by)
        case "revoke_tokens":
            return {"generation": lifecycle.revoke_tokens(database, client_id, by).token_generation}
    return {}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
