"""The SQL of a restore: what is compared, and what makes a restored database safe."""

import hashlib
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, case, delete, func, inspect, select, text, update
from sqlalchemy.exc import ProgrammingError

from hourpass.server.backup.differences import ClientFacts, OperatorFacts, Survey
from hourpass.server.clients.model import Status
from hourpass.server.db.engine import Database, Dialect
from hourpass.server.db.operator_schema import (
    operator,
    operator_challenge,
    operator_link,
    operator_membership,
    operator_passkey,
    operator_recovery_code,
    operator_session,
    operator_totp,
)
from hourpass.server.db.schema import (
    audit_event,
    client,
    client_credential,
    client_scope,
    installation,
    organization,
    signing_key,
)
from hourpass.server.operators.credentials.totp import STEP_S

_MANY = {"yield_per": 5000}


def take_time(connection: Connection) -> None:
    """Let this transaction last: no statement time-out, which is for requests."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def holds_installation(database: Database) -> bool:
    """Whether this is a database of Hourpass's, of whatever version."""
    with database.read() as connection:
        return (
            inspect(connection).has_table(installation.name)
            and connection.execute(select(installation.c.id)).first() is not None
        )


def identity(database: Database) -> str:
    """Equal for two ways to the same database."""
    if database.dialect is Dialect.SQLITE:
        return str(Path(database.engine.url.database or "").resolve())
    query = "SELECT pg_postmaster_start_time()::text || ' ' || current_database()"
    with database.read() as connection:
        return str(connection.execute(text(query)).scalar_one())


def survey(connection: Connection, now: datetime) -> Survey:
    """Everything that a restore compares. Raises LookupError when this is no installation."""
    try:
        return _survey(connection, now)
    except ProgrammingError as fault:
        raise LookupError("this database holds no tables of Hourpass's") from fault


def _survey(connection: Connection, now: datetime) -> Survey:
    made_at = connection.execute(select(installation.c.created_at)).scalar_one_or_none()
    if made_at is None:
        raise LookupError("this database holds no installation")
    last_event = select(func.max(audit_event.c.time))
    organizations = select(organization.c.id, organization.c.suspended_at)
    keys = select(signing_key.c.kid, signing_key.c.revoked_at)
    return Survey(
        made_at=made_at,
        last_event_at=connection.execute(last_event).scalar_one_or_none(),
        clients=_clients(connection, now),
        operators=_operators(connection),
        organizations={
            row.id: row.suspended_at is not None for row in connection.execute(organizations)
        },
        keys={row.kid: row.revoked_at is not None for row in connection.execute(keys)},
        highest_version=_highest_version(connection),
    )


def raise_versions(connection: Connection, floor: int) -> None:
    """Make every token of every client invalid, and all that processes remember.

    Generations and versions rise by one at least, and to `floor` at least.
    """
    connection.execute(
        update(client).values(
            token_generation=_raised(client.c.token_generation, floor),
            version=_raised(client.c.version, floor),
        )
    )
    connection.execute(
        update(installation).values(
            catalogue_version=_raised(installation.c.catalogue_version, floor),
            keys_version=_raised(installation.c.keys_version, floor),
        )
    )


def suspend_all(connection: Connection, now: datetime) -> int:
    """Suspend every client that is not; how many those were."""
    query = update(client).where(client.c.suspended_at.is_(None)).values(suspended_at=now)
    return int(connection.execute(query).rowcount)


def end_sign_ins(connection: Connection, now: datetime) -> int:
    """End every session, one-time link and sign-in under way; how many sessions there were.

    A code of an authenticator app that may have been used since the backup is not taken again.
    """
    ended = int(connection.execute(delete(operator_session)).rowcount)
    connection.execute(delete(operator_link))
    connection.execute(delete(operator_challenge))
    step = int(now.timestamp()) // STEP_S
    connection.execute(
        update(operator_totp).where(operator_totp.c.last_step < step).values(last_step=step)
    )
    return ended


def _raised(column: ColumnElement[int], floor: int) -> ColumnElement[int]:
    return case((column + 1 > floor, column + 1), else_=floor)


def _highest_version(connection: Connection) -> int:
    highest = [
        connection.execute(select(func.max(column))).scalar_one() or 0
        for column in (
            client.c.token_generation,
            client.c.version,
            installation.c.catalogue_version,
            installation.c.keys_version,
        )
    ]
    return int(max(highest))


def _clients(connection: Connection, now: datetime) -> dict[str, ClientFacts]:
    scopes: dict[int, list[str]] = {}
    for part in connection.execute(select(client_scope), execution_options=_MANY):
        scopes.setdefault(part.client_seq, []).append(part.scope)
    secrets: dict[int, list[bytes]] = {}
    query = select(client_credential.c.client_seq, client_credential.c.digest)
    for row in connection.execute(query, execution_options=_MANY):
        secrets.setdefault(row.client_seq, []).append(bytes(row.digest))
    columns = select(
        client.c.seq,
        client.c.client_id,
        client.c.name,
        client.c.organization,
        client.c.expires_at,
        client.c.suspended_at,
        client.c.leaked_at,
    )
    return {
        row.client_id: ClientFacts(
            name=row.name,
            organization=row.organization,
            status=_status(row.expires_at, row.suspended_at, now),
            scopes=_scopes(" ".join(sorted(scopes.get(row.seq, ())))),
            secrets=frozenset(secrets.get(row.seq, ())),
            expires_at=row.expires_at,
            leaked=row.leaked_at is not None,
        )
        for row in connection.execute(columns, execution_options=_MANY)
    }


# Clients are many, sets of scopes few.
@lru_cache(maxsize=4096)
def _scopes(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _status(expires_at: datetime | None, suspended_at: datetime | None, now: datetime) -> Status:
    if expires_at is not None and now >= expires_at:
        return Status.EXPIRED
    return Status.ACTIVE if suspended_at is None else Status.SUSPENDED


def _operators(connection: Connection) -> dict[str, OperatorFacts]:
    roles: dict[str, set[str]] = {}
    for part in connection.execute(select(operator_membership)):
        where = "" if part.organization is None else f" of {part.organization}"
        roles.setdefault(part.operator_id, set()).add(part.role + where)
    credentials: dict[str, set[bytes]] = {}
    for row in connection.execute(
        select(operator_passkey.c.operator_id, operator_passkey.c.credential_id)
    ):
        credentials.setdefault(row.operator_id, set()).add(b"p" + bytes(row.credential_id))
    for row in connection.execute(
        select(operator_recovery_code.c.operator_id, operator_recovery_code.c.digest)
    ):
        credentials.setdefault(row.operator_id, set()).add(b"r" + bytes(row.digest))
    for row in connection.execute(
        select(operator_totp.c.operator_id, operator_totp.c.confirmed_at)
    ):
        credentials.setdefault(row.operator_id, set()).add(b"t" + str(row.confirmed_at).encode())
    people = select(operator.c.operator_id, operator.c.email, operator.c.password_hash)
    found = {}
    for person in connection.execute(people):
        theirs = credentials.get(person.operator_id, set())
        if person.password_hash is not None:
            theirs.add(b"h" + hashlib.sha256(person.password_hash.encode()).digest())
        found[person.operator_id] = OperatorFacts(
            email=person.email,
            roles=frozenset(roles.get(person.operator_id, ())),
            credentials=frozenset(theirs),
        )
    return found
