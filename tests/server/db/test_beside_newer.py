"""A rolling upgrade: the old version serves on while and after a newer one migrates."""

from sqlalchemy import text

from hourpass.server.db import migrate
from support.installation import Installation, Server

# What a release after this one might add, as the rule for migrations has it: nothing that a
# version which does not know of it would miss.
EXPANDS = (
    "ALTER TABLE client ADD COLUMN contact TEXT",
    "ALTER TABLE audit_event ADD COLUMN node TEXT NOT NULL DEFAULT 'unknown'",
    "CREATE TABLE later (id INTEGER NOT NULL PRIMARY KEY)",
    "UPDATE alembic_version SET version_num = '9999'",
)


def _warnings(server: Server) -> int:
    return server.log.read_text().count(migrate.NEWER_WARNING)


def test_an_older_version_lives_beside_a_newer_schema(installation: Installation) -> None:
    """It goes on serving, is ready, starts anew, does every deed, and says so in one line."""
    made = installation.create_client("customers:read")
    server = Server(installation)
    try:
        assert server.token(made).status_code == 200
        with installation.context.database.write() as connection:
            for statement in EXPANDS:
                connection.execute(text(statement))

        assert server.token(made).status_code == 200
        for _ in range(3):
            assert server.http.get("/readyz").status_code == 200
        assert _warnings(server) == 1
        other = installation.create_client("bookings:read")
        assert server.token(other).status_code == 200

        server.stop()
        server.log.unlink()
        server.start()

        assert server.token(made).status_code == 200
        assert server.http.get("/readyz").status_code == 200
        assert _warnings(server) == 1
    finally:
        server.stop()


def test_a_schema_that_has_contracted_is_told_and_not_served(installation: Installation) -> None:
    """The node that is still of the old version takes itself out of the balancer."""
    server = Server(installation)
    try:
        with installation.context.database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            connection.execute(text("UPDATE schema_version SET oldest_beside = '9998'"))

        assert server.http.get("/readyz").status_code == 503
    finally:
        server.stop()
