"""Deeds on keys, on both databases, while the clock moves."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from turned_clock import PERIOD, POLICY, START, TurnedDatabase

from hourpass.oauth.jose import Algorithm
from hourpass.server.audit.store import EventFilter
from hourpass.server.db.schema import installation as installation_table
from hourpass.server.keys import operations, store
from hourpass.server.keys.model import KeyState, SigningKey
from hourpass.server.keys.operations import UnknownKeyId
from support.audit_trail import as_written
from support.installation import TESTER, Installation

WAIT = timedelta(seconds=360)
SYSTEM = {"type": "system", "id": "hourpass", "name": "Hourpass"}
BY_TESTER = {"type": "cli", "id": "tester", "name": "Tester"}


@pytest.fixture
def database(home: Installation) -> TurnedDatabase:
    """Fresh keys, made at START; no event of anything else."""
    return TurnedDatabase.of(home.context.database)


def states(database: TurnedDatabase) -> list[str]:
    """Where each key stands now, in the order in which they sign."""
    return [key.state(database.clock.now).value for key in database.signing_keys()]


def by_state(database: TurnedDatabase, state: KeyState) -> SigningKey:
    """The one key in this state now."""
    (found,) = [key for key in database.signing_keys() if key.state(database.clock.now) is state]
    return found


def events(database: TurnedDatabase) -> list[dict[str, Any]]:
    """Every event, oldest first."""
    with database.read() as connection:
        return [event.as_json() for event in as_written(connection, EventFilter())]


def version(database: TurnedDatabase) -> int:
    """What tells every process to read the keys again."""
    with database.read() as connection:
        found: int = connection.execute(select(installation_table.c.keys_version)).scalar_one()
    return found


def minute_strikes(database: TurnedDatabase, at: datetime) -> bool:
    """The clock is now there, and the server looks after its keys."""
    database.clock.now = at
    return operations.keep_timetable(database, POLICY)


def test_the_first_two_keys(database: TurnedDatabase) -> None:
    """One signs at once, the next one after a period; pepper and cursor key beside them."""
    first, second = database.signing_keys()

    assert (first.activates_at, first.retires_at) == (START, START + PERIOD)
    assert (second.activates_at, second.retires_at) == (START + PERIOD, None)
    assert states(database) == ["active", "next"]
    assert [event["event"] for event in events(database)] == ["key.created"] * 2
    assert all(event["actor"] == SYSTEM for event in events(database))
    with database.read() as connection:
        assert store.sealed(connection).keys() == {
            ("pepper", "1"),
            ("cursor", "1"),
            ("signing", first.kid),
            ("signing", second.kid),
        }


def test_the_kid_is_the_keys_thumbprint(database: TurnedDatabase) -> None:
    """What is stored, what is opened and what is published are one key."""
    ring = database.keyring()
    for key in database.signing_keys():
        assert ring.private[key.kid].kid == key.kid == key.public_jwk["kid"]
        assert ring.private[key.kid].public_jwk == key.public_jwk
        assert "d" not in key.public_jwk
    assert ring.jwks(START) == {"keys": [key.public_jwk for key in database.signing_keys()]}


def test_the_timetable_over_a_year(database: TurnedDatabase) -> None:
    """Nothing to do until a key takes over; then the next one is made, and old halves go."""
    first, second = database.signing_keys()
    assert not minute_strikes(database, START + timedelta(minutes=1))
    assert not minute_strikes(database, START + PERIOD - timedelta(microseconds=1))
    before = version(database)

    assert minute_strikes(database, START + PERIOD)

    assert states(database) == ["retiring", "active", "next"]
    assert version(database) > before
    assert database.sealed_kids() == {key.kid for key in database.signing_keys()}
    assert not minute_strikes(database, START + PERIOD + timedelta(minutes=1))
    assert minute_strikes(database, START + PERIOD + timedelta(seconds=3960))
    assert states(database) == ["gone", "active", "next"]
    assert first.kid not in database.sealed_kids()
    assert not minute_strikes(database, START + PERIOD + timedelta(days=1))
    third = by_state(database, KeyState.NEXT)
    assert third.activates_at == second.activates_at + PERIOD
    written = [(e["event"], e["detail"]["kid"]) for e in events(database)[2:]]
    assert sorted(written) == sorted(
        [
            ("key.created", third.kid),
            ("key.activated", second.kid),
            ("key.retired", first.kid),
        ]
    )
    assert all(event["actor"] == SYSTEM for event in events(database))


def test_after_a_long_silence_the_next_key_is_still_seen_before_it_signs(
    database: TurnedDatabase,
) -> None:
    """The server was down for years: the key that signs goes on until the new one is known."""
    second = database.signing_keys()[1]
    late = START + PERIOD * 10

    minute_strikes(database, late)

    assert states(database) == ["gone", "active", "next"]
    assert by_state(database, KeyState.ACTIVE).kid == second.kid
    assert by_state(database, KeyState.NEXT).activates_at == late + WAIT


def test_at_most_one_node_keeps_the_timetable(database: TurnedDatabase) -> None:
    """Six at the same moment make one key."""
    database.clock.now = START + PERIOD

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: operations.keep_timetable(database, POLICY), range(6)))

    assert states(database) == ["retiring", "active", "next"]
    assert [e["event"] for e in events(database)].count("key.created") == 3


def test_rotating_a_key_that_was_seen_long_enough(database: TurnedDatabase) -> None:
    """It signs now; the one before retires now; another one is made to come after it."""
    first, second = database.signing_keys()
    database.clock.now = now = START + timedelta(days=1)

    rotated = operations.rotate(database, POLICY, TESTER)

    assert (rotated.kid, rotated.activates_at) == (second.kid, now)
    assert states(database) == ["retiring", "active", "next"]
    assert database.signing_keys()[0].retires_at == now
    third = by_state(database, KeyState.NEXT)
    assert third.activates_at == now + PERIOD
    signer = database.keyring().signer(now)
    assert signer is not None
    assert signer.kid == second.kid
    written = [(e["event"], e["detail"]["kid"], e["actor"]) for e in events(database)[2:]]
    assert sorted(written, key=str) == sorted(
        [
            ("key.retired", first.kid, BY_TESTER),
            ("key.activated", second.kid, BY_TESTER),
            ("key.created", third.kid, BY_TESTER),
        ],
        key=str,
    )


def test_a_clock_set_back_over_a_rotation_finds_the_key_of_that_moment(
    database: TurnedDatabase,
) -> None:
    """Also in a keyring that was opened after the rotation: nobody is refused for it."""
    first, second = database.signing_keys()
    database.clock.now = now = START + timedelta(days=1)
    operations.rotate(database, POLICY, TESTER)

    opened = database.keyring()

    signers = [opened.signer(moment) for moment in (now - timedelta(seconds=2), now)]
    assert [signer and signer.kid for signer in signers] == [first.kid, second.kid]


def test_rotating_a_key_that_nobody_has_seen_yet(database: TurnedDatabase) -> None:
    """It signs as soon as every verifier can know it, and until then the one before goes on."""
    first, second = database.signing_keys()
    database.clock.now = START + timedelta(seconds=10)

    rotated = operations.rotate(database, POLICY, TESTER)

    assert (rotated.kid, rotated.activates_at) == (second.kid, START + WAIT)
    assert states(database) == ["active", "next"]
    assert by_state(database, KeyState.ACTIVE).retires_at == START + WAIT
    with database.at(START + WAIT):
        assert states(database) == ["retiring", "active"]
    assert first.kid in database.sealed_kids()
    assert events(database)[-1]["actor"] == BY_TESTER
    assert events(database)[-1]["detail"]["kid"] == second.kid


def test_rotating_twice_in_a_minute_is_rotating_once(database: TurnedDatabase) -> None:
    """The second one neither makes a key nor lets one sign that nobody knows."""
    database.clock.now = START + timedelta(days=1)
    operations.rotate(database, POLICY, TESTER)
    signs = by_state(database, KeyState.ACTIVE)
    database.clock.now += timedelta(seconds=30)

    operations.rotate(database, POLICY, TESTER)
    again = operations.rotate(database, POLICY, TESTER)

    assert by_state(database, KeyState.ACTIVE).kid == signs.kid
    assert again.activates_at == START + timedelta(days=1) + WAIT
    assert len(database.signing_keys()) == 3


def test_rotating_when_there_is_no_next_key(database: TurnedDatabase) -> None:
    """The timetable was not kept: one is made, and signs once it is known."""
    database.clock.now = late = START + PERIOD + timedelta(days=5)

    rotated = operations.rotate(database, POLICY, TESTER)

    assert rotated.created_at == late
    assert rotated.activates_at == late + WAIT
    assert states(database) == ["gone", "active", "next"]


@pytest.mark.parametrize("wait", [timedelta(seconds=1), timedelta(days=1)])
def test_revoking_the_key_that_signs(database: TurnedDatabase, wait: timedelta) -> None:
    """The next one signs from this moment, seen or not; the stolen one is gone everywhere."""
    first, second = database.signing_keys()
    database.clock.now = now = START + wait

    operations.revoke(database, POLICY, first.kid, TESTER)

    assert states(database) == ["revoked", "active", "next"]
    assert by_state(database, KeyState.ACTIVE).kid == second.kid
    assert first.kid not in database.sealed_kids()
    ring = database.keyring()
    assert first.kid not in ring.private
    jwks: Any = ring.jwks(now)
    assert first.kid not in [key["kid"] for key in jwks["keys"]]
    assert jwks["keys"][0]["kid"] == second.kid
    revoked = [e for e in events(database) if e["event"] == "key.revoked"]
    assert [(e["detail"]["kid"], e["actor"]) for e in revoked] == [(first.kid, BY_TESTER)]


def test_a_clock_set_back_over_a_revocation_finds_the_key_that_followed(
    database: TurnedDatabase,
) -> None:
    """The revoked one signs nothing, whatever time it is; nobody is refused for it."""
    database.clock.now = START + timedelta(days=1)
    leaked = operations.rotate(database, POLICY, TESTER)
    following = by_state(database, KeyState.NEXT)
    database.clock.now = now = START + timedelta(days=2)
    operations.revoke(database, POLICY, leaked.kid, TESTER)

    signer = database.keyring().signer(now - timedelta(seconds=2))

    assert signer is not None
    assert signer.kid == following.kid


def test_revoking_the_next_key(database: TurnedDatabase) -> None:
    """Another one takes its place; the one that signs goes on."""
    first, second = database.signing_keys()
    database.clock.now = now = START + timedelta(days=1)

    operations.revoke(database, POLICY, second.kid, TESTER)

    assert by_state(database, KeyState.ACTIVE).kid == first.kid
    third = by_state(database, KeyState.NEXT)
    assert (third.created_at, third.activates_at) == (now, START + PERIOD)
    assert by_state(database, KeyState.ACTIVE).retires_at == third.activates_at
    assert database.sealed_kids() == {first.kid, third.kid}


def test_revoking_the_only_key_that_could_sign(database: TurnedDatabase) -> None:
    """The timetable was not kept: a new key signs at once, and gets a successor."""
    database.clock.now = late = START + PERIOD * 2
    second = by_state(database, KeyState.ACTIVE)

    operations.revoke(database, POLICY, second.kid, TESTER)

    assert by_state(database, KeyState.ACTIVE).created_at == late
    operations.keep_timetable(database, POLICY)
    assert by_state(database, KeyState.NEXT).activates_at == late + PERIOD


def test_revoking_a_key_that_retires(database: TurnedDatabase) -> None:
    """What it signed is refused from now on; who signs stays the same."""
    first, second = database.signing_keys()
    minute_strikes(database, START + PERIOD + timedelta(minutes=5))

    operations.revoke(database, POLICY, first.kid, TESTER)

    assert states(database) == ["revoked", "active", "next"]
    assert by_state(database, KeyState.ACTIVE).kid == second.kid
    assert first.kid not in database.sealed_kids()


@pytest.mark.parametrize("kid", ["", "nobody", "' or 1=1 --", "a\0b", "a\ud800b", "x" * 100_000])
def test_revoking_a_key_that_is_not_there(database: TurnedDatabase, kid: str) -> None:
    """Nothing happens, and nothing is written."""
    before, written = database.signing_keys(), len(events(database))
    with pytest.raises(UnknownKeyId):
        operations.revoke(database, POLICY, kid, TESTER)
    assert database.signing_keys() == before
    assert len(events(database)) == written


def test_revoking_a_key_twice(database: TurnedDatabase) -> None:
    """The second time there is no such key any more, and no event."""
    first = database.signing_keys()[0]
    operations.revoke(database, POLICY, first.kid, TESTER)
    written = len(events(database))
    with pytest.raises(UnknownKeyId):
        operations.revoke(database, POLICY, first.kid, TESTER)
    assert len(events(database)) == written


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_another_algorithm_comes_with_the_next_key(
    database: TurnedDatabase, algorithm: Algorithm
) -> None:
    """Keys that were made before keep theirs."""
    policy = replace(POLICY, algorithm=algorithm)
    database.clock.now = START + timedelta(days=1)

    operations.rotate(database, policy, TESTER)

    assert [key.algorithm for key in database.signing_keys()] == [
        Algorithm.ES256,
        Algorithm.ES256,
        algorithm,
    ]
    third = database.signing_keys()[2]
    assert database.keyring().private[third.kid].algorithm is algorithm
    assert third.public_jwk["alg"] == algorithm.value


DEEDS: dict[str, Callable[[TurnedDatabase], object]] = {
    "keep_timetable": lambda database: minute_strikes(database, START + PERIOD),
    "rotate": lambda database: operations.rotate(database, POLICY, TESTER),
    "revoke": lambda database: operations.revoke(
        database, POLICY, database.signing_keys()[0].kid, TESTER
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_every_change_of_a_key_is_a_new_version(database: TurnedDatabase, deed: str) -> None:
    """So that no process goes on with the keys it remembers."""
    before = version(database)
    DEEDS[deed](database)
    assert version(database) > before
