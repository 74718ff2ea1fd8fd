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

    @property
    def is_good(self) -> bool:
        """Whether it showed what it should; what was not run shows nothing."""
        return not self.losses and not self.problem


_LEGEND = """
What callers had a good answer for: *tokens*, and *deeds* (a client created, its secret rotated,
suspended, activated, deleted). *Lost* is what of that was not there afterwards. *Errors* is the
time from the first request that failed to the first good answer after the last that did; *gap* the
longest time in which nobody got a token; *slowest* the answer, good or not, that took longest. All
times are in seconds.
"""


def page(outcomes: Iterable[Outcome], versions: Mapping[str, str]) -> str:
    """The results in Markdown."""
    made = (
        f"Written by `faults/run` (`make faults`) on {datetime.now(UTC):%Y-%m-%d}, on {_machine()}."
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
