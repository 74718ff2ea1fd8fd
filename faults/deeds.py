"""Deeds without end, journaled before and after: `python -m faults.deeds JOURNAL`; to be killed.

The settings of the installation are in the environment.
"""

import random
import sys
import time
from pathlib import Path

from faults.journal import Journal
from hourpass.server import config
from hourpass.server.audit.events import Actor, Origin
from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.context import open_context
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.rights import FULL

_BY = Origin(actor=Actor("cli", "deeds", "deeds"), rights=FULL)


def main(path: Path) -> None:
    """Create, rotate, suspend, activate and delete until killed."""
    journal = Journal(path)
    context = open_context(config.load(), busy_timeout_s=30)
    database, keyring = context.database, context.keyring()
    clients: list[str] = []
    number = 0
    while True:
        number += 1
        deed = random.choice(("create", "rotate", "suspend", "activate", "delete"))
        if len(clients) < 3:
            deed = "create"
        client_id = random.choice(clients) if clients else ""
        journal.write(number=number, begins=deed, client_id=client_id)
        secret = ""
        try:
            match deed:
                case "create":
                    new = NewClient(name=f"Deed {number}", scopes=frozenset({"customers:read"}))
                    made = lifecycle.create(database, keyring, new, _BY)
                    client_id, secret = made.client.client_id, made.secret.reveal()
                    clients.append(client_id)
                case "rotate":
                    rotated = lifecycle.rotate_secret(database, keyring, client_id, _BY)
                    secret = rotated.secret.reveal()
                case "suspend":
                    lifecycle.suspend(database, client_id, _BY)
                case "activate":
                    lifecycle.activate(database, client_id, _BY)
                case "delete":
                    lifecycle.delete(database, client_id, _BY)
                    clients.remove(client_id)
        except DatabaseUnavailable:
            journal.write(number=number, unknown=deed, client_id=client_id)
            time.sleep(0.05)  # somebody who tries again does not hammer
            continue
        except lifecycle.NotFound:  # an earlier `delete`, whose end was unknown, was done
            journal.write(number=number, absent=deed, client_id=client_id)
            clients.remove(client_id)
            continue
        journal.write(number=number, done=deed, client_id=client_id, secret=secret)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
