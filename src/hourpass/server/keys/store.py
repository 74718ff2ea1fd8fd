"""The signing_key and sealed_key tables, and the version that tells when they changed."""

import json
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from hourpass.oauth.jose import Algorithm
from hourpass.server.db.schema import installation, sealed_key, signing_key
from hourpass.server.keys.model import SigningKey

PEPPER = "pepper"
SIGNING = "signing"
CURSOR = "cursor"


def version(connection: Connection) -> int | None:
    """Changes with every change of a key; None while the database holds no installation."""
    return connection.execute(select(installation.c.keys_version)).scalar_one_or_none()


def take_turn(connection: Connection) -> None:
    """Wait for whoever is changing keys now, and keep others out until the commit."""
    connection.execute(select(installation.c.id).with_for_update())


def signing_keys(connection: Connection) -> list[SigningKey]:
    """All of them, oldest first; those long gone, too."""
    query = select(signing_key).order_by(signing_key.c.activates_at)
    return [
        SigningKey(
            kid=row.kid,
            algorithm=Algorithm(row.algorithm),
            public_jwk=json.loads(row.public_jwk),
            created_at=row.created_at,
            activates_at=row.activates_at,
            retires_at=row.retires_at,
            revoked_at=row.revoked_at,
        )
        for row in connection.execute(query)
    ]


def add_signing_key(connection: Connection, key: SigningKey) -> None:
    """A new key; its sealed private half goes in by `add_sealed`."""
    connection.execute(
        insert(signing_key).values(
            kid=key.kid,
            algorithm=key.algorithm.value,
            public_jwk=json.dumps(key.public_jwk),
            created_at=key.created_at,
            activates_at=key.activates_at,
            retires_at=key.retires_at,
            revoked_at=key.revoked_at,
        )
    )
    _changed(connection)


def set_times(connection: Connection, key: SigningKey) -> None:
    """Write the key's timetable back."""
    connection.execute(
        update(signing_key)
        .where(signing_key.c.kid == key.kid)
        .values(activates_at=key.activates_at, retires_at=key.retires_at, revoked_at=key.revoked_at)
    )
    _changed(connection)


def sealed(connection: Connection, kind: str | None = None) -> dict[tuple[str, str], bytes]:
    """Sealed keys by kind and name."""
    query = select(sealed_key.c.kind, sealed_key.c.name, sealed_key.c.sealed)
    if kind is not None:
        query = query.where(sealed_key.c.kind == kind)
    return {(row.kind, row.name): bytes(row.sealed) for row in connection.execute(query)}


def add_sealed(connection: Connection, kind: str, name: str, content: bytes, now: datetime) -> None:
    """A new sealed key."""
    connection.execute(
        insert(sealed_key).values(kind=kind, name=name, sealed=content, created_at=now)
    )


def reseal(connection: Connection, kind: str, name: str, content: bytes) -> None:
    """The same key, sealed anew."""
    connection.execute(
        update(sealed_key)
        .where(sealed_key.c.kind == kind, sealed_key.c.name == name)
        .values(sealed=content)
    )


def drop_private(connection: Connection, kids: Iterable[str]) -> None:
    """Forget private halves that will never sign again."""
    connection.execute(
        delete(sealed_key).where(sealed_key.c.kind == SIGNING, sealed_key.c.name.in_(list(kids)))
    )


def _changed(connection: Connection) -> None:
    connection.execute(update(installation).values(keys_version=installation.c.keys_version + 1))
