"""The figures of the overview: exact, and of one place only."""

from datetime import timedelta

from sqlalchemy import insert

from hourpass.server.clients import lifecycle
from hourpass.server.clients import overview_store as figures
from hourpass.server.clients.model import Status
from hourpass.server.db.schema import usage
from hourpass.server.organizations import operations
from support.installation import TESTER, Installation


def test_each_client_is_counted_once(installation: Installation) -> None:
    """A suspended client whose time is over is expired, as its status says."""
    database = installation.context.database
    operations.create(database, "acme", "Acme", TESTER)
    for place in ("default", "acme", "acme"):
        installation.create_client("customers:read", organization=place)
        ending = installation.create_client("customers:read", organization=place, expires_in_days=1)
        lifecycle.suspend(database, ending.client_id, TESTER)
    with database.read() as connection:
        now = database.now(connection)
        today = figures.count_by_status(connection, "acme", now)
        later = figures.count_by_status(connection, "acme", now + timedelta(days=2))
        everywhere = figures.count_by_status(connection, None, now + timedelta(days=2))

    assert today == {Status.ACTIVE: 2, Status.SUSPENDED: 2, Status.EXPIRED: 0}
    assert later == {Status.ACTIVE: 2, Status.SUSPENDED: 0, Status.EXPIRED: 2}
    assert everywhere == {Status.ACTIVE: 3, Status.SUSPENDED: 0, Status.EXPIRED: 3}


def test_the_first_to_expire_comes_first(installation: Installation) -> None:
    """Neither those whose time is over nor those that have long."""
    for days in (40, 20, 2, 10):
        installation.create_client("customers:read", name=f"{days} days", expires_in_days=days)
    database = installation.context.database
    with database.read() as connection:
        now = database.now(connection) + timedelta(days=5)
        found = figures.about_to_expire(connection, None, now, now + timedelta(days=30), limit=6)

    assert [client.name for client in found] == ["10 days", "20 days"]


def test_unused_is_who_never_got_a_token_and_still_could(installation: Installation) -> None:
    """The oldest first; one that was only refused is unused, one whose time is over is not told."""
    database = installation.context.database
    make = installation.create_client
    used = make("customers:read", name="Used")
    refused = make("customers:read", name="Refused")
    make("customers:read", name="Over", expires_in_days=1)
    make("customers:read", name="Fresh")
    with database.write() as connection:
        now = database.now(connection)
        hour = now.replace(minute=0, second=0, microsecond=0)
        row = {"client_id": used.client_id, "hour": hour, "issued": 3, "refused": 1}
        connection.execute(insert(usage), {**row, "last_issued_at": now})
        row = {"client_id": refused.client_id, "hour": hour, "issued": 0, "refused": 2}
        connection.execute(insert(usage), {**row, "last_issued_at": None})
    with database.read() as connection:
        found = figures.never_used(connection, "default", now + timedelta(days=2), limit=6)
        sums = figures.sums_of_hour(connection, "default", hour)
        elsewhere = figures.sums_of_hour(connection, "acme", hour)

    assert [client.name for client in found] == ["Refused", "Fresh"]
    assert (sums, elsewhere) == ((3, 3), (0, 0))
