"""Sessions: who is behind a token now, and ending them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Detail, Event, Origin
from hourpass.server.db.engine import Database
from hourpass.server.operators import model, tokens
from hourpass.server.operators import store as operators
from hourpass.server.operators.model import Operator, Powers
from hourpass.server.operators.sessions import store
from hourpass.server.operators.sessions.model import (
    SEEN_EVERY,
    Session,
    Stage,
    is_session_id,
)
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import Forbidden

_SESSION = "operator session"


class NoAccess(Forbidden):
    """Who this is was proved, but no role gives anything now."""

    def __init__(self) -> None:
        super().__init__("your organization is suspended, or you have no role any more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """Who is behind a session token now, and what that person may do now."""

    session: Session
    operator: Operator
    powers: Powers


def current(database: Database, token: Token, *, is_use: bool = True) -> Current | None:
    """Who this is and what they may do, read now; None when the session is over.

    With `is_use` the session counts as used; a page that asks by itself is no use of it.
    Raises NoAccess when the session is live but no role gives anything now.
    """
    with database.read() as connection:
        now = database.now(connection)
        session = store.find(connection, digest_of(token))
        if session is None or session.stage is not Stage.OPEN or not session.is_live(now):
            return None
        operator = operators.get(connection, session.operator_id)
    if operator is None:
        return None
    powers = Powers.of(operator)
    if powers.empty:
        raise NoAccess
    if is_use and now >= session.last_seen_at + SEEN_EVERY:
        with database.write() as connection:
            store.seen(connection, session.session_id, now)
    return Current(session=session, operator=operator, powers=powers)


def sign_out(database: Database, token: Token, by: Origin) -> None:
    """End the session behind a token; without one nothing happens."""
    with database.write() as connection:
        session = store.find(connection, digest_of(token))
        if session is None:
            return
        operator = operators.get(connection, session.operator_id)
        if operator is not None and store.end(connection, session.operator_id, session.session_id):
            record(
                connection, Event.OPERATOR_SIGNED_OUT, operator, by, database.now(connection), {}
            )


def live_sessions(database: Database, operator_id: str) -> list[Session]:
    """The person's sessions that still open something, newest first."""
    with database.read() as connection:
        now = database.now(connection)
        found = store.of_operator(connection, operator_id)
    return [session for session in found if session.stage is Stage.OPEN and session.is_live(now)]


def end_session(database: Database, who: Operator, session_id: str, by: Origin) -> None:
    """End one of the person's sessions; raises NotFound."""
    if not is_session_id(session_id):
        raise model.NotFound
    with database.write() as connection:
        if not store.end(connection, who.operator_id, session_id):
            raise model.NotFound
        now = database.now(connection)
        record(connection, Event.OPERATOR_SIGNED_OUT, who, by, now, {"sessions": 1})


def end_every_session(
    database: Database, who: Operator, by: Origin, *, but: str | None = None
) -> int:
    """End the person's sessions, all or all but one; how many there were."""
    with database.write() as connection:
        count = store.end_all(connection, who.operator_id, but=but)
        now = database.now(connection)
        record(connection, Event.OPERATOR_SIGNED_OUT, who, by, now, {"sessions": count})
    return count


def record(
    connection: Connection,
    event: Event,
    operator: Operator,
    by: Origin,
    now: datetime,
    detail: Detail,
) -> None:
    """An event about that operator, who is its actor as well."""
    origin = Origin(actor=operator.actor, request_id=by.request_id, ip=by.ip)
    whom = {"operator_id": operator.operator_id, "email": operator.email}
    about = AuditEvent(
        event=event, origin=origin, organization=operator.home, detail={**whom, **detail}
    )
    audit.record(connection, [about], now)


def digest_of(token: Token) -> bytes:
    """What is stored of a session's token."""
    return tokens.digest(token, _SESSION)
