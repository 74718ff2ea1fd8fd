"""No token without its row, and no flood of rows from refusals."""

import time

import client_states
import pytest
from raw_http import Connection, token_request
from request_templates import GRANT, POST, form, form_with_basic
from token_answers import claims_in, refused, token_in

from hourpass.oauth import secret_format
from support.installation import Credentials, Server


def wrong(credentials: Credentials) -> Credentials:
    """The same client with another secret of the right form."""
    return Credentials(credentials.client_id, secret_format.generate())


def made_up(number: int) -> Credentials:
    """A client that does not exist, with a secret of the right form."""
    return Credentials(f"m2m_{number:020}", secret_format.generate())


@pytest.mark.spec("contract", "Audit events", "durable before the caller gets an answer")
def test_every_token_has_its_row_before_it_leaves(shared_server: Server) -> None:
    """Looked for the moment the answer is here: one row, with the token's ID and facts."""
    installation = shared_server.installation
    credentials = installation.create_client("customers:read", "invoices:read", name="Reporting")

    for count, template in enumerate((form(POST), form_with_basic()), start=1):
        answer = template.send(shared_server, credentials)
        claims = claims_in(answer)
        events = installation.events(client_id=credentials.client_id, event="token.issued")
        assert len(events) == count
        event = events[-1]
        assert event["detail"]["jti"] == claims["jti"]
        assert event["detail"]["scope"] == claims["scope"]
        assert event["detail"]["aud"] == claims["aud"]
        assert event["actor"] == {
            "type": "client",
            "id": credentials.client_id,
            "name": "Reporting",
        }
        assert (event["client_name"], event["organization"]) == ("Reporting", "default")
        assert event["request_id"] == answer.headers["x-request-id"]
        assert event["ip"].startswith("127.0.")


@pytest.mark.spec("contract", "Audit events", "no token leaves without its row")
def test_many_tokens_at_once_have_a_row_each(shared_server: Server) -> None:
    """Hundreds that share commits, on many connections: as many IDs as rows, and the same."""
    installation = shared_server.installation
    clients = [installation.create_client("customers:read") for _ in range(5)]
    connections = [Connection(shared_server) for _ in range(10)]
    for number, connection in enumerate(connections):
        connection.send(token_request(clients[number % 5]) * 20)

    had = [connection.answer() for connection in connections for _ in range(20)]

    for connection in connections:
        connection.close()
    assert {answer.status for answer in had} == {200}
    rows = [
        event
        for credentials in clients
        for event in installation.events(client_id=credentials.client_id, event="token.issued")
    ]
    assert len(rows) == 200
    assert len({event["detail"]["jti"] for event in rows}) == 200
    assert {event["request_id"] for event in rows} == {
        answer.header("x-request-id") for answer in had
    }


@pytest.mark.spec("contract", "Audit events", "When it cannot be written the answer is 503.")
def test_when_the_row_cannot_be_written_there_is_no_token(shared_server: Server) -> None:
    """Nor a refusal, nor anything cached that lets one out later."""
    installation = shared_server.installation
    credentials = installation.create_client("customers:read")
    token_in(shared_server.token(credentials))

    with client_states.audit_held(installation):
        began = time.monotonic()
        answer = shared_server.token(credentials)
        assert time.monotonic() - began < 3
        refused(answer, 503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"

    issued = installation.events(client_id=credentials.client_id, event="token.issued")
    assert len(issued) == 1
    deadline = time.monotonic() + 5
    while shared_server.token(credentials).status_code != 200:
        assert time.monotonic() < deadline, "it does not recover"


@pytest.mark.spec("contract", "Audit events", "the rest of that minute become one more row")
def test_of_a_minute_of_refusals_the_first_is_a_row_and_the_rest_a_count(server: Server) -> None:
    """For each client, reason and address; what is counted is written when the server ends."""
    installation = server.installation
    one, two = (installation.create_client("customers:read", name=name) for name in ("One", "Two"))

    first = server.token(wrong(one)).headers["x-request-id"]
    rows = installation.events(event="token.refused")
    assert [row["request_id"] for row in rows] == [first]
    for _ in range(50):  # counted alike when the answer is 429
        assert server.token(wrong(one)).status_code in (401, 429)
    server.token(wrong(two))
    server.token(one, scope="invoices:read")
    server.token(Credentials("nobody", "guess"))
    for _ in range(3):
        form(GRANT).send(server, one)
    before = installation.events(event="token.refused")
    assert server.stop() == 0

    assert [(row["client_id"], row["detail"]["reason"]) for row in before] == [
        (one.client_id, "wrong_secret"),
        (two.client_id, "wrong_secret"),
        (one.client_id, "invalid_scope"),
        (None, "malformed"),
        (None, "no_credentials"),
    ]
    assert not [row for row in before if "count" in row["detail"]]
    assert before[0]["actor"] == {"type": "client", "id": one.client_id, "name": "One"}
    sums = installation.events(event="token.refused")[len(before) :]
    counted = {row["detail"]["reason"]: row for row in sums}
    assert {reason: row["detail"]["count"] for reason, row in counted.items()} == {
        "wrong_secret": 50,
        "no_credentials": 2,
    }
    assert len(sums) == 2
    total = counted["wrong_secret"]
    assert (total["client_id"], total["ip"]) == (one.client_id, "127.0.0.1")
    assert total["detail"]["first_at"] <= total["detail"]["last_at"] <= total["time"]


@pytest.mark.spec("contract", "Audit events", "so that a flood cannot fill the disk")
@pytest.mark.spec("threats", "23", "memory is bounded however many IDs are tried")
def test_a_flood_of_made_up_clients_is_one_row_and_one_count(server: Server) -> None:
    """A thousand IDs that nobody has open no counter each."""
    installation = server.installation
    with Connection(server) as connection:
        for number in range(0, 1000, 50):
            requests = [token_request(made_up(number + offset)) for offset in range(50)]
            connection.send(b"".join(requests))
            assert {connection.answer().status for _ in requests} <= {401, 429}
    assert server.stop() == 0

    rows = installation.events(event="token.refused")
    assert [row["detail"].get("count") for row in rows] == [None, 999]
    assert {(row["client_id"], row["detail"]["reason"]) for row in rows} == {
        (None, "unknown_client")
    }


@pytest.mark.spec("threats", "18", "Text is data")
def test_no_octet_of_a_refused_request_reaches_the_trail(server: Server) -> None:
    """NUL, escape codes and lone surrogates in every field; the neighbours get their tokens."""
    installation = server.installation
    credentials = installation.create_client("customers:read")
    for nasty in ("\x00", "\x1b[2J", "\r\n", "%ED%A0%80", "\u202e", "m2m_' or 1=1 --"):
        for template in (
            form(f"{GRANT}&client_id={nasty}&client_secret={nasty}"),
            form(f"{POST}&scope={nasty}"),
            form(f"{POST}&resource={nasty}"),
            form(POST, ("User-Agent", "\x1b[2J".replace("\x1b", "é"))),
        ):
            template.send(server, credentials)
        token_in(server.token(credentials))
    assert server.stop() == 0

    events = installation.events()
    assert len([event for event in events if event["event"] == "token.issued"]) == 12
    assert "\\x" not in repr(events)
    assert "\\u" not in repr(events)
