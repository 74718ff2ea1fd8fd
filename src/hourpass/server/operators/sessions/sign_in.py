"""Signing in, and proving again who one is: each step one transaction, with its audit event.

Whoever does not prove who they are always gets the same SignInRefused, after the same work.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hourpass.server import identifiers
from hourpass.server.audit import store as audit
from hourpass.server.audit.events import SYSTEM, AuditEvent, Detail, Event, Origin
from hourpass.server.db.engine import Database
from hourpass.server.keys import keyring
from hourpass.server.keys.master import MasterKeys
from hourpass.server.operators import model, tokens
from hourpass.server.operators import store as operators
from hourpass.server.operators.credentials import passkeys, totp
from hourpass.server.operators.credentials import passwords as rules
from hourpass.server.operators.credentials import store as credentials
from hourpass.server.operators.credentials.passkeys import PasskeyRefused, RelyingParty
from hourpass.server.operators.credentials.passwords import Password, Passwords
from hourpass.server.operators.model import Operator, Powers
from hourpass.server.operators.sessions import store
from hourpass.server.operators.sessions.model import Method, Session, Stage
from hourpass.server.operators.sessions.operations import Current, NoAccess, digest_of, record
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput, Conflict, Forbidden

_LONGEST_EMAIL = 1024


class SignInRefused(Forbidden):
    """Who this is was not proved; the same words whatever the reason."""

    def __init__(self) -> None:
        super().__init__("that does not sign you in; look at e-mail address, password and code")


class TooManyFailures(Forbidden):
    """The attempt was not looked at; the next one is after `wait`."""

    def __init__(self, wait: timedelta) -> None:
        self.wait = wait
        seconds = max(1, -(-wait // timedelta(seconds=1)))
        super().__init__(f"too many attempts failed; try again in {seconds} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A new session; its token is shown this once, for the cookie.

    At stage CODE it opens nothing: `give_code` is next.
    """

    token: Token
    session: Session
    operator: Operator


def sign_in(
    database: Database,
    hashing: Passwords,
    master: MasterKeys,
    email: str,
    password: Password,
    by: Origin,
) -> SignedIn:
    """With address and password; the answer is at stage CODE when a code is needed as well.

    `by` gives request and address; its actor is not looked at. Raises SignInRefused,
    TooManyFailures, NoAccess, TooBusy.
    """
    operator = _charge_email(database, master, email)
    stored = operator.password_hash if operator else None
    if not hashing.verify(password, stored) or operator is None or stored is None:
        _failed(database, operator, "password" if operator else "unknown address", by)
        raise SignInRefused
    new = hashing.hash(password) if hashing.needs_rehash(stored) else stored
    with database.write() as connection:
        if operators.swap_password_hash(connection, operator.operator_id, stored, new):
            needs_code = credentials.has_totp(connection, operator.operator_id)
            stage = Stage.CODE if needs_code else Stage.OPEN
            signed_in = _open(
                connection, database.now(connection), operator, Method.PASSWORD, stage, by
            )
        else:  # reset, removed or changed while the password was verified
            signed_in = None
    if signed_in is None:
        _failed(database, operator, "changed meanwhile", by)
        raise SignInRefused
    return _with_access(signed_in)


def give_code(
    database: Database, master: MasterKeys, token: Token, code: str, by: Origin
) -> SignedIn:
    """Finish signing in with a code of the app or a recovery code; the token is a new one.

    Raises SignInRefused, TooManyFailures, NoAccess.
    """
    with database.read() as connection:
        now = database.now(connection)
        half = store.find(connection, digest_of(token))
    if half is None or half.stage is not Stage.CODE or not half.is_live(now):
        raise SignInRefused
    operator = _charge_operator(database, half.operator_id)
    signed_in: SignedIn | None = None
    with database.write() as connection:
        operators.hold(connection, half.operator_id)
        now = database.now(connection)
        method = totp.accept(connection, master, half.operator_id, code, now)
        if method is not None and store.end(connection, half.operator_id, half.session_id):
            signed_in = _open(connection, now, operator, method, Stage.OPEN, by)
    if signed_in is None:
        _failed(database, operator, "code", by)
        raise SignInRefused
    return _with_access(signed_in)


