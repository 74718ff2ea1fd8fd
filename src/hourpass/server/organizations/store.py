"""The organization table."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hourpass.server.db.schema import organization as table
from hourpass.server.db.schema import organization_word
from hourpass.server.db.word_index import has_word
from hourpass.server.organizations.model import Organization, is_organization_id
from hourpass.server.words import searched_words, words_of

_GET = select(table).where(table.c.id == bindparam("organization_id"))
_GET_FOR_UPDATE = _GET.with_for_update()


def get(
    connection: Connection, organization_id: str, *, for_update: bool = False
) -> Organization | None:
    """One organization, or None; `for_update` keeps others from changing it meanwhile."""
    query = _GET_FOR_UPDATE if for_update else _GET
    row = connection.execute(query, {"organization_id": organization_id}).one_or_none()
    return None if row is None else Organization(**row._mapping)


def get_many(connection: Connection, organization_ids: Iterable[str]) -> list[Organization]:
    """Those that exist of the organizations with these IDs."""
    ids = [each for each in organization_ids if is_organization_id(each)]
    query = select(table).where(table.c.id.in_(ids))
    return [Organization(**row._mapping) for row in connection.execute(query)]


def page(
    connection: Connection,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
    search: str = "",
    within: Collection[str] | None = None,
) -> tuple[list[Organization], tuple[datetime, str] | None]:
    """Up to `limit` organizations, newest first, and after which the next page begins (None: no
    more).

    `search` has the beginnings of words of the name, all of them, or of the ID, whatever the
    case; `within`: only among those with these IDs.
    """
    conditions = [
        has_word(connection, table.c.id, organization_word, word) for word in searched_words(search)
    ]
    if within is not None:
        conditions.append(table.c.id.in_(within))
    if before is not None:
        moment, organization_id = before
        conditions.append(
            (table.c.created_at < moment)
            | ((table.c.created_at == moment) & (table.c.id < organization_id))
        )
    newest_first = table.c.created_at.desc(), table.c.id.desc()
    query = select(table).where(*conditions).order_by(*newest_first).limit(limit + 1)
    found = [Organization(**row._mapping) for row in connection.execute(query)]
    shown = found[:limit]
    return shown, (shown[-1].created_at, shown[-1].id) if len(found) > limit else None


def add(connection: Connection, organization: Organization) -> None:
    """A new organization."""
    connection.execute(
        insert(table).values(
            id=organization.id,
            name=organization.name,
            created_at=organization.created_at,
            suspended_at=organization.suspended_at,
        )
    )
    _add_words(connection, organization)


def add_new(connection: Connection, organization: Organization) -> bool:
    """A new organization; False when its ID is taken, also at this very moment."""
    on_sqlite = connection.dialect.name == "sqlite"
    statement = (sqlite.insert if on_sqlite else postgresql.insert)(table)
    made = connection.execute(
        statement.values(
            id=organization.id, name=organization.name, created_at=organization.created_at
        )
        .on_conflict_do_nothing()
        .returning(table.c.id)
    ).all()
    if made:
        _add_words(connection, organization)
    return bool(made)


def save(connection: Connection, organization: Organization) -> None:
    """What a deed may change, written back."""
    connection.execute(
        update(table)
        .where(table.c.id == organization.id)
        .values(name=organization.name, suspended_at=organization.suspended_at)
    )
    there = organization_word.c.organization == organization.id
    connection.execute(delete(organization_word).where(there))
    _add_words(connection, organization)


def _add_words(connection: Connection, organization: Organization) -> None:
    words = sorted(words_of(organization.name, organization.id))
    connection.execute(
        insert(organization_word),
        [{"organization": organization.id, "word": word} for word in words],
    )
