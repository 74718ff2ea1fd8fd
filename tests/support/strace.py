"""What a server did, system call by system call, in the order in which it finished."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WHOLE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)")
_BEGUN = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_ENDED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)")
CALLS = "pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync"
PREFIX = ("strace", "-f", "-qq", "-y", "-s", "16384", "-e", f"trace={CALLS}")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that has returned: its name, arguments as strace shows them, result."""

    name: str
    arguments: str
    result: int


def calls(trace: Path) -> Iterator[Call]:
    """The calls in a trace, each where it returned; interrupted lines are put together."""
    begun: dict[tuple[str, str], str] = {}
    for line in trace.read_text("latin-1").splitlines():
        if match := _WHOLE.match(line):
            yield Call(match[2], match[3], int(match[4]))
        elif match := _BEGUN.match(line):
            begun[match[1], match[2]] = match[3]
        elif match := _ENDED.match(line):
            start = begun.pop((match[1], match[2]), "")
            yield Call(match[2], start + match[3], int(match[4]))
