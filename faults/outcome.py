"""What a fault showed, and the page that lists them all."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from faults.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row of the results."""

    fault: str
    database: str
    tokens: int = 0
    deeds: int = 0
    losses: tuple[str, ...] = ()
    """What had been acknowledged and is not there; has to be empty."""
    window: Window | None = None
    recovery: str = ""
    problem: str = ""
    """What should have come and did not."""
    not_run: str = ""
    """What this fault needs and the machine has not."""
    is_cut_short: bool = False
    """The fault ended by an exception: rows that it would have had are missing."""

    @property
    def is_good(self) -> bool:
        """Whether it showed what it should; what was not run shows nothing."""
        return not (self.losses or self.problem or self.not_run)


def exit_status(outcomes: Iterable[Outcome]) -> int:
    """0 when all is good, 1 when something is not, 2 when that is only that it was not run."""
    bad = [outcome for outcome in outcomes if not outcome.is_good]
    if not bad:
        return 0
    return 2 if all(outcome.not_run for outcome in bad) else 1


def is_whole(outcomes: Iterable[Outcome]) -> bool:
    """Whether there is a row for each thing that was to be done, good or not."""
    return not any(outcome.not_run or outcome.is_cut_short for outcome in outcomes)


_LEGEND = """
What callers had a good answer for: *tokens*, and *deeds* (a client created, its secret rotated, its
scopes changed, its tokens revoked; suspended, activated, deleted), all done by a program that calls
the management API with a token: a deed counts when its answer was 2xx, and a creation that got no
answer is repeated with its `Idempotency-Key`. *Lost* is what of that was not there afterwards: each
client, each secret, and exactly one audit event for each token and each deed are looked for. No
caller may get an answer that a fault does not excuse, such as a 500. *Errors* is the time from the
first request that failed to the first good answer after the last that did; *gap* the longest time
in which nobody got a token; *slowest* the answer, good or not, that took longest. All times are in
seconds; of a fault that was caused several times they are the longest. Clocks that jump have none.
"""


def page(outcomes: Iterable[Outcome], versions: Mapping[str, str], commit: str) -> str:
    """The results in Markdown, whole: nothing is added to it by hand.

    `commit` is what was run; empty when nobody knows.
    """
    made = (
        f"Written by `faults/run` (`make faults`) on {datetime.now(UTC):%Y-%m-%d}"
        f"{f', of commit {commit}' if commit else ''},\non {_machine()}."
    )
    lines = [
        "# Faults",
        "",
        made,
        _LEGEND,
        "| fault | database | tokens | deeds | lost | errors | gap | slowest | well again |",
        "|---|---|---|---|---|---|---|---|---|",
        *map(_row, outcomes),
        "",
        "| program | version |",
        "|---|---|",
        *(f"| {name} | {version} |" for name, version in versions.items()),
    ]
    return "\n".join(lines) + "\n"


def _row(outcome: Outcome) -> str:
    if outcome.not_run:
        needs = f"not run: needs {outcome.not_run}"
        return f"| {outcome.fault} | {outcome.database} | | | | | | | {needs} |"
    seen = outcome.window
    times = ["–"] * 3
    if seen is not None:
        times = [f"{value:.1f}" for value in (seen.errors_s, seen.gap_s, seen.slowest_s)]
    ending = f"**no: {outcome.problem}**" if outcome.problem else outcome.recovery
    cells = [
        outcome.fault,
        outcome.database,
        f"{outcome.tokens:,}",
        f"{outcome.deeds:,}",
        f"**{len(outcome.losses)}**",
        *times,
        ending,
    ]
    return f"| {' | '.join(cells)} |"


def _machine() -> str:
    """What it is, not whose."""
    model = platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    release = ".".join(platform.release().split(".")[:2])
    memory = next((line.split()[1] for line in _lines("/proc/meminfo")), "0")
    cores = sum(line.startswith("processor") for line in _lines("/proc/cpuinfo"))
    return f"{cores} cores ({model}), {int(memory) // 1_048_576} GB, Linux {release}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
