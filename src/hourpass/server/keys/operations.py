"""Deeds on keys: first keys, the timetable, rotate, revoke, rewrap. Each one transaction."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.server.audit import store as audit
from hourpass.server.audit.events import SYSTEM, AuditEvent, Event, Origin, rfc3339
from hourpass.server.db.engine import Database
from hourpass.server.keys import model, store
from hourpass.server.keys.master import MasterKeys
from hourpass.server.keys.model import KeyState, SigningKey

_BY_SYSTEM = Origin(actor=SYSTEM)


class UnknownKeyId(LookupError):
    """There is no signing key with that `kid`, or it was revoked before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPolicy:
    """How keys are made: algorithm and period of new ones, and what seals them."""

    master: MasterKeys
    algorithm: Algorithm
    period: timedelta

    def spares(self) -> list[PrivateKey]:
        """Keys made before the transaction that may need them: making an RSA key takes long."""
        return [PrivateKey.generate(self.algorithm) for _ in range(2)]


def make_first(
    connection: Connection, policy: KeyPolicy, spares: list[PrivateKey], now: datetime
) -> None:
    """Pepper, cursor key and the first two signing keys of a new installation."""
    for kind, name in ((store.PEPPER, "1"), (store.CURSOR, "1")):
        sealed = policy.master.seal(kind, name, secrets.token_bytes(32))
        store.add_sealed(connection, kind, name, sealed, now)
    first = _make(connection, policy, spares.pop(), None, now, _BY_SYSTEM)
    _make(connection, policy, spares.pop(), first, now, _BY_SYSTEM)


def keep_timetable(database: Database, policy: KeyPolicy) -> bool:
    """Prepare the next key once the last one signs, and forget what will never sign again.

    Returns whether anything changed. Run it at start and every minute; on several nodes at
    once, one does the work.
    """
    with database.read() as connection:
        if not _due(connection, database.now(connection)):
            return False
    spares = policy.spares()
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        keys = store.signing_keys(connection)
        last = model.newest(keys)
        if last is None or now >= last.activates_at:
            _make(connection, policy, spares.pop(), last, now, _BY_SYSTEM)
            if last is not None:
                events = [_event(Event.KEY_ACTIVATED, last, _BY_SYSTEM)]
                before = [key for key in keys if key.retires_at == last.activates_at]
                events += [_event(Event.KEY_RETIRED, key, _BY_SYSTEM) for key in before]
                audit.record(connection, events, now)
        store.drop_private(connection, _never_again(keys, now))
    return True


def rotate(database: Database, policy: KeyPolicy, by: Origin) -> SigningKey:
    """Let the next key sign as soon as every verifier can know it; returns that key.

    `activates_at` of the answer is now when it was published long enough, else the moment
    when it will have been.
    """
    spares = policy.spares()
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        keys = store.signing_keys(connection)
        coming = next((key for key in keys if key.state(now) is KeyState.NEXT), None)
        if coming is None:
            coming = _make(connection, policy, spares.pop(), model.newest(keys), now, by)
        return _bring_forward(
            connection, policy, spares, coming, model.earliest_use(coming, now), by, now
        )


def revoke(database: Database, policy: KeyPolicy, kid: str, by: Origin) -> None:
    """Take a key that leaked out of use and out of the JWKS now.

    If it was the one that signs, the next key signs from this moment, even if some verifiers
    have yet to fetch it: a stolen key is worse than a few minutes of 401.
    """
    spares = policy.spares()
    with database.write() as connection:
        store.take_turn(connection)
        now = database.now(connection)
        keys = store.signing_keys(connection)
        key = next((key for key in keys if key.kid == kid), None)
        if key is None or key.revoked_at is not None:
            raise UnknownKeyId(kid)
        state = key.state(now)
        store.set_times(connection, replace(key, revoked_at=now))
        store.drop_private(connection, [kid])
        audit.record(connection, [_event(Event.KEY_REVOKED, key, by)], now)
        rest = [other for other in keys if other.kid != kid]
        coming = next((other for other in rest if other.state(now) is KeyState.NEXT), None)
        if state is KeyState.ACTIVE and coming is not None:
            _bring_forward(connection, policy, spares, coming, now, by, now)
        elif state in (KeyState.ACTIVE, KeyState.NEXT):
            _make(connection, policy, spares.pop(), model.active(rest, now), now, by)


