"""Brings clients into a state while the server runs in another process: by the deeds where
there is one, and directly in the database where only the clock could do it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import select, text, update

from hourpass.server.clients import lifecycle
from hourpass.server.db.engine import Dialect
from hourpass.server.db.schema import client, client_credential, organization
from hourpass.server.organizations import store as organizations
from hourpass.server.organizations.model import Organization
from support.installation import TESTER, Credentials, Installation


def suspend(installation: Installation, credentials: Credentials) -> None:
    """The client gets no tokens."""
    lifecycle.suspend(installation.context.database, credentials.client_id, TESTER)


def activate(installation: Installation, credentials: Credentials) -> None:
    """It gets tokens again."""
    lifecycle.activate(installation.context.database, credentials.client_id, TESTER)


def delete(installation: Installation, credentials: Credentials) -> None:
    """There is no such client any more."""
    lifecycle.delete(installation.context.database, credentials.client_id, TESTER)


def rotate(installation: Installation, credentials: Credentials) -> Credentials:
    """The credentials from now on."""
    context = installation.context
    rotated = lifecycle.rotate_secret(
        context.database, context.keyring(), credentials.client_id, TESTER
    )
    return Credentials(rotated.client.client_id, rotated.secret.reveal())


def set_scopes(installation: Installation, credentials: Credentials, *scopes: str) -> None:
    """The client holds these instead."""
    lifecycle.set_scopes(
        installation.context.database, credentials.client_id, frozenset(scopes), TESTER
    )


def expire(installation: Installation, credentials: Credentials) -> None:
    """Its expiry was a second ago."""
    database = installation.context.database
    with database.write() as connection:
        past = database.now(connection) - timedelta(seconds=1)
        mine = client.c.client_id == credentials.client_id
        connection.execute(update(client).where(mine).values(expires_at=past))


def new_organization(installation: Installation, organization_id: str) -> str:
    """An organization of that ID."""
    database = installation.context.database
    with database.write() as connection:
        now = database.now(connection)
        made = Organization(id=organization_id, name=organization_id.title(), created_at=now)
        organizations.add(connection, made)
    return organization_id


def suspend_organization(
    installation: Installation, organization_id: str, *, suspended: bool = True
) -> None:
    """No client of it gets tokens; or they do again."""
    database = installation.context.database
    with database.write() as connection:
        now = database.now(connection) if suspended else None
        mine = organization.c.id == organization_id
        connection.execute(update(organization).where(mine).values(suspended_at=now))


def stored_digest(installation: Installation, credentials: Credentials) -> bytes:
    """What is stored of the client's secret."""
    query = (
        select(client_credential.c.digest)
        .join(client, client.c.seq == client_credential.c.client_seq)
        .where(client.c.client_id == credentials.client_id)
    )
    with installation.context.database.read() as connection:
        return bytes(connection.execute(query).scalar_one())


@contextmanager
def audit_held(installation: Installation) -> Iterator[None]:
    """Nobody can write to the audit trail meanwhile: the server's commits wait, and give up."""
    database = installation.context.database
    with database.engine.connect() as connection:
        connection.begin()
        if database.dialect is Dialect.POSTGRESQL:
            connection.execute(text("LOCK TABLE audit_event IN SHARE MODE"))
        yield
        connection.rollback()
