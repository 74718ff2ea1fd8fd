"""A client as the commit loop and the online check read it: the same as everybody else does."""

from hourpass.server.clients import lifecycle
from hourpass.server.tokens import store
from hourpass.server.tokens.claims import Alleged
from support.installation import TESTER, Installation


def test_every_column_arrives(installation: Installation) -> None:
    """Whatever a client can have is read by the one statement, too."""
    database = installation.context.database
    made = installation.create_client(
        "customers:read",
        "bookings:read",
        name="CRM sync",
        description="Nightly",
        expires_in_days=30,
        limit_per_minute=1_000_000,
    )
    lifecycle.rotate_secret(database, installation.context.keyring(), made.client_id, TESTER)
    lifecycle.suspend(database, made.client_id, TESTER, revoke_live_tokens=True)

    seen = store.look(database, Alleged(client_id=made.client_id, jti="x"))

    assert seen.client is not None
    assert seen.client.client == lifecycle.read(database, made.client_id, TESTER)
    assert seen.client.client.limit_per_minute == 1_000_000