def revoke_within(
    connection: Connection,
    policy: KeyPolicy,
    spares: list[PrivateKey],
    kids: Collection[str],
    by: Origin,
    now: datetime,
) -> list[str]:
    """Revoke several keys in the caller's transaction; those that were revoked now.

    `spares` are two keys. When none is left that signs now, the next one does, or a new one.
    """
    store.take_turn(connection)
    keys = store.signing_keys(connection)
    doomed = [key for key in keys if key.kid in kids and key.revoked_at is None]
    if not doomed:
        return []
    for key in doomed:
        store.set_times(connection, replace(key, revoked_at=now))
    store.drop_private(connection, [key.kid for key in doomed])
    audit.record(connection, [_event(Event.KEY_REVOKED, key, by) for key in doomed], now)
    rest = [key for key in keys if key.revoked_at is None and key not in doomed]
    # Not `model.active`: a key whose turn has not come would do for that.
    if all(key.state(now) is not KeyState.ACTIVE for key in rest):
        coming = next((key for key in rest if key.state(now) is KeyState.NEXT), None)
        if coming is not None:
            _bring_forward(connection, policy, spares, coming, now, by, now)
        else:
            first = _make(connection, policy, spares.pop(), None, now, by)
            _make(connection, policy, spares.pop(), first, now, by)
    return [key.kid for key in doomed]


def rewrap(database: Database, master: MasterKeys) -> int:
    """Seal every key anew under the first master key; returns how many. Raises WrongMasterKey."""
    with database.write() as connection:
        store.take_turn(connection)
        every = store.sealed(connection)
        for (kind, name), content in every.items():
            plain = master.unseal(kind, name, content)
            store.reseal(connection, kind, name, master.seal(kind, name, plain))
        return len(every)


def _make(
    connection: Connection,
    policy: KeyPolicy,
    private: PrivateKey,
    last: SigningKey | None,
    now: datetime,
    by: Origin,
) -> SigningKey:
    """A new key at the end of the line; `last`, if any, signs until it takes over."""
    key = SigningKey(
        kid=private.kid,
        algorithm=private.algorithm,
        public_jwk=dict(private.public_jwk),
        created_at=now,
        activates_at=model.following(last, now, policy.period),
    )
    sealed = policy.master.seal(store.SIGNING, key.kid, private.to_pkcs8())
    store.add_sealed(connection, store.SIGNING, key.kid, sealed, now)
    store.add_signing_key(connection, key)
    if last is not None:
        store.set_times(connection, replace(last, retires_at=key.activates_at))
    audit.record(connection, [_event(Event.KEY_CREATED, key, by)], now)
    return key


def _bring_forward(
    connection: Connection,
    policy: KeyPolicy,
    spares: list[PrivateKey],
    coming: SigningKey,
    moment: datetime,
    by: Origin,
    now: datetime,
) -> SigningKey:
    """Let `coming` sign from `moment`, its predecessor until then, and line up another if due."""
    keys = store.signing_keys(connection)
    for key in keys:
        if key.retires_at == coming.activates_at and key.revoked_at is None:
            store.set_times(connection, replace(key, retires_at=moment))
            if moment <= now:
                audit.record(connection, [_event(Event.KEY_RETIRED, key, by)], now)
    coming = replace(coming, activates_at=min(moment, coming.activates_at))
    store.set_times(connection, coming)
    audit.record(connection, [_event(Event.KEY_ACTIVATED, coming, by)], now)
    if coming.activates_at <= now:
        _make(connection, policy, spares.pop(), coming, now, by)
    return coming


def _due(connection: Connection, now: datetime) -> bool:
    keys = store.signing_keys(connection)
    last = model.newest(keys)
    if last is None or now >= last.activates_at:
        return True
    sealed = {name for _, name in store.sealed(connection, store.SIGNING)}
    return not sealed.isdisjoint(_never_again(keys, now))


def _never_again(keys: list[SigningKey], now: datetime) -> list[str]:
    """Keys whose private half has no use: not even a clock that jumps back needs it."""
    done = (KeyState.GONE, KeyState.REVOKED)
    return [key.kid for key in keys if key.state(now) in done]


def _event(event: Event, key: SigningKey, by: Origin) -> AuditEvent:
    detail = {
        "kid": key.kid,
        "algorithm": key.algorithm.value,
        "activates_at": rfc3339(key.activates_at),
    }
    return AuditEvent(event=event, origin=by, detail=detail)
