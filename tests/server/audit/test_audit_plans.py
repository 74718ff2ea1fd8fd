"""How the databases find what is asked for: by an index, in the partitions of its time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from dated import DatedDatabase
from sqlalchemy import event

from hourpass.server.audit import store
from hourpass.server.audit.partitions import keep_partitions
from hourpass.server.audit.store import EventFilter
from hourpass.server.db.engine import Database
from support.installation import Installation

DAY = timedelta(days=1)
FILTERS: dict[str, tuple[EventFilter, str]] = {
    "all": (EventFilter(), "ix_audit_event_time (time>?)"),
    "a client": (EventFilter(client_id="m2m_1"), "client_id_time (client_id=? AND time>?)"),
    "an event": (EventFilter(event="client.created"), "deed (event=? AND time>?)"),
    "an operator": (EventFilter(actor="opr_1"), "deed_actor (actor_id=? AND time>?)"),
    "an organization": (
        EventFilter(organization="acme"),
        "organization_time (organization=? AND time>?)",
    ),
}


def plans(database: Database, wanted: EventFilter) -> list[str]:
    """How each statement of a page is executed, as the database tells it."""
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _k: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    with database.read() as connection:
        store.page(connection, wanted, limit=51)
    event.remove(database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN (COSTS OFF) "
    with database.read() as connection:
        return [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + sql, given))
            for sql, given in asked
            if sql.startswith("SELECT")
        ]


@pytest.mark.parametrize("named", FILTERS)
def test_every_filter_has_an_index_in_the_order_of_time(
    sqlite_installation: Installation, named: str
) -> None:
    """So a page begins in it and ends in it; nothing is sorted."""
    database = DatedDatabase.of(sqlite_installation.context.database)

    wanted, index = FILTERS[named]

    (plan,) = plans(database, replace(wanted, since=database.clock[0] - DAY))

    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_a_day_is_looked_for_in_its_partition(postgres_installation: Installation) -> None:
    """Not in those before and after it."""
    database = DatedDatabase.of(postgres_installation.context.database)
    keep_partitions(database)
    until = database.partitions()[1].range.until
    wanted = EventFilter(since=until - 9 * DAY, until=until - 8 * DAY)

    (plan,) = plans(database, wanted)

    assert database.partitions()[1].name in plan
    assert not [each.name for each in database.partitions()[2:] if each.name in plan]
    assert "audit_event_first" not in plan
