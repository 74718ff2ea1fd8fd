"""The clock is set back to before the first signing key was made."""

import pytest
from sqlalchemy import text

from hourpass.resource_server import Verifier
from support.installation import Installation, Server

_LATER = {"sqlite": "activates_at + 3600000000", "postgresql": "activates_at + interval '1 hour'"}


@pytest.mark.spec("threats", "9", "Keys rotate without a failed verification")
def test_tokens_are_issued_and_verify_all_the_same(installation: Installation) -> None:
    """That key was published all along, so every verifier has it."""
    client = installation.create_client("customers:read")
    database = installation.context.database
    with database.write() as connection:  # as good as a clock that is an hour behind
        later = _LATER[database.dialect.value]
        connection.execute(text(f"UPDATE signing_key SET activates_at = {later}"))
        connection.execute(text("UPDATE installation SET keys_version = keys_version + 1"))
    server = Server(installation)
    try:
        answer = server.token(client)
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        verified = Verifier(server.url, "https://api.example.com").verify(token)
        assert verified.client_id == client.client_id
    finally:
        server.stop()
