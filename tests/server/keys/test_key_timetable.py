"""The keys' timetable: one key signs, and every verifier that caches can check what it signed."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event
from turned_clock import PERIOD, POLICY, START, TurnedDatabase

from hourpass.server.db.engine import Database
from hourpass.server.keys import model, operations
from hourpass.server.keys.model import KeyState, SigningKey
from support.installation import TESTER, Installation

# The promised numbers, written down a second time on purpose.
MAX_AGE = timedelta(seconds=300)
PUBLISHED_AFTER = timedelta(seconds=3600 + 60 + 300)
A_MICROSECOND = timedelta(microseconds=1)
INTERESTING = [
    *(timedelta(), A_MICROSECOND, timedelta(seconds=299), MAX_AGE, timedelta(seconds=360)),
    *(timedelta(seconds=59), PUBLISHED_AFTER, PERIOD - timedelta(seconds=360), PERIOD),
    timedelta(days=400),
]


class Years(RuleBasedStateMachine):
    """An installation whose keys are rotated, revoked and left alone at any times."""

    embedded: Database

    @initialize()
    def install(self) -> None:
        self.database = TurnedDatabase.of(self.embedded)
        self.signed_until: dict[str, datetime] = {}
        self.first_seen: dict[str, datetime] = {}
        self.after_revocation: set[str] = set()
        self.first = model.active(self.database.signing_keys(), START)

    @rule(passed=st.sampled_from(INTERESTING) | st.timedeltas(timedelta(), timedelta(days=100)))
    def time_passes(self, passed: timedelta) -> None:
        """Whoever signs in between is noted: at every moment when that can change."""
        now, then = self.database.clock.now, self.database.clock.now + passed
        keys = self.database.signing_keys()
        moments = {key.activates_at for key in keys} | {k.retires_at for k in keys if k.retires_at}
        for moment in sorted(m for m in moments if now <= m <= then):
            self._look(keys, moment - A_MICROSECOND if moment > now else moment)
            self._look(keys, moment)
        self.database.clock.now = then

    @rule()
    def the_minute_strikes(self) -> None:
        operations.keep_timetable(self.database, POLICY)

    @rule()
    def rotate(self) -> None:
        operations.rotate(self.database, POLICY, TESTER)

    @rule(which=st.sampled_from(list(KeyState)))
    def revoke(self, which: KeyState) -> None:
        now, before = self.database.clock.now, self.database.signing_keys()
        found = [key for key in before if key.state(now) is which]
        if not found:
            return
        if which is KeyState.REVOKED:
            with pytest.raises(operations.UnknownKeyId):
                operations.revoke(self.database, POLICY, found[0].kid, TESTER)
            return
        operations.revoke(self.database, POLICY, found[0].kid, TESTER)
        self.signed_until.pop(found[0].kid, None)
        if which is KeyState.ACTIVE:
            signs = model.active(self.database.signing_keys(), now)
            assert signs is not None
            self.after_revocation.add(signs.kid)

    def _look(self, keys: list[SigningKey], moment: datetime) -> None:
        """What every reader of the JWKS and every token request of this moment would see."""
        (signs,) = [key for key in keys if key.state(moment) is KeyState.ACTIVE]
        assert model.active(keys, moment) == signs
        shown = model.published(keys, moment)
        assert shown[0] == signs
        kids = [key.kid for key in shown]
        for kid in kids:
            self.first_seen.setdefault(kid, moment)
        if signs.kid not in {self.first and self.first.kid, *self.after_revocation}:
            assert moment - self.first_seen[signs.kid] >= MAX_AGE
        self.signed_until[signs.kid] = moment
        for kid, last in self.signed_until.items():
            assert kid in kids or moment - last >= PUBLISHED_AFTER
        assert not {key.kid for key in keys if key.revoked_at is not None} & set(kids)

    @invariant()
    def one_key_signs_and_all_can_check(self) -> None:
        self._look(self.database.signing_keys(), self.database.clock.now)

    @invariant()
    def one_key_signs_at_any_time_to_come(self) -> None:
        """Even if nobody ever looked after the keys again."""
        keys = self.database.signing_keys()
        for ahead in INTERESTING:
            moment = self.database.clock.now + ahead
            assert [key.state(moment) for key in keys].count(KeyState.ACTIVE) == 1

    @invariant()
    def the_key_that_signs_can_be_opened(self) -> None:
        ring, now = self.database.keyring(), self.database.clock.now
        signer, signs = ring.signer(now), model.active(ring.keys, now)
        assert signer is not None
        assert signs is not None
        assert signer.kid == signs.kid

    @invariant()
    def no_private_half_of_a_revoked_key_stays(self) -> None:
        revoked = {key.kid for key in self.database.signing_keys() if key.revoked_at is not None}
        assert not revoked & self.database.sealed_kids()


@pytest.mark.spec("threats", "9", "The next key is published at least the JWKS max-age before use")
@pytest.mark.spec("threats", "9", "the old one stays for token life + skew + max-age")
def test_any_history_of_the_keys_keeps_every_token_verifiable(
    sqlite_installation: Installation,
) -> None:
    """Exactly one key signs at every moment; it was published before, and stays published."""
    database = sqlite_installation.context.database
    event.listen(database.engine, "connect", not_durably)
    database.engine.dispose()

    class YearsHere(Years):
        embedded = database

    run_state_machine_as_test(YearsHere, settings=settings(max_examples=50, stateful_step_count=20))


def not_durably(connection: Any, _record: object) -> None:
    """Thousands of transactions that need not survive anything."""
    connection.execute("PRAGMA synchronous=OFF")


def key(**times: datetime | None) -> SigningKey:
    """A key with these times."""
    values: dict[str, object] = {"created_at": START, "activates_at": START, **times}
    return SigningKey(kid="k", algorithm=POLICY.algorithm, public_jwk={}, **values)  # type: ignore[arg-type]  # the names are SigningKey's own


def test_the_states_of_a_key_and_their_very_edges() -> None:
    """next → active → retiring → gone, each from its moment on; revoked is for good."""
    one = key(activates_at=START, retires_at=START + PERIOD)
    gone = START + PERIOD + PUBLISHED_AFTER

    assert one.state(START - A_MICROSECOND) is KeyState.NEXT
    assert one.state(START) is KeyState.ACTIVE
    assert one.state(START + PERIOD - A_MICROSECOND) is KeyState.ACTIVE
    assert one.state(START + PERIOD) is KeyState.RETIRING
    assert one.state(gone - A_MICROSECOND) is KeyState.RETIRING
    assert one.state(gone) is KeyState.GONE
    revoked = key(retires_at=START + PERIOD, revoked_at=START)
    for moment in (START - PERIOD, START, gone):
        assert revoked.state(moment) is KeyState.REVOKED


def test_the_first_key_signs_at_once_and_any_other_waits_to_be_seen() -> None:
    """After its predecessor's period, but never before verifiers had time to see it."""
    assert model.following(None, START, PERIOD) == START
    assert model.following(key(), START, PERIOD) == START + PERIOD
    late = START + timedelta(days=400)
    assert model.following(key(), late, PERIOD) == late + timedelta(seconds=360)
    assert model.earliest_use(key(), START) == START + timedelta(seconds=360)
    assert model.earliest_use(key(), late) == late


def test_of_no_keys_none_signs_and_none_is_published() -> None:
    """Nor is any the newest."""
    assert model.active([], START) is None
    assert model.newest([]) is None
    assert model.newest([key(revoked_at=START)]) is None
    assert model.published([], START) == []


def test_before_every_key_the_first_signs() -> None:
    """A clock that was set back ends nothing; a key that was revoked does not come back by it."""
    first, second = key(), key(activates_at=START + PERIOD)
    before = START - timedelta(hours=1)

    assert model.active([second, first], before) is first
    assert model.active([key(revoked_at=START), second], before) is second
    assert model.active([key(retires_at=START), second], START) is second
    assert model.active([key(retires_at=START)], START) is None
