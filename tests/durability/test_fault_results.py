"""What `faults/run` makes of what the callers wrote down."""

from faults.outcome import Outcome, page
from faults.programme import PROGRAMME, Fault
from faults.windows import window


def good(at: float, took: float = 0.0) -> dict[str, object]:
    return {"at": at, "took": took, "jti": "j"}


def bad(at: float, took: float = 0.0) -> dict[str, object]:
    return {"at": at, "took": took, "status": 503}


def test_the_times_of_an_outage() -> None:
    """Errors last from the first failed request's begin to the first good answer after the last."""
    seen = window([good(1), good(2), bad(4.5, took=2), good(5), bad(6), good(9), good(9.5)])

    assert (seen.answered, seen.failed) == (5, 2)
    assert seen.errors_s == 9 - 2.5
    assert seen.gap_s == 4
    assert seen.slowest_s == 2


def test_without_an_error_there_is_no_time_of_errors() -> None:
    """Nor is there a gap when nothing was asked."""
    assert window([good(1), good(1.5)]).errors_s == 0
    assert window([]).gap_s == 0


def test_the_page_leaves_nothing_out() -> None:
    """What was lost, what did not recover and what was not run are in it as clearly as the rest."""
    outcomes = [
        Outcome(fault="a", database="SQLite", tokens=1000, losses=("one",), recovery="restart"),
        Outcome(fault="b", database="PostgreSQL", problem="no good answers after 60 s"),
        Outcome(fault="c", database="", not_run="root, etcd"),
    ]
    text = page(outcomes, {"Hourpass": "1.2.3"})

    assert "| a | SQLite | 1,000 | 0 | **1** | – | – | – | restart |" in text
    assert "**no: no good answers after 60 s**" in text
    assert "not run: needs root, etcd" in text
    assert "| Hourpass | 1.2.3 |" in text
    assert [outcome.is_good for outcome in outcomes] == [False, False, True]


def test_what_a_fault_needs_is_looked_for() -> None:
    """A program that is not there is named; every fault has a name of its own."""
    fault = Fault(name="x", title="x", run=PROGRAMME[0].run, needs=("python3", "no-such-program"))

    assert fault.missing() == ["no-such-program"]
    assert len({fault.name for fault in PROGRAMME}) == len(PROGRAMME)
