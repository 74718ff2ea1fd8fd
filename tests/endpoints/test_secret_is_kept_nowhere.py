"""Threat 14: a secret is in one answer and nowhere else; a token is in its answer only."""

import base64
from collections.abc import Iterator

import client_states
import pytest
from request_templates import MEMBERS, POST, Template, basic, form, form_with_basic, json_of
from sqlalchemy import MetaData, select
from token_answers import token_in

from support.installation import Credentials, Installation, Server


def rows(installation: Installation) -> Iterator[bytes]:
    """Every value of every column of every table."""
    tables = MetaData()
    with installation.context.database.read() as connection:
        tables.reflect(connection)
        assert len(tables.sorted_tables) > 5
        for table in tables.sorted_tables:
            for row in connection.execute(select(table)):
                for value in row:
                    yield value if isinstance(value, bytes) else str(value).encode()


def files(installation: Installation) -> Iterator[bytes]:
    """Every file of the installation: on SQLite the database itself, and everywhere the log."""
    for path in installation.folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def traces(credentials: Credentials) -> list[bytes]:
    """How a secret would look if it were kept, whole or in part, plain or encoded."""
    secret = credentials.secret.encode()
    pair = f"{credentials.client_id}:{credentials.secret}".encode()
    return [
        *(secret, secret[4:-6], secret[:20], secret[-20:], secret.hex().encode()),
        *(base64.b64encode(pair), base64.b64encode(secret), base64.urlsafe_b64encode(secret)),
    ]


@pytest.fixture
def talkative(installation: Installation) -> Iterator[Server]:
    """A server at its most talkative log level."""
    running = Server(installation, HOURPASS_LOG_LEVEL="debug")
    yield running
    running.stop()


@pytest.mark.spec("seed", "Understanding your credentials", "never stores the plaintext")
@pytest.mark.spec("threats", "14", "A secret appears in one answer only: not in audit, not in logs")
def test_neither_database_nor_log_nor_audit_holds_a_secret_or_a_token(
    talkative: Server,
) -> None:
    """Used in every way and misused in every way."""
    server, installation = talkative, talkative.installation
    first = installation.create_client("customers:read")
    token = token_in(form(POST).send(server, first))
    second = client_states.rotate(installation, first)
    uses: list[Template] = [
        *(form(POST), form_with_basic(), json_of(MEMBERS)),
        *(form(POST + "x"), json_of(MEMBERS + ',"scope":"<secret>"'), form(POST + "&<secret>")),
        *(form(f"{POST}&resource=<secret>"), form(f"{POST}&scope=<secret>")),
        *(Template(target="/token?client_secret=<secret>"), Template(target="/<secret>")),
        *(form_with_basic(authorization="Bearer <secret>"), form(POST, ("X-Key", "<secret>"))),
        form_with_basic(authorization=basic("<secret>:<id>")),
        Template(POST, method="PUT"),
    ]
    statuses = {template.send(server, second).status_code for template in uses}
    client_states.suspend(installation, second)
    form(POST).send(server, second)
    assert server.stop() == 0

    assert statuses == {200, 400, 401, 404, 405}
    events = installation.events()
    assert {event["event"] for event in events} >= {"token.issued", "token.refused"}
    kept = [*rows(installation), *files(installation), repr(events).encode()]
    assert any(first.client_id.encode() in text for text in kept)
    wanted = [*traces(first), *traces(second), token.encode(), token.split(".")[2].encode()]
    assert not any(trace in text for text in kept for trace in wanted)


@pytest.mark.spec("seed", "Understanding your credentials", "Shown once only on creation")
def test_nobody_can_read_a_secret_back(installation: Installation) -> None:
    """What operators can list of a client shows neither the secret nor its digest."""
    credentials = installation.create_client("customers:read")
    digest = client_states.stored_digest(installation, credentials)

    shown = installation.command("clients", "show", credentials.client_id, "--json")

    assert shown.json()["client_id"] == credentials.client_id
    for trace in (*traces(credentials), digest.hex().encode(), base64.b64encode(digest)):
        assert trace not in shown.stdout.encode() + shown.stderr.encode()
