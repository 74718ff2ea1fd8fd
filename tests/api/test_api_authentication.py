"""Who gets in: only a live token for this API, of a client that is what it was."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from api_caller import Caller, identifier, new_organization, problem

from hourpass.oauth.jose import PrivateKey
from hourpass.server.clients import lifecycle
from hourpass.server.keys import operations as keys
from hourpass.server.organizations import operations as organizations
from support.installation import TESTER, Server

READ = "hourpass.clients:read"
GONE: dict[str, Callable[[Caller], object]] = {
    "suspended": lambda caller: lifecycle.suspend(
        caller.server.installation.context.database, caller.credentials.client_id, TESTER
    ),
    "deleted": lambda caller: lifecycle.delete(
        caller.server.installation.context.database, caller.credentials.client_id, TESTER
    ),
    "tokens revoked": lambda caller: lifecycle.revoke_tokens(
        caller.server.installation.context.database, caller.credentials.client_id, TESTER
    ),
    "organization suspended": lambda caller: organizations.suspend(
        caller.server.installation.context.database, caller.organization, TESTER
    ),
}


def signer(server: Server) -> PrivateKey:
    """The key that signs now."""
    context = server.installation.context
    with context.database.read() as connection:
        key = context.keyring().signer(context.database.now(connection))
    assert key is not None
    return key


def claims(caller: Caller) -> dict[str, Any]:
    """What a good token of the caller says."""
    now = int(time.time())
    return {
        "iss": caller.server.url,
        "sub": caller.credentials.client_id,
        "client_id": caller.credentials.client_id,
        "aud": identifier(caller.server),
        "scope": READ,
        "iat": now,
        "exp": now + 3600,
        "jti": "a-token",
        "org_id": caller.organization,
        "gen": 1,
    }


@pytest.mark.spec(
    "contract",
    "Lifecycle",
    "The management API is stricter: it also refuses a client that is suspended or expired",
)
@pytest.mark.parametrize("how", GONE)
def test_a_token_ends_with_what_it_stands_on(how: str, shared_server: Server) -> None:
    """The request after the deed is refused, though the token's `exp` is an hour away."""
    home = new_organization(shared_server.installation)
    caller = Caller(shared_server, READ, organization=home)
    assert caller("GET", "/clients").status_code == 200

    GONE[how](caller)

    refused = caller("GET", "/clients")
    assert problem(refused) == (401, "invalid-token")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_an_expired_client_administers_nothing(shared_server: Server) -> None:
    """Its token lives on elsewhere, here it ends with the client."""
    caller = Caller(shared_server, READ, expires_in_days=1)
    assert caller("GET", "/clients").status_code == 200
    with shared_server.installation.context.database.write() as connection:
        from sqlalchemy import update

        from hourpass.server.db.columns import EPOCH
        from hourpass.server.db.schema import client

        connection.execute(
            update(client)
            .where(client.c.client_id == caller.credentials.client_id)
            .values(expires_at=EPOCH)
        )

    assert problem(caller("GET", "/clients")) == (401, "invalid-token")


@pytest.mark.spec("contract", "Lifecycle", "honours only scopes that the client still holds")
def test_a_scope_that_was_taken_away_opens_nothing(shared_server: Server) -> None:
    """The token still names it."""
    caller = Caller(shared_server, READ, "hourpass.audit:read")
    assert caller("GET", "/clients").status_code == 200

    lifecycle.set_scopes(
        shared_server.installation.context.database,
        caller.credentials.client_id,
        frozenset({"hourpass.audit:read"}),
        TESTER,
    )

    assert problem(caller("GET", "/clients")) == (403, "insufficient-scope")
    assert caller("GET", "/audit-events").status_code == 200


def test_a_suspended_organization_that_is_activated_again_lets_its_tokens_in(
    shared_server: Server,
) -> None:
    """Nothing but the suspension refused them."""
    home = new_organization(shared_server.installation)
    caller = Caller(shared_server, READ, organization=home)
    database = shared_server.installation.context.database

    organizations.suspend(database, home, TESTER)
    assert caller("GET", "/clients").status_code == 401
    organizations.activate(database, home, TESTER)

    assert caller("GET", "/clients").status_code == 200


