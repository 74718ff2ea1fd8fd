"""A database that will not take a token's row: no token leaves, and nobody else suffers."""

import pytest
from sqlalchemy import text

from support.installation import Server

_REFUSED_ROW = "NEW.event = 'token.issued' AND NEW.client_id = '{id}'"
_TRIGGERS = {
    "sqlite": f"""
        CREATE TRIGGER refuse BEFORE INSERT ON audit_event WHEN {_REFUSED_ROW}
        BEGIN SELECT RAISE(ABORT, 'no'); END
    """,
    "postgresql": f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON audit_event FOR EACH ROW
            WHEN ({_REFUSED_ROW}) EXECUTE FUNCTION refuse()
    """,
}


@pytest.mark.spec(
    "contract", "Audit events", "When it cannot be written the answer is 503 and nothing was issued"
)
def test_no_token_leaves_without_its_row(server: Server) -> None:
    """503 for the one client whose row is refused, in the same commits as good ones; then well."""
    installation = server.installation
    marked = installation.create_client("customers:read")
    good = installation.create_client("customers:read")
    database = installation.context.database
    with database.write() as connection:
        trigger = _TRIGGERS[database.dialect.value]
        connection.exec_driver_sql(trigger.replace("{id}", marked.client_id))

    refused = server.token(marked)
    issued = server.token(good)

    assert refused.status_code == 503
    assert refused.json()["error"] == "temporarily_unavailable"
    assert refused.headers["retry-after"]
    assert issued.status_code == 200
    rows = installation.events(event="token.issued")
    assert {row["client_id"] for row in rows} == {good.client_id}
    with database.write() as connection:
        on_table = " ON audit_event" if database.dialect.value == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER refuse{on_table}"))
    assert server.token(marked).status_code == 200
