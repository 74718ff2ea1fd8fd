"""wrk against a URL, read back as numbers."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of wrk."""

    rps: float
    requests: int
    non200: int
    errors: int
    p50_ms: float
    p99_ms: float


def wrk(
    url: str,
    credentials: Path,
    *,
    connections: int,
    seconds: int,
    pinned: bool,
    path: str = "/token",
) -> Measured:
    """POST to `path` for `seconds`; the load is on the second core when `pinned`."""
    command = [
        *(["taskset", "-c", "1"] if pinned else []),
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s"),
        *("-s", str(HERE / "post.lua"), url, "--", str(credentials), path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
    return Measured(**json.loads(line.removeprefix("JSON ")))


def missing_programs() -> list[str]:
    """What has to be installed before anything can be measured."""
    return [name for name in ("wrk", "taskset") if shutil.which(name) is None]
