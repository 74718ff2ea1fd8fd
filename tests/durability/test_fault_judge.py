"""What `faults/run` holds to be lost: journals and database compared."""

from typing import Any

import pytest
from faults import judge
from faults.expected import EVENTS, Deed, Expected, Told, replay
from faults.judge import Recorded, Row

READ, WRITE = "customers:read", "profile:write"


def replayed(*steps: dict[str, Any]) -> Told:
    """A journal of one client: the first step is done, a later one ends the last that began."""
    entries: list[dict[str, Any]] = []
    about: dict[str, Any] = {}
    for number, step in enumerate(({"begins": "create"}, {"done": "create"}, *steps)):
        if "begins" in step:
            about = {"client_id": "m2m_x", "request_id": str(number), **step}
            about.pop("begins")
        entries.append({**about, "secret": "first", "scopes": [READ], **about, **step})
    return replay(entries)


def unknown(deed: str, **about: Any) -> list[dict[str, Any]]:
    return [{"begins": deed, **about}, {"unknown": deed}]


def done(deed: str, *, said: dict[str, Any] | None = None, **about: Any) -> list[dict[str, Any]]:
    return [{"begins": deed, **about}, {"done": deed, **(said or {})}]


def client(told: Told) -> Expected:
    return told.clients["m2m_x"]


def last(told: Told) -> Deed:
    return list(told.deeds.values())[-1]


def test_a_deed_of_unknown_outcome_leaves_two_statuses_that_are_right() -> None:
    """Also when others began after it; what is acknowledged later narrows them down."""
    steps = [*unknown("suspend"), *unknown("rotate")]
    expected = client(replayed(*steps))
    assert expected.statuses == {"active", "suspended"}
    assert not expected.secret_is_sure

    expected = client(replayed(*steps, *done("rotate", said={"secret": "new"})))
    assert expected.statuses == {"active", "suspended"}
    assert (expected.secret, expected.old, expected.secret_is_sure) == ("new", ["first"], True)

    expected = client(replayed(*steps, *done("activate")))
    assert expected.statuses == {"active"}


def test_scopes_are_those_that_were_acknowledged() -> None:
    """Or, after a change of unknown outcome, those before or after it; nothing else."""
    told = replayed(*unknown("set_scopes", scopes=[WRITE]))
    assert client(told).scopes == {frozenset({READ}), frozenset({WRITE})}
    told = replayed(*done("set_scopes", scopes=[READ, WRITE]))
    assert client(told).scopes == {frozenset({READ, WRITE})}

    rows = {"m2m_x": Row(version=2, generation=1, scopes={READ, WRITE})}
    assert list(judge.refuted_by_rows(told.clients, rows)) == []
    rows["m2m_x"].scopes = {READ}
    (loss,) = judge.refuted_by_rows(told.clients, rows)
    assert "has the scopes ['customers:read']" in loss


def test_tokens_that_were_revoked_stay_revoked() -> None:
    """The generation is not lower than the acknowledged one; a revocation of unknown outcome
    may have raised it."""
    told = replayed(*done("revoke_tokens", said={"generation": 2}), *unknown("revoke_tokens"))

    for generation, losses in ((1, 1), (2, 0), (3, 0)):
        rows = {"m2m_x": Row(version=3, generation=generation, scopes={READ})}
        assert len(list(judge.refuted_by_rows(told.clients, rows))) == losses


@pytest.mark.parametrize(
    ("steps", "events"),
    [
        (done("rotate"), {1}),
        (done("suspend"), {1}),
        (done("activate"), {0}),  # it was active
        (done("suspend") + done("suspend"), {0}),
        (unknown("suspend") + done("suspend"), {0, 1}),
        (done("set_scopes", scopes=[READ]), {0}),
        (done("set_scopes", scopes=[WRITE]), {1}),
        (unknown("delete"), {0, 1}),
        ([{"begins": "delete"}], {0, 1}),  # the journal ends here
        ([*unknown("delete"), {"begins": "rotate"}, {"absent": "rotate"}], {0}),
    ],
)
def test_how_many_events_a_deed_may_have(steps: list[dict[str, Any]], events: set[int]) -> None:
    """One when it was acknowledged and changed something; at most one when nobody was told."""
    assert last(replayed(*steps)).events == events


def test_each_acknowledged_deed_has_one_event_of_its_own() -> None:
    """None, two, another kind and another client's are losses."""
    told = replayed(*done("suspend"))
    created = Recorded(EVENTS["create"], "m2m_x", "0")
    suspended = Recorded(EVENTS["suspend"], "m2m_x", "2")
    others = Recorded(EVENTS["delete"], "m2m_y", "of somebody else")

    def losses(*events: Recorded) -> int:
        return len(list(judge.refuted_by_events(told.deeds, events)))

    assert losses(created, suspended, others) == 0
    assert losses(created) == 1
    assert losses(created, suspended, suspended) == 1
    assert losses(created, Recorded(EVENTS["rotate"], "m2m_x", "2")) == 1
    assert losses(created, Recorded(EVENTS["suspend"], "m2m_y", "2")) == 1


def test_a_change_without_its_event_is_half_done() -> None:
    """So is an event without its change: each deed is one version of the client's row."""
    created, changed, deleted = (
        Recorded(EVENTS[deed], "m2m_x", None) for deed in ("create", "rotate", "delete")
    )

    def losses(version: int | None, *events: Recorded) -> int:
        rows = {} if version is None else {"m2m_x": Row(version=version, generation=1)}
        return len(list(judge.halves(rows, events)))

    assert losses(2, created, changed) == losses(None, created, deleted) == 0
    assert losses(2, created) == losses(1, created, changed) == 1
    assert losses(None, created) == losses(1, created, deleted) == 1


def test_a_client_that_is_gone_and_was_not_deleted_is_lost() -> None:
    """The caller finds out: there is no such client any more."""
    assert replayed(*unknown("delete"), {"begins": "rotate"}, {"absent": "rotate"}).losses == []
    assert len(replayed({"begins": "rotate"}, {"absent": "rotate"}).losses) == 1
