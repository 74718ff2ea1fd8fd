"""The tables of what operators prove themselves with, less the password."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from hourpass.server.db.operator_schema import (
    operator_challenge,
    operator_passkey,
    operator_recovery_code,
    operator_totp,
)
from hourpass.server.db.schema import sealed_key
from hourpass.server.operators.store import TOTP

MAX_CHALLENGES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTotp:
    """An authenticator app's secret, sealed; of use once it is confirmed."""

    sealed: bytes = field(repr=False)
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A registered passkey (WebAuthn credential); its public key is no secret."""

    credential_id: bytes
    operator_id: str
    public_key: bytes = field(repr=False)
    sign_count: int
    name: str
    created_at: datetime
    last_used_at: datetime | None = None


def forget(connection: Connection, operator_id: str) -> None:
    """Authenticator app, recovery codes, passkeys and open challenges of that person."""
    drop_totp(connection, operator_id)
    for table in (operator_passkey, operator_challenge):
        connection.execute(delete(table).where(table.c.operator_id == operator_id))


def totp(connection: Connection, operator_id: str) -> StoredTotp | None:
    """The authenticator app of that person, confirmed or not."""
    query = (
        select(sealed_key.c.sealed, operator_totp.c.confirmed_at)
        .join(operator_totp, operator_totp.c.operator_id == sealed_key.c.name)
        .where(sealed_key.c.kind == TOTP, sealed_key.c.name == operator_id)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredTotp(sealed=bytes(row[0]), confirmed_at=row[1])


def has_totp(connection: Connection, operator_id: str) -> bool:
    """Whether a code is asked for when that person signs in with the password."""
    stored = totp(connection, operator_id)
    return stored is not None and stored.confirmed_at is not None


def add_totp(connection: Connection, operator_id: str, sealed: bytes, now: datetime) -> None:
    """An app to be confirmed, instead of any other.

    The secret is in the table that `hourpass keys rewrap` seals anew.
    """
    drop_totp(connection, operator_id)
    connection.execute(
        insert(sealed_key).values(kind=TOTP, name=operator_id, sealed=sealed, created_at=now)
    )
    connection.execute(
        insert(operator_totp).values(operator_id=operator_id, created_at=now, last_step=0)
    )


def take_step(connection: Connection, operator_id: str, step: int) -> bool:
    """Whether no code of this time step or a later one was accepted before; none is again."""
    query = (
        update(operator_totp)
        .where(operator_totp.c.operator_id == operator_id, operator_totp.c.last_step < step)
        .values(last_step=step)
        .returning(operator_totp.c.operator_id)
    )
    return connection.execute(query).first() is not None


def confirm_totp(connection: Connection, operator_id: str, now: datetime) -> None:
    """From now on a code is asked for."""
    connection.execute(
        update(operator_totp)
        .where(operator_totp.c.operator_id == operator_id)
        .values(confirmed_at=now)
    )


def drop_totp(connection: Connection, operator_id: str) -> bool:
    """Forget app and recovery codes; whether there was an app."""
    set_recovery_codes(connection, operator_id, ())
    connection.execute(
        delete(sealed_key).where(sealed_key.c.kind == TOTP, sealed_key.c.name == operator_id)
    )
    query = (
        delete(operator_totp)
        .where(operator_totp.c.operator_id == operator_id)
        .returning(operator_totp.c.operator_id)
    )
    return connection.execute(query).first() is not None


def set_recovery_codes(connection: Connection, operator_id: str, digests: Iterable[bytes]) -> None:
    """These instead of all older ones."""
    table = operator_recovery_code
    connection.execute(delete(table).where(table.c.operator_id == operator_id))
    rows = [{"digest": digest, "operator_id": operator_id} for digest in digests]
    if rows:
        connection.execute(insert(table), rows)


def use_recovery_code(connection: Connection, operator_id: str, digest: bytes) -> bool:
    """Whether it was one; it is none any more."""
    table = operator_recovery_code
    query = (
        delete(table)
        .where(table.c.digest == digest, table.c.operator_id == operator_id)
        .returning(table.c.digest)
    )
    return connection.execute(query).first() is not None


def recovery_codes_left(connection: Connection, operator_id: str) -> int:
    """How many recovery codes are still good."""
    table = operator_recovery_code
    query = select(func.count()).where(table.c.operator_id == operator_id)
    return int(connection.execute(query).scalar_one())


def passkeys(connection: Connection, operator_id: str) -> list[Passkey]:
    """The passkeys of that person, oldest first."""
    table = operator_passkey
    query = select(table).where(table.c.operator_id == operator_id).order_by(table.c.created_at)
    return [_passkey(row._mapping) for row in connection.execute(query)]


def passkey(connection: Connection, credential_id: bytes) -> Passkey | None:
    """One passkey, whosever it is."""
    query = select(operator_passkey).where(operator_passkey.c.credential_id == credential_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _passkey(row._mapping)


def add_passkey(connection: Connection, key: Passkey) -> None:
    """A new passkey."""
    connection.execute(
        insert(operator_passkey).values(
            credential_id=key.credential_id,
            operator_id=key.operator_id,
            public_key=key.public_key,
            sign_count=key.sign_count,
            name=key.name,
            created_at=key.created_at,
        )
    )


def count_passkey(connection: Connection, key: Passkey, sign_count: int, now: datetime) -> bool:
    """Write the counter where it is still as read: of two uses at once one is a copy's."""
    table = operator_passkey
    query = (
        update(table)
        .where(table.c.credential_id == key.credential_id, table.c.sign_count == key.sign_count)
        .values(sign_count=sign_count, last_used_at=now)
        .returning(table.c.sign_count)
    )
    return connection.execute(query).first() is not None


def remove_passkey(connection: Connection, operator_id: str, credential_id: bytes) -> str | None:
    """Remove that person's passkey; its name, or None when there is none."""
    table = operator_passkey
    query = (
        delete(table)
        .where(table.c.credential_id == credential_id, table.c.operator_id == operator_id)
        .returning(table.c.name)
    )
    return connection.execute(query).scalar_one_or_none()


def add_challenge(
    connection: Connection,
    digest: bytes,
    challenge: bytes,
    operator_id: str | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    """A challenge to be answered; expired ones are forgotten, and the oldest when too many are
    open."""
    table = operator_challenge
    connection.execute(delete(table).where(table.c.expires_at <= now))
    too_old = (
        select(table.c.digest).order_by(table.c.expires_at.desc()).offset(MAX_CHALLENGES - 1)
    ).limit(MAX_CHALLENGES)
    connection.execute(delete(table).where(table.c.digest.in_(too_old)))
    connection.execute(
        insert(table).values(
            digest=digest, challenge=challenge, operator_id=operator_id, expires_at=expires_at
        )
    )


def use_challenge(
    connection: Connection, digest: bytes, operator_id: str | None, now: datetime
) -> bytes | None:
    """The challenge if it is good and was made for that person; in the same step no more."""
    table = operator_challenge
    whose = table.c.operator_id == operator_id
    if operator_id is None:
        whose = table.c.operator_id.is_(None)
    query = (
        delete(table)
        .where(table.c.digest == digest, table.c.expires_at > now, whose)
        .returning(table.c.challenge)
    )
    challenge = connection.execute(query).scalar_one_or_none()
    return None if challenge is None else bytes(challenge)


def _passkey(row: RowMapping) -> Passkey:
    return Passkey(
        credential_id=bytes(row["credential_id"]),
        operator_id=row["operator_id"],
        public_key=bytes(row["public_key"]),
        sign_count=row["sign_count"],
        name=row["name"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
    )
