"""Bring a database's schema up to this version, or say how the two differ.

Alembic is loaded where it is needed: in the usual case, a database of this version, nobody has to
wait a tenth of a second for it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from hourpass.server.db.engine import Database, Dialect

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0007"
# Any number: what counts is that every Hourpass takes the same lock.
_LOCK = 4_865_717_170
_ASK_AGAIN_S = 0.05


class SchemaState(StrEnum):
    """How a database's schema stands to the one this version needs."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


def state(database: Database) -> SchemaState:
    """Look without touching."""
    with database.read() as connection:
        return _state(connection)


def upgrade(database: Database) -> SchemaState:
    """Migrate, all or nothing, and return what the state was before.

    A database that is AHEAD is left alone: a newer Hourpass has been here. What a migration has
    to do beside everybody who writes, its `prepare` does before, in transactions of its own.
    """
    with _turn(database):
        _prepare(database)
        return _upgrade(database)


def _upgrade(database: Database) -> SchemaState:
    with database.write() as connection:
        if database.dialect is Dialect.POSTGRESQL:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = _state(connection)
        if before in (SchemaState.EMPTY, SchemaState.BEHIND):
            from alembic import command

            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
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
    if inspect(connection).has_table("alembic_version"):
        versions = connection.execute(text("SELECT version_num FROM alembic_version"))
        if versions.scalars().all() == [NEWEST]:
            return SchemaState.CURRENT
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


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "hourpass.server.db:migrations")
    config.set_main_option("path_separator", "os")
    return config