def sign_in_with_passkey(
    database: Database, party: RelyingParty, ceremony: Token, response: str, by: Origin
) -> SignedIn:
    """With a passkey alone; raises PasskeyRefused, NoAccess."""
    try:
        key, sign_count = passkeys.prove(database, party, ceremony, response)
        with database.write() as connection:
            operator = operators.hold(connection, key.operator_id)
            now = database.now(connection)
            if operator is None or not credentials.count_passkey(connection, key, sign_count, now):
                raise PasskeyRefused("used elsewhere at the same moment")
            signed_in = _open(connection, now, operator, Method.PASSKEY, Stage.OPEN, by)
    except PasskeyRefused:
        _failed(database, None, "passkey", by)
        raise
    return _with_access(signed_in)


def reauthenticate(
    database: Database,
    hashing: Passwords,
    master: MasterKeys,
    who: Current,
    password: Password,
    code: str,
    by: Origin,
) -> None:
    """Prove again who this is, before a dangerous deed; the code counts only where one is asked.

    Raises SignInRefused, TooManyFailures, TooBusy.
    """
    operator = _charge_operator(database, who.operator.operator_id)
    proved = hashing.verify(password, operator.password_hash)
    if proved:
        with database.write() as connection:
            operator_id = operator.operator_id
            operators.hold(connection, operator_id)
            now = database.now(connection)
            if credentials.has_totp(connection, operator_id):
                method = totp.accept(connection, master, operator_id, code, now)
            else:
                method = Method.PASSWORD
            proved = method is not None and _authenticated(connection, who, method, by, now)
    if not proved:
        _failed(database, operator, "again", by)
        raise SignInRefused


def reauthenticate_with_passkey(
    database: Database,
    party: RelyingParty,
    who: Current,
    ceremony: Token,
    response: str,
    by: Origin,
) -> None:
    """The same, with one of the person's passkeys; raises PasskeyRefused."""
    try:
        key, sign_count = passkeys.prove(database, party, ceremony, response)
        if key.operator_id != who.operator.operator_id:
            raise PasskeyRefused("somebody else's")
        with database.write() as connection:
            operators.hold(connection, key.operator_id)
            now = database.now(connection)
            if not (
                credentials.count_passkey(connection, key, sign_count, now)
                and _authenticated(connection, who, Method.PASSKEY, by, now)
            ):
                raise PasskeyRefused("used elsewhere at the same moment, or signed out")
    except PasskeyRefused:
        _failed(database, who.operator, "passkey", by, each=False)
        raise


def change_password(
    database: Database, hashing: Passwords, who: Current, old: Password, new: Password, by: Origin
) -> None:
    """Another password; every other session of the person ends.

    Raises SignInRefused when the old one is wrong, BadInput, TooManyFailures, TooBusy.
    """
    rules.check_new(new, who.operator.email)
    if new.reveal() == old.reveal():
        raise BadInput("password", "it is the one that you have")
    operator = _charge_operator(database, who.operator.operator_id)
    stored = operator.password_hash
    if not hashing.verify(old, stored) or stored is None:
        _failed(database, operator, "old password", by)
        raise SignInRefused
    password_hash = hashing.hash(new)
    with database.write() as connection:
        if not operators.swap_password_hash(
            connection, operator.operator_id, stored, password_hash
        ):
            raise Conflict("the password was changed meanwhile")
        store.end_all(connection, operator.operator_id, but=who.session.session_id)
        store.forgive(connection, store.account_of(operator.operator_id))
        record(
            connection,
            Event.OPERATOR_UPDATED,
            operator,
            by,
            database.now(connection),
            {"password": "changed"},
        )


