"""Online checks whose rows cannot be read: 503, never 2xx; and well again without a restart."""

import time

import httpx
import pytest
from sqlalchemy import text

from support import forged_tokens
from support.installation import Installation, Server


def verify(server: Server, token: str) -> httpx.Response:
    """As a proxy asks."""
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/customers",
    }
    return server.http.get("/verify?api=bookings", headers=headers)


@pytest.mark.spec("threats", "13", "fail closed: database down is 503, never 2xx")
def test_rows_that_cannot_be_read_are_503(postgres_installation: Installation) -> None:
    """Within the budget, for a token seen a moment before as for a new one."""
    installation = postgres_installation
    server = Server(installation)
    try:
        api = installation.create_client("hourpass.introspect:bookings")
        client = installation.create_client("customers:read").client_id
        seen, new = (
            forged_tokens.signed(installation, forged_tokens.claims_of(installation, client))
            for _ in range(2)
        )
        assert verify(server, seen).status_code == 200
        with installation.context.database.write() as connection:
            connection.execute(text("lock table client in access exclusive mode"))
            for token in (seen, new):
                begun = time.monotonic()
                answer = verify(server, token)
                assert (answer.status_code, answer.json()["error"]) == (
                    503,
                    "temporarily_unavailable",
                )
                assert answer.headers["retry-after"] == "1"
                assert not [name for name in answer.headers if name.startswith("x-hourpass")]
                asked = server.http.post("/introspect", data={"token": token}, headers=api.basic)
                assert asked.status_code == 503
                assert time.monotonic() - begun < 10
        deadline = time.monotonic() + 10
        while (answer := verify(server, new)).status_code != 200:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)
        assert verify(server, seen).status_code == 200
    finally:
        server.stop()
