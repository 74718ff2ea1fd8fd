"""Sentence by sentence, what is required of tokens when operators act on a client.

The deeds are done here, the server is another process: what it says next is what it saw.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import client_states
import pytest
from sqlalchemy import select, update
from token_answers import claims_in, refused, token_in

from hourpass.oauth.errors import InvalidToken
from hourpass.resource_server import Verifier
from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NotFound
from hourpass.server.db.schema import client
from hourpass.server.refused import Conflict
from support.installation import TESTER, Credentials, Installation, Server

API = "https://api.example.com"


@pytest.fixture
def installation(shared_server: Server) -> Installation:
    """The one that the shared server runs on."""
    return shared_server.installation


@pytest.fixture
def credentials(shared_server: Server, installation: Installation) -> Credentials:
    """A client that has had a token already: the server remembers it."""
    made = installation.create_client("customers:read", "bookings:read")
    token_in(shared_server.token(made))
    return made


def verified(server: Server, token: str, *, at: float | None = None) -> frozenset[str]:
    """The scopes that an API grants on this token, now or at a moment."""
    verifier = Verifier(server.url, API)
    if at is not None:
        verifier = Verifier(server.url, API, clock=lambda: at)
    return frozenset(verifier.verify(token).scopes)


def refuses(server: Server, credentials: Credentials, reason: str | None = None) -> None:
    """Assert that there is no token."""
    members = refused(server.token(credentials), 401, "invalid_client")
    assert members.get("reason") == reason


@pytest.mark.spec("seed", "Token expiry", "Every access token expires after 1 hour.")
def test_a_token_is_good_for_an_hour_and_not_a_second_longer(
    shared_server: Server, credentials: Credentials
) -> None:
    """An API that checks offline takes it until then."""
    answer = shared_server.token(credentials)
    token, claims = token_in(answer), claims_in(answer)

    assert answer.json()["expires_in"] == claims["exp"] - claims["iat"] == 3600
    assert verified(shared_server, token, at=claims["iat"] + 3599)
    with pytest.raises(InvalidToken):
        verified(shared_server, token, at=claims["iat"] + 3600)


@pytest.mark.spec("seed", "Token expiry", "There is no refresh token mechanism")
@pytest.mark.spec(
    "seed", "Token expiry", "simply request a new token with your client ID and secret"
)
@pytest.mark.spec("seed", "Understanding your credentials", "Access Token: Generated per request")
def test_the_next_token_is_simply_asked_for(
    shared_server: Server, credentials: Credentials
) -> None:
    """With the same credentials; each is another, and no refresh token comes along."""
    answers = [shared_server.token(credentials) for _ in range(5)]

    assert len({token_in(answer) for answer in answers}) == 5
    assert len({claims_in(answer)["jti"] for answer in answers}) == 5
    assert not [answer for answer in answers if "refresh_token" in answer.text]
    asked = shared_server.token(
        credentials, grant_type="refresh_token", refresh_token=token_in(answers[0])
    )
    refused(asked, 400, "unsupported_grant_type")


@pytest.mark.spec("seed", "Understanding your credentials", "Client ID: Appears in audit logs.")
def test_the_client_id_is_in_the_audit_trail_for_all_that_happens(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """From its creation to its end, and after it."""
    renewed = client_states.rotate(installation, credentials)
    client_states.suspend(installation, credentials)
    refuses(shared_server, renewed, "suspended")
    client_states.delete(installation, credentials)

    events = [event["event"] for event in installation.events(client_id=credentials.client_id)]

    assert events == [
        *("client.created", "token.issued", "client.secret_rotated", "client.suspended"),
        *("token.refused", "client.deleted"),
    ]


@pytest.mark.spec("seed", "Client expiry", "After this date the client cannot obtain new tokens")
@pytest.mark.spec(
    "seed", "Client lifecycle", "Expired: No. Past the expiry date set at creation time"
)
def test_an_expired_client_gets_nothing_and_keeps_what_it_has(
    shared_server: Server, installation: Installation
) -> None:
    """It had an expiry from the start; its live token stays good."""
    mortal = installation.create_client("customers:read", expires_in_days=1)
    token = token_in(shared_server.token(mortal))

    client_states.expire(installation, mortal)

    refuses(shared_server, mortal, "expired")
    assert verified(shared_server, token) == {"customers:read"}


@pytest.mark.spec("seed", "Client expiry", "To restore access, create a new client")
@pytest.mark.spec("contract", "Lifecycle", "final: activate and rotate_secret answer 409")
def test_expiry_is_final(shared_server: Server, installation: Installation) -> None:
    """Neither activating nor rotating brings it back; a new client works."""
    mortal = installation.create_client("customers:read", expires_in_days=1)
    client_states.expire(installation, mortal)

    with pytest.raises(Conflict, match="create a new one"):
        client_states.activate(installation, mortal)
    with pytest.raises(Conflict, match="create a new one"):
        client_states.rotate(installation, mortal)
    refuses(shared_server, mortal, "expired")
    token_in(shared_server.token(installation.create_client("customers:read")))


@pytest.mark.spec("contract", "Lifecycle", "expired: the clock passes expires_at")
def test_the_clock_alone_expires_a_client(
    shared_server: Server, installation: Installation
) -> None:
    """Nobody touches it after its token; the server, which remembers it, still refuses in time."""
    mortal = installation.create_client("customers:read", expires_in_days=1)
    database = installation.context.database
    with database.write() as connection:
        ends: datetime = database.now(connection) + timedelta(seconds=0.7)
        mine = client.c.client_id == mortal.client_id
        connection.execute(update(client).where(mine).values(expires_at=ends))

    issued = []
    while (answer := shared_server.token(mortal)).status_code == 200:
        issued.append(claims_in(answer)["iat"])

    with database.read() as connection:
        assert database.now(connection) >= ends
    assert refused(answer, 401, "invalid_client")["reason"] == "expired"
    assert issued
    assert max(issued) <= ends.timestamp()


@pytest.mark.spec(
    "seed", "Client expiry", "If no expiry is set, the client remains valid indefinitely"
)
def test_a_client_without_expiry_does_not_age(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """Ten years after its creation it gets tokens as on the first day."""
    mine = client.c.client_id == credentials.client_id
    with installation.context.database.write() as connection:
        row = connection.execute(select(client).where(mine)).one()
        then = row.created_at - timedelta(days=3653)
        connection.execute(update(client).where(mine).values(created_at=then))

    assert row.expires_at is None
    token_in(shared_server.token(credentials))


@pytest.mark.spec("seed", "Secret rotation", "This immediately invalidates the old secret.")
@pytest.mark.spec("seed", "Secret rotation", "A new secret is generated and shown once")
@pytest.mark.spec("seed", "Secret rotation", "The client ID does not change.")
def test_rotation_kills_the_old_secret_at_once(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """Ten times over: the last secret works, and no earlier one ever again."""
    earlier = []
    for _ in range(10):
        earlier.append(credentials)
        credentials = client_states.rotate(installation, credentials)
        refuses(shared_server, earlier[-1])
        token_in(shared_server.token(credentials))

    for old in earlier:
        refuses(shared_server, old)
    assert len({each.secret for each in [*earlier, credentials]}) == 11
    assert {each.client_id for each in earlier} == {credentials.client_id}


@pytest.mark.spec(
    "seed", "Secret rotation", "Existing tokens remain valid until they naturally expire"
)
def test_rotation_leaves_live_tokens_alone(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """Offline they verify, and their generation is still the client's."""
    before = shared_server.token(credentials)
    renewed = client_states.rotate(installation, credentials)
    after = shared_server.token(renewed)

    assert verified(shared_server, token_in(before)) == {"customers:read", "bookings:read"}
    assert claims_in(before)["gen"] == claims_in(after)["gen"]
    assert claims_in(before)["sub"] == claims_in(after)["sub"]


