"""A command that meets a lock which somebody else does not let go."""

import pytest

from hourpass.cli.failures import guard
from hourpass.server import config
from hourpass.server.clients import lifecycle
from hourpass.server.context import open_context
from hourpass.server.db.engine import Dialect
from support.installation import TESTER, Installation


def test_a_lock_that_is_held_for_ever_ends_in_one_line(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which says what to do; nothing was changed."""
    client_id = installation.create_client("customers:read").client_id
    impatient = open_context(config.load(installation.environ), busy_timeout_s=0.2)

    def suspend() -> int:
        lifecycle.suspend(impatient.database, client_id, TESTER)
        return 0

    with installation.context.database.write() as connection:
        if installation.context.database.dialect is Dialect.POSTGRESQL:
            connection.exec_driver_sql("LOCK TABLE client")
        status = guard(suspend)
    impatient.database.close()

    (line,) = capsys.readouterr().err.splitlines()
    assert status == 1
    assert line.startswith("hourpass: the database is busy: ")
    assert line.endswith("see which other program uses it, let it finish or end it, then try again")
    assert installation.stored(client_id).suspended_at is None
