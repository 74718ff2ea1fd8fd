"""The RPO/RTO table of docs/operate.md, out of faults/results.md: `python -m faults.objectives`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "faults" / "results.md"
PAGE = ROOT / "docs" / "operate.md"
NOT_RUN = "Not run yet: `make faults` writes the table.\n"
MARKED = re.compile(r"(<!-- faults -->\n).*?(<!-- /faults -->)", re.DOTALL)
_HEAD = (
    "| fault | database | acknowledged, lost | no tokens for | recovery |\n"
    "|---|---|---:|---:|---|\n"
)


def table(results: str) -> str:
    """What was lost (RPO) and for how long nobody got a token (RTO), a row for each fault run.

    `results` is the page that `faults/run` writes; ValueError when it has no such table, or a
    fault in it was not run: a row that is missing would read as if it could not happen.
    """
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in results.splitlines()
        if line.startswith("|")
    ]
    if not rows or not {"fault", "database", "lost", "gap", "well again"} <= set(rows[0]):
        raise ValueError("faults/results.md has no table of faults: run `make faults`")
    head = rows[0]
    lines = []
    for row in rows[2:]:
        if len(row) != len(head):
            break  # the next table
        found = dict(zip(head, row, strict=True))
        if found["well again"].startswith("not run"):
            raise ValueError(f"{found['fault']}: {found['well again']}")
        gap = found["gap"] if found["gap"] == "–" else f"{found['gap']} s"
        cells = (found["fault"], found["database"], found["lost"], gap, found["well again"])
        lines.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(lines)


def shown(results: str) -> str:
    """What the page shows: the table, or that there is none yet."""
    return table(results) if "| fault |" in results else NOT_RUN


def write() -> None:
    """Put the table between the marks of the page."""
    made = shown(RESULTS.read_text("utf-8"))
    text = PAGE.read_text("utf-8")
    PAGE.write_text(MARKED.sub(lambda found: found[1] + made + found[2], text), "utf-8")


if __name__ == "__main__":
    try:
        write()
    except (OSError, ValueError) as fault:
        sys.exit(f"faults.objectives: {fault}")
