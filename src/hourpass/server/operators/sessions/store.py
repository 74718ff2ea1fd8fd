"""The tables of sessions and of failed sign-ins."""

import hmac
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, case, delete, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hourpass.server.db.columns import EPOCH
from hourpass.server.db.operator_schema import operator_session as table
from hourpass.server.db.operator_schema import sign_in_failure
from hourpass.server.operators.sessions.model import (
    ABSOLUTE,
    CODE_WITHIN,
    MAX_SESSIONS,
    Failures,
    Method,
    Session,
    Stage,
)

MAX_ACCOUNTS = 65_536
"""As many accounts have a counter, known or not; those tried longest ago lose theirs first."""

_UNKNOWN = "unknown"
_ONE_EVENT_A = timedelta(minutes=1)
_FORGOTTEN_AT_ONCE = 1024  # to find out which costs a look at every row


def account_of(operator_id: str) -> str:
    """The counter of an operator."""
    return operator_id


def account_of_nobody(email: str, key: bytes) -> str:
    """The counter of an address that is no operator's: its own, as an operator has. Two that
    shared one would tell that neither is known.

    Named under `key`, the installation's: people type passwords there, and nobody who reads the
    table may try which.
    """
    octets = b"sign-in account\0" + email.encode("utf-8", "surrogatepass")
    return f"{_UNKNOWN}:{hmac.digest(key, octets, 'sha256').hex()[:32]}"


def hold_failures(connection: Connection, account: str) -> Failures:
    """What is remembered of an account, which nobody else changes until the commit.

    Read the clock after this: a moment from before the wait may lie before the last attempt.
    """
    query = select(sign_in_failure).where(sign_in_failure.c.account == account)
    row = None
    while row is None:  # it goes when the person signs in elsewhere at this moment
        if _make(connection, account):
            _forget_oldest(connection, account)
        row = connection.execute(query.with_for_update()).one_or_none()
    return Failures(count=row.failures, last_at=row.last_at, blocked_until=row.blocked_until)


def set_failures(connection: Connection, account: str, after: Failures) -> None:
    """Remember `after` of an account that is held."""
    connection.execute(
        update(sign_in_failure)
        .where(sign_in_failure.c.account == account)
        .values(failures=after.count, last_at=after.last_at, blocked_until=after.blocked_until)
    )


def forgive(connection: Connection, account: str) -> None:
    """The person has signed in: every failure is forgotten."""
    connection.execute(delete(sign_in_failure).where(sign_in_failure.c.account == account))


def first_of_minute(connection: Connection, now: datetime) -> bool:
    """Whether no attempt on an unknown account was recorded within the last minute.

    One statement, which always writes: so the commit takes as long as that of the event which
    every attempt on a known account leaves.
    """
    column = sign_in_failure.c.blocked_until
    until = now + _ONE_EVENT_A
    query = (
        update(sign_in_failure)
        .where(sign_in_failure.c.account == _UNKNOWN)
        .values(
            last_at=now,
            blocked_until=case((column <= now, literal(until, column.type)), else_=column),
        )
        .returning(column)
    )
    while (after := connection.execute(query).scalar_one_or_none()) is None:
        _make(connection, _UNKNOWN)
    return bool(after == until)


def add(connection: Connection, session: Session, digest: bytes) -> None:
    """A new session; dead ones are forgotten, and the person's oldest when there are many."""
    now = session.created_at
    connection.execute(delete(table).where(table.c.created_at <= now - ABSOLUTE))
    connection.execute(
        delete(table).where(
            table.c.operator_id == session.operator_id,
            table.c.stage == Stage.CODE.value,
            table.c.created_at <= now - CODE_WITHIN,
        )
    )
    too_many = (
        select(table.c.id)
        .where(table.c.operator_id == session.operator_id)
        .order_by(table.c.created_at.desc())
        .offset(MAX_SESSIONS - 1)
        .limit(MAX_SESSIONS)
    )
    connection.execute(delete(table).where(table.c.id.in_(too_many)))
    connection.execute(
        insert(table).values(
            id=session.session_id,
            digest=digest,
            operator_id=session.operator_id,
            stage=session.stage.value,
            method=session.method.value,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            authenticated_at=session.authenticated_at,
            ip=session.ip,
            browser=session.browser,
        )
    )


def find(connection: Connection, digest: bytes) -> Session | None:
    """The session behind a token, live or not."""
    row = connection.execute(select(table).where(table.c.digest == digest)).one_or_none()
    return None if row is None else _session(row)


def of_operator(connection: Connection, operator_id: str) -> list[Session]:
    """The sessions of that person, newest first, live or not."""
    query = select(table).where(table.c.operator_id == operator_id)
    return [_session(row) for row in connection.execute(query.order_by(table.c.created_at.desc()))]


def seen(connection: Connection, session_id: str, now: datetime) -> None:
    """It was used now."""
    connection.execute(update(table).where(table.c.id == session_id).values(last_seen_at=now))


def authenticated(connection: Connection, session_id: str, now: datetime) -> bool:
    """The person proved themselves again; False when the session is gone."""
    query = (
        update(table)
        .where(table.c.id == session_id, table.c.stage == Stage.OPEN.value)
        .values(authenticated_at=now, last_seen_at=now)
        .returning(table.c.id)
    )
    return connection.execute(query).first() is not None


def end(connection: Connection, operator_id: str, session_id: str) -> bool:
    """End one session of that person; whether there was one."""
    query = (
        delete(table)
        .where(table.c.id == session_id, table.c.operator_id == operator_id)
        .returning(table.c.id)
    )
    return connection.execute(query).first() is not None


def end_all(connection: Connection, operator_id: str, *, but: str | None = None) -> int:
    """End that person's sessions, all or all but one; how many there were."""
    query = delete(table).where(table.c.operator_id == operator_id)
    if but is not None:
        query = query.where(table.c.id != but)
    return len(connection.execute(query.returning(table.c.id)).all())


def _make(connection: Connection, account: str) -> bool:
    """A counter that stands at nothing; whether there was none."""
    on_postgresql = connection.dialect.name == "postgresql"
    into = (postgresql.insert if on_postgresql else sqlite.insert)(sign_in_failure)
    query = (
        into.values(account=account, failures=0, last_at=EPOCH, blocked_until=EPOCH)
        .on_conflict_do_nothing()
        .returning(sign_in_failure.c.account)
    )
    return connection.execute(query).first() is not None


def _forget_oldest(connection: Connection, but: str) -> None:
    """Keep to the bound, of known and unknown accounts alike: a flood that made only the unknown
    ones forgotten would tell which are known."""
    count = connection.execute(select(func.count()).select_from(sign_in_failure)).scalar_one()
    if count <= MAX_ACCOUNTS:
        return
    account = sign_in_failure.c.account
    oldest = (
        select(account)
        .where(account != but)
        .order_by(sign_in_failure.c.last_at)
        .limit(_FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)  # who is trying now waits for nobody here
    )
    forgotten = connection.scalars(oldest).all()
    connection.execute(delete(sign_in_failure).where(account.in_(forgotten)))


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(
        session_id=row.id,
        operator_id=row.operator_id,
        stage=Stage(row.stage),
        method=Method(row.method),
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        authenticated_at=row.authenticated_at,
        ip=row.ip,
        browser=row.browser,
    )
