"""Bring a database's schema up to this version, or say how the two differ.

Alembic is loaded where it is needed: in the usual case, a database of this version, nobody has to
wait a tenth of a second for it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, inspect, select, text

from hourpass.server.db.engine import Database, DatabaseUnavailable, Dialect
from hourpass.server.db.schema import schema_version

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0011"
# The oldest schema whose Hourpass can go on with a database at NEWEST: it is written into the
# database, where an older program finds it. A migration that such a program could not live beside
# raises it (docs/adr/0012-backup-restore-upgrade.md).
OLDEST_BESIDE = "0008"
# Any number: what counts is that every Hourpass takes the same lock.
_LOCK = 4_865_717_170
_ASK_AGAIN_S = 0.05
_TABLE_TIMEOUT_MS = 2000
_LOCK_TIMED_OUT = "55P03"
NEWER_WARNING = (
    "a newer Hourpass has migrated this database; this version can go on until it is upgraded"
)


class SchemaState(StrEnum):
    """How a database's schema stands to the one this version needs."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    NEWER = "newer"
    """A newer Hourpass has migrated it, and says that this one can go on."""
    AHEAD = "ahead"


def state(database: Database) -> SchemaState:
    """Look without touching."""
    with database.read() as connection:
        return _state(connection)


def revision(database: Database) -> str | None:
    """The schema's revision as the database names it; None when it names none, or several."""
    with database.read() as connection:
        return _revision(connection)


def upgrade(database: Database) -> SchemaState:
    """Migrate, all or nothing, and return what the state was before.

    A database that is NEWER or AHEAD is left alone: a newer Hourpass has been here. What a
    migration has to do beside everybody who writes, its `prepare` does before, in transactions of
    its own. Raises DatabaseUnavailable when others keep a table to themselves for long; then it
    can be run again.
    """
    try:
        with _turn(database):
            _prepare(database)
            return _upgrade(database)
    except DatabaseUnavailable as fault:
        if getattr(getattr(fault.__cause__, "orig", None), "sqlstate", None) != _LOCK_TIMED_OUT:
            raise
        raise DatabaseUnavailable(
            "another session (pg_dump, say) keeps a table that has to change; the schema is as "
            "it was, but what was prepared for it stays, and may refuse events from a day about "
            "a year ahead: run `hourpass migrate` again when the session is done"
        ) from fault


def _upgrade(database: Database) -> SchemaState:
    with database.write() as connection:
        if database.dialect is Dialect.POSTGRESQL:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            # Whoever waits for a table makes all who come after wait as well: not behind a dump.
            connection.execute(text(f"SET LOCAL lock_timeout = {_TABLE_TIMEOUT_MS}"))
        before = _state(connection)
        if before in (SchemaState.EMPTY, SchemaState.BEHIND):
            from alembic import command

            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.execute(delete(schema_version))
            connection.execute(insert(schema_version).values(id=1, oldest_beside=OLDEST_BESIDE))
        return before


@contextmanager
def _turn(database: Database) -> Iterator[None]:
    """One upgrade at a time. Asks again and again: what is built beside everybody who writes waits
    for all who are in a statement, and so must not be waited for in one."""
    if database.dialect is not Dialect.POSTGRESQL:
        yield
        return
    key = {"key": _LOCK + 1}
    with database.look() as connection:
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one():
            time.sleep(_ASK_AGAIN_S)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)


def _prepare(database: Database) -> None:
    with database.read() as connection:
        if _state(connection) is not SchemaState.BEHIND:
            return
        from alembic.migration import MigrationContext
        from alembic.script import ScriptDirectory

        heads = MigrationContext.configure(connection).get_current_heads()
    script = ScriptDirectory.from_config(_config())
    for pending in reversed([*script.iterate_revisions("heads", heads)]):
        prepare = getattr(pending.module, "prepare", None)
        if prepare is not None:
            prepare(database)


def _state(connection: Connection) -> SchemaState:
    found = _revision(connection)
    if found == NEWEST:
        return SchemaState.CURRENT
    if found is not None and found > NEWEST and _may_go_on(connection):
        return SchemaState.NEWER
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    heads = set(MigrationContext.configure(connection).get_current_heads())
    if not heads:
        others = set(inspect(connection).get_table_names()) - {"alembic_version"}
        return SchemaState.AHEAD if others else SchemaState.EMPTY
    if heads == set(script.get_heads()):
        return SchemaState.CURRENT
    known = {revision.revision for revision in script.walk_revisions()}
    return SchemaState.BEHIND if heads <= known else SchemaState.AHEAD


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    versions = list(connection.scalars(text("SELECT version_num FROM alembic_version")))
    return versions[0] if len(versions) == 1 else None


def _may_go_on(connection: Connection) -> bool:
    """Whether whoever migrated the database says that this version can live beside it."""
    if not inspect(connection).has_table(schema_version.name):
        return False
    oldest = connection.execute(select(schema_version.c.oldest_beside)).scalar_one_or_none()
    return oldest is not None and oldest <= NEWEST


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "hourpass.server.db:migrations")
    config.set_main_option("path_separator", "os")
    return config
