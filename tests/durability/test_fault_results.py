"""What `faults/run` makes of what the callers wrote down."""

import subprocess
import sys
from pathlib import Path

import pytest
from faults.objectives import PAGE, RESULTS, ROOT
from faults.outcome import Outcome, exit_status, is_whole, page
from faults.programme import PROGRAMME, Fault
from faults.versions import commit
from faults.windows import Window, too_slow, window, worst


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


def test_checks_are_looked_at_like_tokens() -> None:
    """Whatever was not answered with a yes has failed."""
    seen = window([{"at": 1, "took": 0.5, "check": "verify"}, {**bad(2), "check": "verify"}])

    assert (seen.answered, seen.failed) == (1, 1)


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
    text = page(outcomes, {"Hourpass": "1.2.3"}, "abc1234 + changes")

    assert "| a | SQLite | 1,000 | 0 | **1** | – | – | – | restart |" in text
    assert "**no: no good answers after 60 s**" in text
    assert "not run: needs root, etcd" in text
    assert "| Hourpass | 1.2.3 |" in text
    assert "of commit abc1234 + changes," in text
    assert not any(outcome.is_good for outcome in outcomes)


GOOD = Outcome(fault="a", database="SQLite", recovery="restart")
LOST = Outcome(fault="a", database="SQLite", losses=("a token",))
STUCK = Outcome(fault="a", database="SQLite", problem="it stayed down")
NOT_RUN = Outcome(fault="a", database="", not_run="root")
CUT_SHORT = Outcome(fault="a", database="", problem="no such file", is_cut_short=True)


@pytest.mark.parametrize(
    ("outcomes", "status", "whole"),
    [
        ([GOOD, GOOD], 0, True),
        ([GOOD, LOST], 1, True),
        ([STUCK, GOOD], 1, True),
        ([GOOD, NOT_RUN], 2, False),
        ([NOT_RUN, LOST], 1, False),
        ([GOOD, CUT_SHORT], 1, False),
    ],
)
def test_what_was_not_run_is_no_success(
    outcomes: list[Outcome], status: int, *, whole: bool
) -> None:
    """It has a status of its own, and the results are not the whole programme's."""
    assert exit_status(outcomes) == status
    assert is_whole(outcomes) is whole


def test_an_incomplete_run_leaves_the_published_pages_alone(tmp_path: Path) -> None:
    """It says what it could not do, what that needs, and where the results are."""
    before = [path.read_bytes() for path in (RESULTS, PAGE)]
    environ = {"PYTHONPATH": f"{ROOT}/src:{ROOT}:{ROOT}/tests", "PATH": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "faults", "--only", "fsync-error"],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert "not run: needs strace" in done.stdout
    assert "faults/results-partial.md" in done.stdout
    assert "not run: needs strace" in RESULTS.with_name("results-partial.md").read_text()
    assert [path.read_bytes() for path in (RESULTS, PAGE)] == before


def test_the_commit_says_whether_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that nobody has committed is a change; outside a clone nothing is said."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert commit(tmp_path) == ""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "x")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "x@example.com")
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)

    clean = commit(tmp_path)
    (tmp_path / "new.py").touch()

    assert clean
    assert " " not in clean
    assert commit(tmp_path) == f"{clean} + changes"


def test_of_several_rounds_the_longest_times_count() -> None:
    """And all that was answered."""
    first = Window(answered=3, failed=1, errors_s=5, gap_s=1, slowest_s=2)
    second = Window(answered=4, failed=0, errors_s=1, gap_s=6, slowest_s=1)

    assert worst([first, second]) == Window(answered=7, failed=1, errors_s=5, gap_s=6, slowest_s=2)


def test_an_answer_that_comes_too_late_is_a_fault() -> None:
    """A database that hangs is a 503 in about two seconds."""
    assert too_slow(window([good(1), bad(4, took=2.4)])) == ""
    assert (
        too_slow(window([good(1), bad(4, took=2.6)])) == "an answer took 2.6 s, the most is 2.5 s"
    )


def test_what_a_fault_needs_is_looked_for() -> None:
    """A program that is not there is named; every fault has a name of its own."""
    fault = Fault(name="x", title="x", run=PROGRAMME[0].run, needs=("python3", "no-such-program"))

    assert fault.missing() == ["no-such-program"]
    assert len({fault.name for fault in PROGRAMME}) == len(PROGRAMME)
