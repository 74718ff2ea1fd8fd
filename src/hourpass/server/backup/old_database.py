"""The old database that `restore --after` compares with: a variable of this command, not a setting.

It holds a password, so it comes from the environment or from a file, never from the command line.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from hourpass.server.config import PREFIX, SettingsFault
from hourpass.server.context import COMMAND_BUSY_TIMEOUT_S
from hourpass.server.db.engine import Database
from hourpass.server.db.postgres import open_postgresql
from hourpass.server.db.sqlite import open_sqlite

_NAME = f"{PREFIX}OLD_DATABASE_URL"


def open_old(environ: Mapping[str, str] | None = None) -> Database | None:
    """The old database, if `HOURPASS_OLD_DATABASE_URL` or its `_FILE` names one.

    Raises SettingsFault; DatabaseUnavailable for a file that cannot be opened.
    """
    environ = os.environ if environ is None else environ
    url, file = environ.get(_NAME), environ.get(f"{_NAME}_FILE")
    if url and file:
        raise SettingsFault([f"{_NAME}_FILE: set this or {_NAME}, not both"])
    if file:
        try:
            url = Path(file).read_text("utf-8").strip()
        except (OSError, ValueError) as fault:
            reason = getattr(fault, "strerror", None) or "it has to be a file of text"
            raise SettingsFault([f"{_NAME}_FILE: cannot read the file: {reason}"]) from None
    if not url:
        return None
    if url.startswith(("postgresql://", "postgres://")):
        try:
            return open_postgresql(url, statement_timeout_s=COMMAND_BUSY_TIMEOUT_S)
        except ValueError as fault:
            raise SettingsFault([f"{_NAME}: {fault}"]) from None
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not path.is_file():
        raise SettingsFault(
            [f"{_NAME}: give postgresql://<user>@<host>/<database> or sqlite:///<file>"]
        )
    return open_sqlite(path, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
