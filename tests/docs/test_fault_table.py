"""The RPO/RTO table of docs/operate.md is what `faults/run` found."""

import pytest
from faults import objectives
from faults.outcome import Outcome, page
from faults.windows import Window

_FOUND = [
    Outcome(
        fault="kill -9 of the primary",
        database="PostgreSQL",
        tokens=4_200,
        deeds=30,
        window=Window(answered=4_230, failed=90, errors_s=7.25, gap_s=7.06, slowest_s=2.1),
        recovery="by itself",
    ),
    Outcome(fault="full disk", database="SQLite", losses=("a token",), problem="it stayed down"),
]
_COMMIT = "abc1234"


def test_a_row_for_each_fault_that_was_run() -> None:
    """With what was lost and how long nobody got a token; nothing of the other tables."""
    rows = objectives.table(
        page(_FOUND, {"patroni": "3.0.2", "etcd": "3.4"}, _COMMIT)
    ).splitlines()[2:]

    assert rows == [
        "| kill -9 of the primary | PostgreSQL | **0** | 7.1 s | by itself |",
        "| full disk | SQLite | **1** | – | **no: it stayed down** |",
    ]


def test_a_page_of_which_a_fault_was_not_run_is_refused() -> None:
    """A row that is missing would read as if nothing could happen there."""
    clock = Outcome(fault="clock", database="", not_run="faketime")
    with pytest.raises(ValueError, match="clock: not run: needs faketime"):
        objectives.table(page([*_FOUND, clock], {}, _COMMIT))


def test_a_page_without_the_table_is_refused() -> None:
    """Rather than an empty table, which would read like no faults at all."""
    with pytest.raises(ValueError, match="make faults"):
        objectives.table("# Faults\n")


def test_the_page_shows_the_last_results() -> None:
    """Until there are any, it says so."""
    found = objectives.MARKED.search(objectives.PAGE.read_text("utf-8"))
    assert found is not None
    shown = objectives.shown(objectives.RESULTS.read_text("utf-8"))
    assert f"{found[1]}{shown}{found[2]}" == found[0]