@pytest.mark.spec(
    "seed", "Client lifecycle", "Suspended: No. Temporarily disabled. Can be re-activated."
)
@pytest.mark.spec("contract", "Lifecycle", "a request that starts after the operation sees it")
def test_suspending_and_activating_work_at_once(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """Ten times over, with the same secret."""
    for _ in range(10):
        client_states.suspend(installation, credentials)
        refuses(shared_server, credentials, "suspended")
        client_states.activate(installation, credentials)
        token_in(shared_server.token(credentials))


@pytest.mark.spec(
    "seed", "Client lifecycle", "Suspended: Existing tokens remain valid for up to 1 hour."
)
def test_suspending_leaves_live_tokens_alone(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """An API takes them; after re-activation they are still of the client's generation."""
    before = shared_server.token(credentials)
    client_states.suspend(installation, credentials)

    assert verified(shared_server, token_in(before))
    client_states.activate(installation, credentials)
    assert claims_in(shared_server.token(credentials))["gen"] == claims_in(before)["gen"]


@pytest.mark.spec("contract", "Lifecycle", "a suspended client's secret can be rotated")
def test_a_suspended_client_stays_suspended_when_rotated(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """The new secret is the one that works once it is activated."""
    client_states.suspend(installation, credentials)
    renewed = client_states.rotate(installation, credentials)

    refuses(shared_server, credentials)
    refuses(shared_server, renewed, "suspended")
    client_states.activate(installation, credentials)
    token_in(shared_server.token(renewed))
    refuses(shared_server, credentials)


@pytest.mark.spec(
    "seed", "Client lifecycle", "Deleted: No. Permanently removed. Cannot be recovered."
)
@pytest.mark.spec("seed", "Understanding your credentials", "Client ID: Permanent until deleted")
def test_a_deleted_client_is_gone_for_good(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """Its credentials are nobody's, no deed finds it, and no new client gets its ID."""
    token = token_in(shared_server.token(credentials))
    client_states.delete(installation, credentials)

    refuses(shared_server, credentials)
    deeds: list[Callable[[Installation, Credentials], object]] = [
        *(client_states.activate, client_states.rotate, client_states.suspend),
        client_states.delete,
    ]
    for deed in deeds:
        with pytest.raises(NotFound):
            deed(installation, credentials)
    again = installation.create_client("customers:read")
    assert again.client_id != credentials.client_id
    refuses(shared_server, credentials)
    assert verified(shared_server, token)  # to an API that checks offline


@pytest.mark.spec(
    "seed", "Updating scopes", "Scopes can be updated at any time without rotating the secret."
)
@pytest.mark.spec("seed", "Updating scopes", "The next token request will pick up the new scopes")
@pytest.mark.spec(
    "seed", "Updating scopes", "existing tokens retain their original scopes until they expire"
)
def test_new_scopes_are_in_the_next_token_and_in_no_earlier_one(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """Added ones, removed ones, again and again; the secret is the same throughout."""
    first = token_in(shared_server.token(credentials))
    for scopes in (["customers:read"], ["profile:write", "customers:read"], ["bookings:read"]):
        client_states.set_scopes(installation, credentials, *scopes)
        token = token_in(shared_server.token(credentials))
        assert verified(shared_server, token) == set(scopes)

    refused(shared_server.token(credentials, scope="customers:read"), 400, "invalid_scope")
    assert verified(shared_server, first) == {"customers:read", "bookings:read"}


@pytest.mark.spec("seed", "Security best practices", "revoke it without affecting others")
def test_what_happens_to_one_client_happens_to_no_other(
    shared_server: Server, installation: Installation
) -> None:
    """Suspended, rotated, expired, deleted: the neighbour goes on."""
    neighbour = installation.create_client("customers:read")
    client_states.suspend(installation, installation.create_client("customers:read"))
    client_states.expire(installation, installation.create_client("customers:read"))
    client_states.rotate(installation, installation.create_client("customers:read"))
    client_states.delete(installation, installation.create_client("customers:read"))

    token_in(shared_server.token(neighbour))


@pytest.mark.spec("contract", "Lifecycle", "every token carries token_generation as `gen`")
def test_revoking_starts_a_new_generation(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """By itself, or with suspending or rotating; the next token is of it."""
    context = installation.context
    generations = [claims_in(shared_server.token(credentials))["gen"]]

    lifecycle.revoke_tokens(context.database, credentials.client_id, TESTER)
    generations.append(claims_in(shared_server.token(credentials))["gen"])
    lifecycle.suspend(context.database, credentials.client_id, TESTER, revoke_live_tokens=True)
    client_states.activate(installation, credentials)
    generations.append(claims_in(shared_server.token(credentials))["gen"])
    renewed = lifecycle.rotate_secret(
        *(context.database, context.keyring(), credentials.client_id, TESTER),
        revoke_live_tokens=True,
    )
    credentials = Credentials(credentials.client_id, renewed.secret.reveal())
    generations.append(claims_in(shared_server.token(credentials))["gen"])

    assert generations == list(range(generations[0], generations[0] + 4))


def test_a_suspended_organization_takes_its_clients_along(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """At once, and back at once; clients of other organizations go on."""
    name = client_states.new_organization(installation, f"org-{credentials.client_id[-8:]}")
    member = installation.create_client("customers:read", organization=name)
    assert claims_in(shared_server.token(member))["org_id"] == name

    for _ in range(3):
        client_states.suspend_organization(installation, name)
        refuses(shared_server, member, "organization_suspended")
        token_in(shared_server.token(credentials))
        client_states.suspend_organization(installation, name, suspended=False)
        token_in(shared_server.token(member))
