"""The decision on one token request: pure, in a fixed order, and total."""

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from decisions import (
    BOOKINGS,
    CLIENT,
    CREDENTIAL,
    FACTS,
    KEY,
    KEYRING,
    NOW,
    OTHER_SECRET,
    PEPPER,
    REQUEST,
    SECRET,
    registered,
    request,
)
from hypothesis import given
from hypothesis import strategies as st
from token_requests import TEXTS

from hourpass.oauth.errors import (
    ClientExpired,
    ClientSuspended,
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    OrganizationSuspended,
    ServerError,
)
from hourpass.server.catalogue.model import Catalogue
from hourpass.server.clients.secrets import Secret
from hourpass.server.tokens.authenticate import RawRequest
from hourpass.server.tokens.exchange import Issued, Refused, Registered, exchange, read

EXPIRED: dict[str, Any] = {"expires_at": NOW}
SUSPENDED: dict[str, Any] = {"suspended_at": NOW - timedelta(days=1)}


def test_who_proves_the_secret_and_may_gets_a_token() -> None:
    """With the scopes held now, for their API, signed by the key that is active now."""
    outcome = exchange(REQUEST, registered(), FACTS, NOW)

    assert isinstance(outcome, Issued)
    assert outcome.granted.scope == "bookings:read customers:read"
    assert json.loads(outcome.granted.audience) == BOOKINGS
    assert outcome.signer.kid == KEY.kid
    assert (outcome.client, outcome.moment) == (CLIENT, NOW)
    assert (outcome.request_id, outcome.ip) == ("r-1", "192.0.2.1")
    assert outcome.method == "client_secret_basic"


def test_no_two_tokens_have_the_same_id() -> None:
    """A jti is 128 random bits."""
    outcomes = [exchange(REQUEST, registered(), FACTS, NOW) for _ in range(300)]

    jtis = {outcome.jti for outcome in outcomes if isinstance(outcome, Issued)}
    assert len(jtis) == 300
    assert {len(jti) for jti in jtis} == {22}


REFUSED: dict[str, tuple[Registered | None, type[OAuthError], str]] = {
    "unknown": (None, InvalidClient, "unknown_client"),
    "no credential": (registered(credentials=()), InvalidClient, "wrong_secret"),
    "suspended": (registered(**SUSPENDED), ClientSuspended, "suspended"),
    "expired": (registered(**EXPIRED), ClientExpired, "expired"),
    "expired and suspended": (registered(**EXPIRED, **SUSPENDED), ClientExpired, "expired"),
    "organization suspended": (
        registered(organization_suspended=True),
        OrganizationSuspended,
        "organization_suspended",
    ),
    "organization and client suspended": (
        registered(organization_suspended=True, **SUSPENDED),
        ClientSuspended,
        "suspended",
    ),
}


@pytest.mark.spec("contract", "HTTP", "reason: suspended, expired or organization_suspended")
@pytest.mark.parametrize("state", REFUSED)
def test_who_may_not_have_a_token_is_told_why(state: str) -> None:
    """After the right secret only."""
    entry, error, reason = REFUSED[state]

    outcome = exchange(REQUEST, entry, FACTS, NOW)

    assert isinstance(outcome, Refused)
    assert type(outcome.error) is error
    assert outcome.reason == reason
    assert outcome.client == (entry.client if entry is not None else None)


@pytest.mark.spec("contract", "HTTP", "Whoever does not prove the secret always gets the same")
@pytest.mark.parametrize("state", REFUSED)
def test_who_does_not_prove_the_secret_learns_nothing(state: str) -> None:
    """Whatever the client's state, and whatever else is wrong with the request."""
    entry, _, _ = REFUSED[state]
    for wrong in (request(OTHER_SECRET), request(OTHER_SECRET, scope="no", resource="no")):
        outcome = exchange(wrong, entry, FACTS, NOW)

        assert isinstance(outcome, Refused)
        assert type(outcome.error) is InvalidClient
        assert outcome.error.description == "client authentication failed"
        assert outcome.error.reason is None


def test_the_right_secret_comes_before_scope_and_resource() -> None:
    """Only who proves it learns that a scope is missing or a resource unknown."""
    for asked, error in (
        (request(scope="invoices:read"), InvalidScope),
        (request(scope='bad"scope'), InvalidScope),
        (request(resource="https://nowhere.example"), InvalidTarget),
    ):
        outcome = exchange(asked, registered(), FACTS, NOW)
        assert isinstance(outcome, Refused)
        assert type(outcome.error) is error
        assert outcome.client == CLIENT


