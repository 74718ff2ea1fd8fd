"""The client tables: one row a client, with its scopes and credentials beside it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    true,
    update,
)

from hourpass.server.audit.events import Actor
from hourpass.server.clients.model import ID_PREFIX, Client, Status
from hourpass.server.clients.secrets import ClientCredential
from hourpass.server.db.schema import client as table
from hourpass.server.db.schema import client_credential, client_scope, client_word, usage
from hourpass.server.db.word_index import are_few, has_word
from hourpass.server.words import searched_words, words_of

# Statements of the usual deeds are made once: to make one costs more than to execute it.
_GET = select(table).where(table.c.client_id.in_(bindparam("client_ids", expanding=True)))
_SCOPES = select(client_scope).where(
    client_scope.c.client_seq.in_(bindparam("seqs", expanding=True))
)
_CREDENTIALS = (
    select(client_credential)
    .where(client_credential.c.client_seq.in_(bindparam("seqs", expanding=True)))
    .order_by(client_credential.c.id)
)
_LAST_TOKEN_AT = (
    select(usage.c.client_id, func.max(usage.c.last_issued_at).label("last"))
    .where(usage.c.client_id.in_(bindparam("client_ids", expanding=True)))
    .group_by(usage.c.client_id)
)
_ADD = insert(table).returning(table.c.seq)
_ADD_SCOPES, _ADD_WORDS = insert(client_scope), insert(client_word)
_ADD_CREDENTIALS = insert(client_credential)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFilter:
    """Which clients; None means any."""

    status: Status | None = None
    scope: str | None = None
    organization: str | None = None
    search: str | None = None
    """The beginnings of words of the name, all of them, or of the client ID; case is ignored."""
    expires_before: datetime | None = None
    """Only those that have not expired, and will have by this moment."""


def get(connection: Connection, client_id: str) -> Client | None:
    """One client, or None."""
    return get_many(connection, [client_id]).get(client_id)


def get_many(connection: Connection, client_ids: Iterable[str]) -> dict[str, Client]:
    """Those of the clients that exist, by ID, in a fixed number of statements."""
    rows = connection.execute(_GET, {"client_ids": list(client_ids)}).all()
    return {client.client_id: client for client in _with_parts(connection, rows)}


def existing(connection: Connection, client_ids: Iterable[str]) -> frozenset[str]:
    """Those of the IDs whose client still is."""
    query = select(table.c.client_id).where(table.c.client_id.in_(list(client_ids)))
    return frozenset(connection.scalars(query))


def page(
    connection: Connection,
    wanted: ClientFilter,
    now: datetime,
    *,
    limit: int,
    before: int | None = None,
) -> tuple[list[Client], int | None]:
    """Up to `limit` clients, newest first, and where the next page begins (None: no more)."""
    seq, query = _filtered(connection, wanted, now)
    if before is not None:
        query = query.where(seq < before)
    # First which, from indexes alone, then the rows: to sort whole rows would cost many times it.
    found: list[int] = list(connection.scalars(query.order_by(seq.desc()).limit(limit + 1)))
    shown = found[:limit]
    rows = connection.execute(
        select(table).where(table.c.seq.in_(shown)).order_by(table.c.seq.desc())
    ).all()
    return _with_parts(connection, rows), shown[-1] if len(found) > limit else None


def last_token_at(connection: Connection, client_ids: Iterable[str]) -> dict[str, datetime]:
    """When each client last got a token; may lag some seconds."""
    rows = connection.execute(_LAST_TOKEN_AT, {"client_ids": list(client_ids)})
    return {row.client_id: row.last for row in rows if row.last is not None}


def usage_between(
    connection: Connection, client_id: str, since: datetime, until: datetime
) -> list[tuple[datetime, int, int]]:
    """Hour, issued, refused: of each hour from `since` on and before `until` that has any."""
    query = (
        select(usage.c.hour, usage.c.issued, usage.c.refused)
        .where(usage.c.client_id == client_id, usage.c.hour >= since, usage.c.hour < until)
        .order_by(usage.c.hour)
    )
    return [(row.hour, row.issued, row.refused) for row in connection.execute(query)]


def holder(connection: Connection, digests: Iterable[bytes]) -> str | None:
    """The ID of the client that a secret with one of these digests is the live one of."""
    query = (
        select(table.c.client_id)
        .join(client_credential, client_credential.c.client_seq == table.c.seq)
        .where(client_credential.c.digest.in_(list(digests)))
    )
    return connection.execute(query).scalars().first()


def add(connection: Connection, client: Client) -> None:
    """A new client with its scopes and credentials."""
    row = {
        "client_id": client.client_id,
        "organization": client.organization,
        "created_at": client.created_at,
        "created_by_type": client.created_by.type,
        "created_by_id": client.created_by.id,
        "created_by_name": client.created_by.name,
        "expires_at": client.expires_at,
        **_changing(client),
    }
    seq = connection.execute(_ADD, row).scalar_one()
    _add_scopes(connection, seq, client.scopes)
    _add_credentials(connection, seq, client)
    _add_words(connection, seq, words_of(client.name, client.client_id))


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
    if after.name != before.name:
        connection.execute(delete(client_word).where(client_word.c.client_seq == seq))
        _add_words(connection, seq, words_of(after.name, after.client_id))
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


def _filtered(
    connection: Connection, wanted: ClientFilter, now: datetime
) -> tuple[ColumnElement[int], Select[int]]:
    """The column that numbers the clients, and the numbers of those that fit."""
    seq: ColumnElement[int] = table.c.seq
    conditions = [*_status(connection, wanted.status, now)]
    if wanted.expires_before is not None:
        ends = table.c.expires_at
        soon = select(table.c.seq).where(ends > now, ends < wanted.expires_before)
        ends_late = func.coalesce(ends, _NEVER)
        other = (ends_late > now) & (ends_late < wanted.expires_before)
        conditions.append(_in_or(connection, soon, other))
    if wanted.organization is not None:
        conditions.append(table.c.organization == wanted.organization)
    query = select(seq)
    if wanted.scope is not None:
        seq = client_scope.c.client_seq
        query = select(seq).where(client_scope.c.scope == wanted.scope)
        if conditions:
            query = query.join(table, table.c.seq == seq)
    words = searched_words(wanted.search or "")
    conditions += [_has_word(connection, seq, word) for word in words]
    return seq, query.where(*conditions)


def _status(
    connection: Connection, status: Status | None, now: datetime
) -> Iterator[ColumnElement[bool]]:
    expired = table.c.expires_at <= now
    match status:
        case Status.EXPIRED:
            found = select(table.c.seq).where(expired)
            yield _in_or(connection, found, func.coalesce(table.c.expires_at, _NEVER) <= now)
        case Status.SUSPENDED:
            yield table.c.suspended_at.is_not(None)
            yield table.c.expires_at.is_(None) | ~expired
        case Status.ACTIVE:
            yield table.c.suspended_at.is_(None)
            yield table.c.expires_at.is_(None) | ~expired
        case None:
            pass


def _in_or(
    connection: Connection, found: Select[int], condition: ColumnElement[bool]
) -> ColumnElement[bool]:
    """If few rows match, take their numbers from the time index; else use `condition`.

    It says the same as `found`, written so that no time index serves it: many numbers from one
    would have to be sorted first.
    """
    return table.c.seq.in_(found) if are_few(connection, found) else condition


def _has_word(
    connection: Connection, seq: ColumnElement[int], beginning: str
) -> ColumnElement[bool]:
    """A word that begins so: what every client ID begins with is found without looking."""
    if beginning and ID_PREFIX.startswith(beginning):
        return true()
    return has_word(connection, seq, client_word, beginning)


def _with_parts(connection: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> list[Client]:
    seqs = [row.seq for row in rows]
    scopes: dict[int, set[str]] = {}
    for part in connection.execute(_SCOPES, {"seqs": seqs}):
        scopes.setdefault(part.client_seq, set()).add(part.scope)
    credentials: dict[int, list[ClientCredential]] = {}
    for part in connection.execute(_CREDENTIALS, {"seqs": seqs}):
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
            leaked_at=row.leaked_at,
            limit_per_minute=row.limit_per_minute,
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
        "leaked_at": client.leaked_at,
        "limit_per_minute": client.limit_per_minute,
        "token_generation": client.token_generation,
        "version": client.version,
    }


def _add_scopes(connection: Connection, seq: int, scopes: Iterable[str]) -> None:
    rows = [{"client_seq": seq, "scope": scope} for scope in sorted(scopes)]
    if rows:
        connection.execute(_ADD_SCOPES, rows)


def _add_words(connection: Connection, seq: int, words: Iterable[str]) -> None:
    rows = [{"client_seq": seq, "word": word} for word in sorted(words)]
    if rows:
        connection.execute(_ADD_WORDS, rows)


def _add_credentials(connection: Connection, seq: int, client: Client) -> None:
    made_at = client.secret_rotated_at or client.created_at
    connection.execute(
        _ADD_CREDENTIALS,
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
