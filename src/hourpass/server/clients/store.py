"""The client tables: one row a client, with its scopes and credentials beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from hourpass.server.audit.events import Actor
from hourpass.server.clients.model import Client, Status
from hourpass.server.clients.secrets import ClientCredential
from hourpass.server.db.schema import client as table
from hourpass.server.db.schema import client_credential, client_scope, usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFilter:
    """Which clients; None means any."""

    status: Status | None = None
    scope: str | None = None
    organization: str | None = None


def get(connection: Connection, client_id: str) -> Client | None:
    """One client, or None."""
    return get_many(connection, [client_id]).get(client_id)


def get_many(connection: Connection, client_ids: Iterable[str]) -> dict[str, Client]:
    """Those of the clients that exist, by ID, in a fixed number of statements."""
    rows = connection.execute(select(table).where(table.c.client_id.in_(list(client_ids)))).all()
    return {client.client_id: client for client in _with_parts(connection, rows)}


def page(
    connection: Connection,
    wanted: ClientFilter,
    now: datetime,
    *,
    limit: int,
    before: int | None = None,
) -> tuple[list[Client], int | None]:
    """Up to `limit` clients, newest first, and where the next page begins (None: no more)."""
    query = _filtered(wanted, now).order_by(table.c.seq.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(table.c.seq < before)
    rows = connection.execute(query).all()
    shown = rows[:limit]
    return _with_parts(connection, shown), shown[-1].seq if len(rows) > limit else None


def last_token_at(connection: Connection, client_ids: Iterable[str]) -> dict[str, datetime]:
    """When each client last got a token; may lag some seconds."""
    query = (
        select(usage.c.client_id, func.max(usage.c.last_issued_at).label("last"))
        .where(usage.c.client_id.in_(list(client_ids)))
        .group_by(usage.c.client_id)
    )
    return {row.client_id: row.last for row in connection.execute(query) if row.last is not None}


def add(connection: Connection, client: Client) -> None:
    """A new client with its scopes and credentials."""
    seq = connection.execute(
        insert(table)
        .values(
            client_id=client.client_id,
            organization=client.organization,
            created_at=client.created_at,
            created_by_type=client.created_by.type,
            created_by_id=client.created_by.id,
            created_by_name=client.created_by.name,
            expires_at=client.expires_at,
            **_changing(client),
        )
        .returning(table.c.seq)
    ).scalar_one()
    _add_scopes(connection, seq, client.scopes)
    _add_credentials(connection, seq, client)


def save(connection: Connection, before: Client, after: Client) -> bool:
    """Write `after` where `before` still stands (compare-and-swap on its version).

    False, with nothing written, when somebody else changed or deleted the client meanwhile.
    """
    seq = connection.execute(
        update(table)
        .where(table.c.client_id == before.client_id, table.c.version == before.version)
        .values(**_changing(after))
        .returning(table.c.seq)
    ).scalar_one_or_none()
    if seq is None:
        return False
    if after.scopes != before.scopes:
        gone = before.scopes - after.scopes
        connection.execute(
            delete(client_scope).where(
                client_scope.c.client_seq == seq, client_scope.c.scope.in_(gone)
            )
        )
        _add_scopes(connection, seq, after.scopes - before.scopes)
    if after.credentials != before.credentials:
        connection.execute(delete(client_credential).where(client_credential.c.client_seq == seq))
        _add_credentials(connection, seq, after)
    return True


def remove(connection: Connection, client: Client) -> bool:
    """Delete the row where `client` still stands; False when it changed or went meanwhile."""
    gone = connection.execute(
        delete(table).where(
            table.c.client_id == client.client_id, table.c.version == client.version
        )
    ).rowcount
    if gone:
        connection.execute(delete(usage).where(usage.c.client_id == client.client_id))
    return bool(gone)


def _filtered(wanted: ClientFilter, now: datetime) -> Select[tuple[object, ...]]:
    query = select(table)
    if wanted.organization is not None:
        query = query.where(table.c.organization == wanted.organization)
    if wanted.scope is not None:
        query = query.join(client_scope, client_scope.c.client_seq == table.c.seq).where(
            client_scope.c.scope == wanted.scope
        )
    live = table.c.expires_at.is_(None) | (table.c.expires_at > now)
    match wanted.status:
        case Status.EXPIRED:
            query = query.where(table.c.expires_at <= now)
        case Status.SUSPENDED:
            query = query.where(table.c.suspended_at.is_not(None), live)
        case Status.ACTIVE:
            query = query.where(table.c.suspended_at.is_(None), live)
        case None:
            pass
    return query


def _with_parts(connection: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> list[Client]:
    seqs = [row.seq for row in rows]
    scopes: dict[int, set[str]] = {}
    for part in connection.execute(select(client_scope).where(client_scope.c.client_seq.in_(seqs))):
        scopes.setdefault(part.client_seq, set()).add(part.scope)
    credentials: dict[int, list[ClientCredential]] = {}
    for part in connection.execute(
        select(client_credential)
        .where(client_credential.c.client_seq.in_(seqs))
        .order_by(client_credential.c.id)
    ):
        credential = ClientCredential(bytes(part.digest), part.pepper_version)
        credentials.setdefault(part.client_seq, []).append(credential)
    return [
        Client(
            client_id=row.client_id,
            organization=row.organization,
            name=row.name,
            description=row.description,
            scopes=frozenset(scopes.get(row.seq, ())),
            credentials=tuple(credentials.get(row.seq, ())),
            created_at=row.created_at,
            created_by=Actor(row.created_by_type, row.created_by_id, row.created_by_name),
            expires_at=row.expires_at,
            suspended_at=row.suspended_at,
            secret_rotated_at=row.secret_rotated_at,
            token_generation=row.token_generation,
            version=row.version,
        )
        for row in rows
    ]


def _changing(client: Client) -> dict[str, object]:
    """The columns that a deed may change."""
    return {
        "name": client.name,
        "description": client.description,
        "suspended_at": client.suspended_at,
        "secret_rotated_at": client.secret_rotated_at,
        "token_generation": client.token_generation,
        "version": client.version,
    }


def _add_scopes(connection: Connection, seq: int, scopes: Iterable[str]) -> None:
    rows = [{"client_seq": seq, "scope": scope} for scope in sorted(scopes)]
    if rows:
        connection.execute(insert(client_scope), rows)


def _add_credentials(connection: Connection, seq: int, client: Client) -> None:
    made_at = client.secret_rotated_at or client.created_at
    connection.execute(
        insert(client_credential),
        [
            {
                "client_seq": seq,
                "digest": credential.digest,
                "pepper_version": credential.pepper_version,
                "created_at": made_at,
            }
            for credential in client.credentials
        ],
    )
