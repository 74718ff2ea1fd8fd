"""The installation that a command works on, and who gives the command."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hourpass.server import config
from hourpass.server.audit.events import Actor, Origin, printable
from hourpass.server.context import COMMAND_BUSY_TIMEOUT_S, Context, open_context
from hourpass.server.rights import FULL


@contextmanager
def opened() -> Iterator[Context]:
    """The installation that the settings name; its database is closed afterwards."""
    context = open_context(config.load(), busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
    try:
        yield context
    finally:
        context.database.close()


def by_command(organization: str | None = None) -> Origin:
    """Commands on the server's own machine act with full rights, as the user who gives them."""
    try:
        user = printable(getpass.getuser(), 100)
    except (OSError, KeyError):
        user = "unknown"
    rights = replace(FULL, organization=organization)
    return Origin(actor=Actor("cli", user, user), rights=rights)