def _charge_email(database: Database, master: MasterKeys, email: str) -> Operator | None:
    """Count an attempt on whoever has that address, in whatever spelling; raises
    TooManyFailures.

    The same statements whether or not somebody has it, and nothing of the person before the
    attempt is looked at: refusals within the wait can be had, and timed, without end.
    """
    try:
        address, is_address = model.normal_email(email), True
    except BadInput:
        address, is_address = email[:_LONGEST_EMAIL], False
    with database.write() as connection:
        account = nobody = store.account_of_nobody(address, keyring.own_key(connection, master))
        operator_id = operators.id_of(connection, address) if is_address else None
        if operator_id is not None:
            account = store.account_of(operator_id)
        wait = _charge(database, connection, account)
        operator = None if wait else operators.get(connection, operator_id or nobody)
    if wait:
        raise TooManyFailures(wait)
    return operator


def _charge_operator(database: Database, operator_id: str) -> Operator:
    with database.write() as connection:
        operator = operators.get(connection, operator_id)
        wait = _charge(database, connection, store.account_of(operator_id))
    if operator is None:
        raise SignInRefused
    if wait:
        raise TooManyFailures(wait)
    return operator


def _charge(database: Database, connection: Connection, account: str) -> timedelta:
    """Count an attempt before it is looked at, so that many at once are not free.

    While the wait is not over nothing is counted, and the attempt must not be looked at.
    """
    before = store.hold_failures(connection, account)
    now = database.now(connection)
    wait = before.wait(now)
    if not wait:
        store.set_failures(connection, account, before.with_attempt(now))
    return wait


def _open(
    connection: Connection,
    now: datetime,
    operator: Operator,
    method: Method,
    stage: Stage,
    by: Origin,
) -> SignedIn:
    """A session, for an operator with any power now; at stage OPEN all failures are forgotten."""
    token = tokens.new()
    fresh = operators.get(connection, operator.operator_id) or operator
    session = Session(
        session_id=identifiers.new_id("ses_"),
        operator_id=operator.operator_id,
        stage=stage,
        method=method,
        created_at=now,
        last_seen_at=now,
        authenticated_at=now,
        ip=by.ip,
        browser=by.browser,
    )
    signed_in = SignedIn(token=token, session=session, operator=fresh)
    if Powers.of(fresh).empty:
        record(connection, Event.OPERATOR_SIGN_IN_FAILED, fresh, by, now, {"reason": "no access"})
        return signed_in
    store.add(connection, session, digest_of(token))
    if stage is Stage.OPEN:
        store.forgive(connection, store.account_of(operator.operator_id))
        detail = {"method": method.value, "session": session.session_id}
        record(connection, Event.OPERATOR_SIGNED_IN, fresh, by, now, detail)
    return signed_in


def _with_access(signed_in: SignedIn) -> SignedIn:
    """Itself; raises NoAccess for a person who may do nothing now."""
    if Powers.of(signed_in.operator).empty:
        raise NoAccess
    return signed_in


def _authenticated(
    connection: Connection, who: Current, method: Method, by: Origin, now: datetime
) -> bool:
    if not store.authenticated(connection, who.session.session_id, now):
        return False
    store.forgive(connection, store.account_of(who.operator.operator_id))
    detail = {"method": method.value, "session": who.session.session_id, "again": True}
    record(connection, Event.OPERATOR_SIGNED_IN, who.operator, by, now, detail)
    return True


def _failed(
    database: Database, operator: Operator | None, reason: str, by: Origin, *, each: bool = True
) -> None:
    """Write it down: all that failed for an operator where delays bound how many (`each`), and
    of all others, who may be nobody, one a minute, so that a flood cannot fill the disk.

    The address that was typed is not kept: people type passwords there.
    """
    detail: Detail = {"reason": reason}
    if operator is not None:
        detail = {"operator_id": operator.operator_id, "email": operator.email, "reason": reason}
    event = AuditEvent(
        event=Event.OPERATOR_SIGN_IN_FAILED,
        origin=Origin(actor=SYSTEM, request_id=by.request_id, ip=by.ip),  # it was proved of nobody
        organization=operator.home if operator else None,
        detail=detail,
    )
    with database.write() as connection:
        now = database.now(connection)
        if (operator is not None and each) or store.first_of_minute(connection, now):
            audit.record(connection, [event], now)
