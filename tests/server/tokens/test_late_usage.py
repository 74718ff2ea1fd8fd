"""Usage that is added late, when later usage of the same hour's row is there already."""

from datetime import UTC, datetime, timedelta

import commits

from hourpass.server.clients import store
from hourpass.server.tokens.usage import Sum
from support.installation import Installation

HOUR = datetime(2026, 2, 24, 0, tzinfo=UTC)


def test_the_last_token_is_never_turned_back(installation: Installation) -> None:
    """The first hour of an old day has the last token of the whole day."""
    client_id = installation.create_client("customers:read").client_id
    key = (client_id, HOUR)
    backend = commits.backend(installation)
    try:
        backend.write_usage([(key, Sum(0, 1, None))])
        backend.write_usage([(key, Sum(1, 0, HOUR + timedelta(hours=23)))])
        backend.write_usage([(key, Sum(1, 0, HOUR + timedelta(minutes=5)))])
        backend.write_usage([(key, Sum(0, 1, None))])
    finally:
        backend.close()

    with installation.context.database.read() as connection:
        found = store.last_token_at(connection, [client_id])
        sums = store.usage_between(connection, client_id, HOUR, HOUR + timedelta(hours=1))
    assert found == {client_id: HOUR + timedelta(hours=23)}
    assert sums == [(HOUR, 2, 2)]
