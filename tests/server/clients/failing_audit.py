"""An audit table that refuses every new row, by a trigger of the database itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from hourpass.server.db.engine import Dialect
from support.installation import Installation

_MAKE = {
    Dialect.SQLITE: """
        create trigger no_audit before insert on audit_event
            begin select raise(abort, 'no audit today'); end
    """,
    Dialect.POSTGRESQL: """
        create function no_audit() returns trigger language plpgsql
            as 'begin raise exception ''no audit today''; end';
        create trigger no_audit before insert on audit_event
            for each row execute function no_audit()
    """,
}
_REMOVE = {
    Dialect.SQLITE: "drop trigger no_audit",
    Dialect.POSTGRESQL: "drop trigger no_audit on audit_event; drop function no_audit()",
}


@contextmanager
def failing_audit(installation: Installation) -> Iterator[None]:
    """Until the block ends."""
    database = installation.context.database
    with database.write() as connection:
        connection.execute(text(_MAKE[database.dialect]))
    try:
        yield
    finally:
        with database.write() as connection:
            connection.execute(text(_REMOVE[database.dialect]))
