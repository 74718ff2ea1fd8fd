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


def tokens(
    url: str, credentials: Path, *, connections: int, seconds: int, pinned: bool
) -> Measured:
    """POST to the token endpoint for `seconds`; the load is on the second core when `pinned`."""
    return _wrk(url, "post.lua", credentials, connections, seconds, pinned)


def calls(url: str, call: Path, *, connections: int, seconds: int) -> Measured:
    """The same call of the management API (see call.lua) for `seconds`, from the second core."""
    return _wrk(url, "call.lua", call, connections, seconds, pinned=True)


def _wrk(
    url: str, script: str, file: Path, connections: int, seconds: int, pinned: bool
) -> Measured:
    command = [
        *(["taskset", "-c", "1"] if pinned else []),
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s"),
        *("-s", str(HERE / script), url, "--", str(file)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
    return Measured(**json.loads(line.removeprefix("JSON ")))


def missing_programs() -> list[str]:
    """What has to be installed before anything can be measured."""
    return [name for name in ("wrk", "taskset") if shutil.which(name) is None]
