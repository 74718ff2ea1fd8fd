"""What all who keep a bare connection to PostgreSQL share."""

from collections.abc import Sequence
from contextlib import closing

import pytest

from hourpass.server.db import postgres_lines
from hourpass.server.db.postgres import raw_connection
from hourpass.server.db.postgres_lines import Attempts, packed
from support.postgres import Cluster


@pytest.mark.parametrize("values", [(), ("a",), ("a", "", "c'\\"), ("", "")], ids=repr)
def test_the_database_takes_apart_what_was_packed(cluster: Cluster, values: Sequence[str]) -> None:
    """Value by value; of none at all there are none."""
    query = "SELECT string_to_array(%s, chr(31))"
    with closing(raw_connection(cluster.url("postgres"), statement_timeout_s=5)) as connection:
        row = connection.execute(query, (packed(values),)).fetchone()
    assert row == (list(values),)


@pytest.mark.parametrize("values", [("\x1f",), ("a", "b\x1fc"), ("\x1f", "")], ids=repr)
def test_a_value_with_the_separator_in_it_is_not_packed(values: Sequence[str]) -> None:
    """It would shift those behind it."""
    with pytest.raises(ValueError, match="separator"):
        packed(values)


def test_who_asks_again_at_once_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the end of an attempt on, whatever came of it, until its time is over."""
    attempts = Attempts(LookupError)
    with pytest.raises(OSError, match="away"), attempts.one():
        raise OSError("away")
    with pytest.raises(LookupError, match="a moment ago"), attempts.one():
        pytest.fail("it was tried again")
    monkeypatch.setattr(postgres_lines, "_RECONNECT_EVERY_S", 0.0)
    attempts = Attempts(LookupError)
    for _ in range(2):
        with attempts.one():
            pass
