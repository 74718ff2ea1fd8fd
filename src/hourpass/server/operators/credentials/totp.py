"""Authenticator apps (TOTP, RFC 6238) and the recovery codes for who lost theirs."""

import hmac
from dataclasses import dataclass
from datetime import datetime

import pyotp
from sqlalchemy import Connection

from hourpass.server import identifiers
from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Event, Origin
from hourpass.server.db.engine import Database
from hourpass.server.hidden import Hidden
from hourpass.server.keys.master import MasterKeys
from hourpass.server.operators import store as operators
from hourpass.server.operators import tokens
from hourpass.server.operators.credentials import store
from hourpass.server.operators.model import NotFound, Operator
from hourpass.server.operators.sessions.model import Method
from hourpass.server.operators.store import TOTP
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput, Conflict

STEP_S = 30
RECOVERY_CODES = 10
_DIGITS, _LETTERS = 6, 16
_CODE = "recovery code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What an app needs, shown this once: the secret in base32, and as a URI for a QR code."""

    secret: Hidden
    uri: Hidden


def begin(database: Database, master: MasterKeys, operator: Operator) -> Enrolment:
    """A new secret; no code is asked for until `confirm`. Raises Conflict when there is an app."""
    secret = pyotp.random_base32()
    sealed = master.seal(TOTP, operator.operator_id, secret.encode("ascii"))
    with database.write() as connection:
        if operators.hold(connection, operator.operator_id) is None:
            raise NotFound
        if store.has_totp(connection, operator.operator_id):
            raise Conflict("there is an authenticator app already; remove it first")
        store.add_totp(connection, operator.operator_id, sealed, database.now(connection))
    return _enrolment(secret, operator)


def begun(database: Database, master: MasterKeys, operator: Operator) -> Enrolment | None:
    """The secret that waits for `confirm`; None when there is none, or it was confirmed.

    It proves nothing yet, so it may be shown again: to whoever proved just now who they are.
    """
    with database.read() as connection:
        stored = store.totp(connection, operator.operator_id)
    if stored is None or stored.confirmed_at is not None:
        return None
    return _enrolment(_unsealed(master, operator.operator_id, stored.sealed), operator)


def confirm(
    database: Database, master: MasterKeys, operator: Operator, code: str, by: Origin
) -> list[Token]:
    """The app shows the right codes: from now on they are asked for. Returns recovery codes.

    Raises BadInput when the code is wrong, NotFound without `begin`, Conflict when done before.
    """
    with database.write() as connection:
        operators.hold(connection, operator.operator_id)
        now = database.now(connection)
        stored = store.totp(connection, operator.operator_id)
        if stored is None:
            raise NotFound
        if stored.confirmed_at is not None:
            raise Conflict("this authenticator app was confirmed before")
        if not _is_code(connection, master, operator.operator_id, _plain(code), now):
            raise BadInput("code", "that is not what the app shows now")
        store.confirm_totp(connection, operator.operator_id, now)
        _record(connection, Event.OPERATOR_CREDENTIAL_ADDED, operator, "totp", by, now)
        return _new_codes(connection, operator.operator_id)


def renew_recovery_codes(database: Database, operator: Operator, by: Origin) -> list[Token]:
    """New recovery codes instead of all older ones; raises NotFound without an app."""
    with database.write() as connection:
        operators.hold(connection, operator.operator_id)
        if not store.has_totp(connection, operator.operator_id):
            raise NotFound
        now = database.now(connection)
        _record(connection, Event.OPERATOR_CREDENTIAL_ADDED, operator, "recovery_codes", by, now)
        return _new_codes(connection, operator.operator_id)


def remove(database: Database, operator: Operator, by: Origin) -> None:
    """Forget the app and the recovery codes; raises NotFound when there is none."""
    with database.write() as connection:
        operators.hold(connection, operator.operator_id)
        if not store.drop_totp(connection, operator.operator_id):
            raise NotFound
        now = database.now(connection)
        _record(connection, Event.OPERATOR_CREDENTIAL_REMOVED, operator, "totp", by, now)


def accept(
    connection: Connection, master: MasterKeys, operator_id: str, code: str, now: datetime
) -> Method | None:
    """What the code is, if it is good; in the same step it is so no more, for anybody."""
    plain = _plain(code)
    if len(plain) == _LETTERS:
        used = store.use_recovery_code(connection, operator_id, _digest(operator_id, plain))
        return Method.RECOVERY_CODE if used else None
    return Method.TOTP if _is_code(connection, master, operator_id, plain, now) else None


def _is_code(
    connection: Connection, master: MasterKeys, operator_id: str, plain: str, now: datetime
) -> bool:
    """Whether it is the code of this time step or a neighbour that was not accepted yet."""
    stored = store.totp(connection, operator_id)
    if stored is None or len(plain) != _DIGITS:
        return False
    app = pyotp.TOTP(_unsealed(master, operator_id, stored.sealed))
    current = int(now.timestamp()) // STEP_S
    steps = [
        step
        for step in (current - 1, current, current + 1)
        if hmac.compare_digest(app.generate_otp(step).encode(), plain.encode())
    ]
    return any(store.take_step(connection, operator_id, step) for step in steps)


def _enrolment(secret: str, operator: Operator) -> Enrolment:
    uri = pyotp.TOTP(secret).provisioning_uri(name=operator.email, issuer_name="Hourpass")
    return Enrolment(secret=Hidden(secret), uri=Hidden(uri))


def _unsealed(master: MasterKeys, operator_id: str, sealed: bytes) -> str:
    return master.unseal(TOTP, operator_id, sealed).decode("ascii")


def _new_codes(connection: Connection, operator_id: str) -> list[Token]:
    codes = [identifiers.letters(_LETTERS) for _ in range(RECOVERY_CODES)]
    digests = [_digest(operator_id, code) for code in codes]
    store.set_recovery_codes(connection, operator_id, digests)
    return [Token("-".join(code[at : at + 4] for at in range(0, _LETTERS, 4))) for code in codes]


def _digest(operator_id: str, plain: str) -> bytes:
    return tokens.digest(Token(plain), f"{_CODE} of {operator_id}")


def _plain(code: str) -> str:
    """Without the blanks and dashes that make it readable; empty when it can be no code."""
    plain = code[:64].replace(" ", "").replace("-", "").casefold()
    return plain if plain.isascii() and plain.isalnum() else ""


def _record(
    connection: Connection,
    event: Event,
    operator: Operator,
    kind: str,
    by: Origin,
    now: datetime,
) -> None:
    detail = {"operator_id": operator.operator_id, "email": operator.email, "credential": kind}
    audit.record(
        connection,
        [AuditEvent(event=event, origin=by, organization=operator.home, detail=detail)],
        now,
    )
