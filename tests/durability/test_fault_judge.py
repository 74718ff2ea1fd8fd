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
            about = {"client_id": "m2m_x", "origin": str(number), **step}
            about |= {"key": "k"} if about.pop("begins") == "create" else {}
        entries.append({**about, "secret": "first", "scopes": [READ], **about, **step})
    return replay(entries)


def unknown(deed: str, **about: Any) -> list[dict[str, Any]]:
    return [{"begins": deed, **about}, {"unknown": deed}]


def refused(deed: str, **about: Any) -> list[dict[str, Any]]:
    return [{"begins": deed, **about}, {"refused": deed}]


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


def test_what_was_refused_leaves_everything_as_it_was() -> None:
    """Also what was unknown before."""
    for steps in (refused("suspend"), refused("set_scopes", scopes=[WRITE]), refused("rotate")):
        expected = client(replayed(*unknown("delete"), *steps))
        assert expected.statuses == {"active", "deleted"}
        assert expected.scopes == {frozenset({READ})}
        assert expected.secret_is_sure


def test_tokens_that_were_revoked_stay_revoked() -> None:
    """The generation is not lower than the one in the event of a revocation."""
    event = Recorded(EVENTS["revoke_tokens"], "m2m_x", "2", generation=2)

    for generation, losses in ((1, 1), (2, 0), (3, 0)):
        rows = {"m2m_x": Row(version=3, generation=generation, scopes={READ})}
        assert len(list(judge.revived(rows, [event]))) == losses
    assert list(judge.revived({}, [event])) == []


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
        (refused("rotate"), {0}),
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
        return len(list(judge.refuted_by_events(told, events)))

    assert losses(created, suspended, others) == 0
    assert losses(created) == 1
    assert losses(created, suspended, suspended) == 1
    assert losses(created, Recorded(EVENTS["rotate"], "m2m_x", "2")) == 1
    assert losses(created, Recorded(EVENTS["suspend"], "m2m_y", "2")) == 1


def creation(*requests: tuple[str, str]) -> Told:
    """The same creation again and again, by origin and the secret that was shown; "lost" is an
    answer that did not come."""
    entries: list[dict[str, Any]] = []
    for name, secret in requests:
        about = {"key": "k", "client_id": "", "origin": name, "scopes": [READ]}
        done = {"done": "create", **about, "client_id": "m2m_x", "secret": secret}
        lost = {"unknown": "create", "status": 0, **about}
        entries += [{"begins": "create", **about}, lost if secret == "lost" else done]
    return replay(entries)


def test_a_creation_that_is_repeated_with_its_key_makes_one_client() -> None:
    """By the request that shows the secret, or by one before it; two, or none, are a loss."""
    first, second, third = (Recorded(EVENTS["create"], "m2m_x", name) for name in "123")

    def losses(told: Told, *events: Recorded) -> int:
        return len(list(judge.refuted_by_events(told, events)))

    told = creation(("1", "lost"), ("2", "lost"))
    assert losses(told) == losses(told, first) == losses(told, second) == 0
    assert losses(told, first, second) == 1

    told = creation(("1", "lost"), ("2", "lost"), ("3", "shown"))
    assert (client(told).secret, client(told).secret_is_sure) == ("shown", True)
    assert losses(told, third) == 0
    assert losses(told) > 0
    assert losses(told, first) > 0
    assert losses(told, first, third) > 0

    told = creation(("1", "lost"), ("2", "lost"), ("3", ""))
    assert (client(told).secret, client(told).secret_is_sure) == ("", False)
    assert losses(told, first) == losses(told, second) == 0
    assert losses(told) > 0
    assert losses(told, third) > 0
    assert losses(told, first, second) > 0
    assert losses(told, Recorded(EVENTS["create"], "m2m_y", "1")) > 0


def test_a_secret_that_nobody_was_shown_is_no_old_one() -> None:
    """The one that is shown in its place is sure."""
    about = {"client_id": "m2m_x", "origin": "2"}
    rotation = [{"begins": "rotate", **about}, {"done": "rotate", "secret": "new", **about}]
    lost = {"key": "k", "client_id": "", "origin": "1", "scopes": [READ]}
    made = {"done": "create", **lost, "client_id": "m2m_x", "secret": ""}

    expected = client(replay([{"begins": "create", **lost}, made, *rotation]))

    assert (expected.secret, expected.old, expected.secret_is_sure) == ("new", [], True)


def test_a_change_without_its_event_is_half_done() -> None:
    """So is an event without its change: each deed is one version of the client's row."""
    created, changed, deleted = (
        Recorded(EVENTS[deed], "m2m_x", "") for deed in ("create", "rotate", "delete")
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


def test_a_fault_excuses_no_500() -> None:
    """Nor that a client which is good is refused; no answer, and 503, it does."""
    entries: list[dict[str, Any]] = [{"jti": "j"}]
    entries += [{"status": status} for status in (0, 409, 412, 503, 502, 504)]
    assert judge.odd(entries) == set()
    assert judge.odd_answers(set()) == ""

    odd = judge.odd([*entries, {"status": 500}, {"status": 401}])
    assert judge.odd_answers(odd) == "callers got answers of status 401, 500"