def test_the_very_moment_of_expiry_is_too_late() -> None:
    """And one microsecond before it is not."""
    early = exchange(REQUEST, registered(expires_at=NOW + timedelta(microseconds=1)), FACTS, NOW)
    late = exchange(REQUEST, registered(expires_at=NOW), FACTS, NOW)

    assert isinstance(early, Issued)
    assert isinstance(late, Refused)


def test_without_a_signing_key_it_is_our_fault() -> None:
    """The timetable has a hole: 500, not a token and not the client's fault."""
    facts = replace(FACTS, keyring=replace(KEYRING, keys=()))

    outcome = exchange(REQUEST, registered(), facts, NOW)

    assert isinstance(outcome, Refused)
    assert type(outcome.error) is ServerError
    assert outcome.reason == "no_signing_key"


@pytest.mark.spec("threats", "22", "One request hurts only itself")
def test_a_bug_met_by_one_request_is_its_own_500(caplog: pytest.LogCaptureFixture) -> None:
    """Its neighbours in the batch are decided as if it were not there; the bug is logged."""
    broken = Registered(replace(CLIENT, expires_at="tomorrow"))  # type: ignore[arg-type]  # on purpose
    entries = [registered(), broken, registered()]

    with caplog.at_level(logging.ERROR):
        outcomes = [
            exchange(request(request_id=f"r-{n}"), entry, FACTS, NOW)
            for n, entry in enumerate(entries)
        ]

    assert [type(outcome) for outcome in outcomes] == [Issued, Refused, Issued]
    assert isinstance(outcomes[1], Refused)
    assert type(outcomes[1].error) is ServerError
    assert outcomes[1].reason == "TypeError"
    assert outcomes[1].client == broken.client
    (record,) = caplog.records
    assert record.__dict__["request_id"] == "r-1"
    assert SECRET.reveal() not in caplog.text


@given(text=TEXTS, scope=st.none() | TEXTS, resource=st.none() | TEXTS)
def test_any_text_is_decided(text: str, scope: str | None, resource: str | None) -> None:
    """As secret, scope or resource: a refusal with words that can be sent, never an exception."""
    for secret in (Secret(text), SECRET):
        asked = replace(REQUEST, secret=secret, scope=scope, resource=resource)
        outcome = exchange(asked, registered(), FACTS, NOW)
        if isinstance(outcome, Refused):
            assert type(outcome.error) is not ServerError
            assert outcome.error.description.isascii()
            assert outcome.error.description.isprintable()


def test_an_outcome_keeps_nothing_secret() -> None:
    """Neither the secret of the request nor a digest or pepper is in what is passed on."""
    for entry in (None, registered(), registered(**SUSPENDED)):
        shown = repr(exchange(REQUEST, entry, FACTS, NOW)) + repr(FACTS) + repr(REQUEST)
        for hidden in (SECRET.reveal(), repr(CREDENTIAL.digest), repr(PEPPER)):
            assert hidden not in shown


def test_octets_that_cannot_be_read_are_a_refusal() -> None:
    """Step 0 of every request: with the request's ID and address, and no client."""
    raw = RawRequest(
        content_type=b"text/plain",
        authorization=(b"Basic c2VjcmV0",),
        query=b"",
        body=b"client_secret=hps_x",
        request_id="r-7",
        ip="192.0.2.7",
    )

    outcome = read(raw)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, InvalidRequest)
    assert (outcome.client, outcome.request_id, outcome.ip) == (None, "r-7", "192.0.2.7")
    assert "hps_x" not in repr(raw)
    assert "c2VjcmV0" not in repr(raw)


def test_a_bug_in_reading_is_one_requests_500(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a request is made of."""
    raw = RawRequest(content_type=None, authorization=(), query=b"", body=b"", request_id="r-8")  # type: ignore[arg-type]  # on purpose

    outcome = read(raw)

    assert isinstance(outcome, Refused)
    assert type(outcome.error) is ServerError
    assert [record.__dict__["request_id"] for record in caplog.records] == ["r-8"]


def test_a_decision_is_made_with_the_catalogue_of_its_moment() -> None:
    """Two catalogues, each with its own answer, however often they alternate."""
    without = Catalogue(version=2, management_identifier="m", apis=())
    for _ in range(3):
        assert isinstance(exchange(REQUEST, registered(), FACTS, NOW), Issued)
        other = exchange(REQUEST, registered(), replace(FACTS, catalogue=without), NOW)
        assert isinstance(other, Refused)
        assert isinstance(other.error, InvalidScope)