@pytest.mark.parametrize("header", ["", "Basic eDp5", "Bearer", "bearer", "Token abc", "abc"])
def test_without_a_token_the_answer_says_what_to_send(header: str, shared_server: Server) -> None:
    """401 with a challenge, and no error code in it (RFC 6750 section 3.1)."""
    answer = shared_server.http.get(
        "/api/v1/clients", headers={"Authorization": header} if header else {}
    )

    assert problem(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="hourpass"'


def test_the_token_of_another_api_is_refused(shared_server: Server) -> None:
    """Its `aud` is not the management API."""
    caller = Caller(shared_server, READ, "customers:read")
    other = caller.new_token(resource="https://api.example.com")

    assert problem(caller("GET", "/clients", token=other)) == (401, "invalid-token")


_LATER = int(time.time()) + 86400
WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "issuer and more": {"iss": ["x"]},
    "another audience": {"aud": "https://api.example.com"},
    "an audience among others": {"aud": ["https://api.example.com"]},
    "no audience": {"aud": None},
    "expired": {"exp": 1},
    "exp as text": {"exp": str(_LATER)},
    "exp as a bool": {"exp": True},
    "exp without end": {"exp": 10**30},
    "issued tomorrow": {"iat": _LATER},
    "no iat": {"iat": None},
    "another generation": {"gen": 2},
    "generation as a bool": {"gen": True},
    "generation as text": {"gen": "1"},
    "another subject": {"sub": "m2m_00000000000000000000"},
    "a client that never was": {
        "sub": "m2m_00000000000000000000",
        "client_id": "m2m_00000000000000000000",
    },
    "a client ID of another form": {"sub": "x' or 1=1", "client_id": "x' or 1=1"},
    "another organization": {"org_id": "other"},
    "no organization": {"org_id": None},
    "scopes as a list": {"scope": [READ]},
    "scopes with a line end": {"scope": f"{READ}\n"},
}


@pytest.mark.spec("threats", "8", "Claims are checked by type and value")
@pytest.mark.parametrize("case", WRONG)
def test_a_well_signed_token_with_odd_claims_is_refused(case: str, shared_server: Server) -> None:
    """Signed by our own key; the same token without the oddity gets in."""
    caller = Caller(shared_server, READ)
    key = signer(shared_server)
    good, odd = claims(caller), {**claims(caller), **WRONG[case]}

    assert caller("GET", "/clients", token=key.sign(json.dumps(good).encode())).status_code == 200
    assert problem(caller("GET", "/clients", token=key.sign(json.dumps(odd).encode()))) == (
        401,
        "invalid-token",
    )


def test_an_audience_among_several_is_not_this_api_alone(shared_server: Server) -> None:
    """`aud` is exactly the management identifier, not a list that holds it."""
    caller = Caller(shared_server, READ)
    odd = {**claims(caller), "aud": [identifier(shared_server)]}

    token = signer(shared_server).sign(json.dumps(odd).encode())

    assert problem(caller("GET", "/clients", token=token)) == (401, "invalid-token")


@pytest.mark.spec("threats", "7", "The verifier takes no orders from the token")
def test_a_key_of_somebody_elses_opens_nothing(shared_server: Server) -> None:
    """Nor a payload that is no JSON, nor a signature cut off."""
    caller = Caller(shared_server, READ)
    key = signer(shared_server)
    payload = json.dumps(claims(caller)).encode()
    stranger = PrivateKey.generate(key.algorithm)
    good = key.sign(payload)
    head, body, signature = good.split(".")
    bad = [
        stranger.sign(payload),
        key.sign(b"[]"),
        key.sign(b"\xff"),
        key.sign(b"[" * 5000),
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}",
        f"{head}.{body}.{signature}A",
        "eyJhbGciOiJub25lIn0." + body + ".",
    ]

    answers = [caller("GET", "/clients", token=token) for token in bad]

    assert [problem(answer) for answer in answers] == [(401, "invalid-token")] * len(bad)
    assert caller("GET", "/clients", token=good).status_code == 200


def test_the_tokens_of_a_revoked_key_are_refused_at_once(server: Server) -> None:
    """And those of the key that takes over get in."""
    caller = Caller(server, READ)
    context = server.installation.context
    kid = signer(server).kid
    assert caller("GET", "/clients").status_code == 200

    keys.revoke(context.database, context.policy, kid, TESTER)

    assert problem(caller("GET", "/clients")) == (401, "invalid-token")
    assert caller("GET", "/clients", token=caller.new_token()).status_code == 200


def test_tokens_of_a_key_that_was_rotated_away_live_on(server: Server) -> None:
    """It stays published until its last token has expired."""
    caller = Caller(server, READ)
    context = server.installation.context
    keys.rotate(context.database, context.policy, TESTER)

    assert caller("GET", "/clients").status_code == 200
