"""A deed and its audit event stand or fall together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyotp
import pytest
from people import OTHER_PASSWORD, PASSWORD, Office
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from hourpass.server.db import schema
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.operators import lifecycle
from hourpass.server.operators.credentials import totp
from hourpass.server.operators.lifecycle import OneTimeLink
from hourpass.server.operators.model import Role
from hourpass.server.operators.sessions import operations, sign_in
from support.hashing import HASHING
from support.installation import TESTER, Installation

EMAIL = "ana@example.com"
TABLES = [
    table
    for table in schema.metadata.sorted_tables
    if table.name.startswith("operator") and table.name != "operator_challenge"
]


@pytest.fixture
def office(installation: Installation) -> Office:
    """Nobody is there yet."""
    return Office(installation)


@contextmanager
def no_audit_table(office: Office) -> Iterator[None]:
    """No event can be written until the block ends."""
    with office.database.write() as connection:
        connection.exec_driver_sql("alter table audit_event rename to elsewhere")
    try:
        yield
    finally:
        with office.database.write() as connection:
            connection.exec_driver_sql("alter table elsewhere rename to audit_event")


def everything(office: Office) -> dict[str, list[str]]:
    """All that is stored of operators."""
    with office.database.read() as connection:
        return {table.name: sorted(map(str, connection.execute(select(table)))) for table in TABLES}


def link(made: OneTimeLink | None) -> OneTimeLink:
    """There is one."""
    assert made is not None
    return made


def test_without_its_event_nothing_is_done(office: Office) -> None:
    """Whatever the deed: every table is as it was."""
    database, master = office.database, office.master
    office.hire("boss@example.com")
    ana = office.hire(EMAIL, Role.ADMIN, "default")
    ben = office.hire("ben@example.com")
    token = office.sign_in(EMAIL).token
    who = office.current(token)
    made = totp.begin(database, master, ben)
    invited = lifecycle.set_role(database, "new@example.com", None, Role.ADMIN, TESTER)
    use = link(invited.link).token

    def code() -> str:
        with database.read() as connection:
            now = database.now(connection)
        return pyotp.TOTP(made.secret.reveal()).generate_otp(int(now.timestamp()) // 30)

    deeds: list[Callable[[], object]] = [
        lambda: lifecycle.set_role(database, "x@example.com", None, Role.ADMIN, TESTER),
        lambda: lifecycle.set_role(database, EMAIL, "default", Role.OWNER, TESTER),
        lambda: lifecycle.take_role(database, EMAIL, "default", TESTER),
        lambda: lifecycle.remove(database, EMAIL, TESTER),
        lambda: lifecycle.reset(database, EMAIL, TESTER),
        lambda: lifecycle.use_link(database, HASHING, use, PASSWORD, TESTER),
        lambda: totp.confirm(database, master, ben, code(), TESTER),
        lambda: totp.remove(database, ben, TESTER),
        lambda: office.sign_in(EMAIL),
        lambda: operations.sign_out(database, token, TESTER),
        lambda: operations.end_session(database, ana, who.session.session_id, TESTER),
        lambda: operations.end_every_session(database, ana, TESTER),
        lambda: sign_in.change_password(database, HASHING, who, PASSWORD, OTHER_PASSWORD, TESTER),
    ]
    before = everything(office)

    for number, deed in enumerate(deeds):
        with no_audit_table(office), pytest.raises((DBAPIError, DatabaseUnavailable)):
            deed()
        assert everything(office) == before, number


def test_a_set_up_link_without_its_event_is_none(office: Office) -> None:
    """The same, on an installation without operators."""
    with no_audit_table(office), pytest.raises((DBAPIError, DatabaseUnavailable)):
        lifecycle.make_set_up_link(office.database, TESTER)

    assert not any(everything(office).values())
