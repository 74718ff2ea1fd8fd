"""Audit events as sentences: what people read, and what is said of events nobody foresaw."""

from datetime import UTC, datetime

import pytest

from hourpass.server.admin import sentences
from hourpass.server.audit.events import Actor, Event, StoredEvent

ANA = Actor("operator", "opr_1", "ana@example.com")


def _event(name: str, /, *, client: str | None = "CRM sync", **detail: object) -> StoredEvent:
    return StoredEvent(
        id=1,
        time=datetime(2026, 11, 24, tzinfo=UTC),
        event=name,
        actor=ANA,
        client_id="m2m_1" if client else None,
        client_name=client,
        organization="default",
        request_id="r-1",
        ip="192.0.2.1",
        detail=dict(detail),
    )


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            _event("client.secret_rotated", revoke_live_tokens=False),
            "ana@example.com rotated the secret of CRM sync",
        ),
        (
            _event("client.suspended", revoke_live_tokens=True),
            "ana@example.com suspended CRM sync, and revoked its live tokens",
        ),
        (
            _event("client.scopes_changed", added=["a:read"], removed=["b:read", "c:read"]),
            "ana@example.com changed the scopes of CRM sync: added a:read; removed b:read, c:read",
        ),
        (
            _event("client.updated", name_before="CRM", name="CRM sync"),
            "ana@example.com renamed CRM sync, before “CRM”",
        ),
        (
            _event("client.updated", limit_per_minute=1200),
            "ana@example.com set the limit of CRM sync: up to 1,200 requests a minute",
        ),
        (
            _event("client.updated", name_before="CRM", name="CRM sync", limit_per_minute=None),
            "ana@example.com renamed CRM sync, before “CRM”; its limit: the API’s own",
        ),
        (
            _event("audit.pruned", client=None, before="2026-01-01T00:00:00.000000Z", events=1200),
            "ana@example.com removed 1,200 audit events: all from before 2026-01-01",
        ),
        (
            _event("operator.invited", client=None, step="set-up link made"),
            "ana@example.com made the set-up link",
        ),
        (_event("token.issued", scope="a:read"), "CRM sync got a token for a:read"),
        (
            _event("token.refused", reason="wrong_secret", count=1200),
            "CRM sync was refused a token: wrong secret, 1,200 times more",
        ),
        (
            _event("token.refused", client=None, reason="unknown_client"),
            "A caller without a known client was refused a token: no such client",
        ),
        (
            _event("operator.signed_in", client=None, method="recovery_code"),
            "ana@example.com signed in with recovery code",
        ),
        (_event("moon.landed_on"), "ana@example.com · moon landed on CRM sync"),
    ],
)
def test_an_event_is_a_sentence(event: StoredEvent, words: str) -> None:
    """Who, what, to which client; an unknown kind is told by its name."""
    assert " ".join(str(sentences.sentence(event)).split()) == words


@pytest.mark.parametrize("name", [event.value for event in Event])
def test_every_event_has_words_of_its_own(name: str) -> None:
    """With nothing in its detail too; none falls back on its name."""
    text = str(sentences.sentence(_event(name)))

    assert "·" not in text
    assert text.strip() == text.strip(" :")


def test_details_are_read_not_parsed() -> None:
    """Lists, flags and nothing are words."""
    told = sentences.detail(_event("x", added=[], scopes=["a", "b"], again=True, role=None, n=3))

    assert told == [
        ("Added", "none"),
        ("Scopes", "a, b"),
        ("Again", "yes"),
        ("Role", "none"),
        ("N", "3"),
    ]
