"""wrk against a URL, read back as numbers."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
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


def request(method: str, path: str, headers: Mapping[str, str], body: str = "") -> str:
    """A request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", body])


def write(file: Path, requests: Iterable[str]) -> Path:
    """A file that requests.lua reads; it may hold credentials."""
    file.touch(mode=0o600)
    file.write_text("\0".join(requests), "ascii")
    return file


def token_requests(credentials: Path) -> Path:
    """A token request for each pair (`base64`, a line each) in a file of credentials."""
    file = credentials.with_name(f"{credentials.name}.requests")
    if not file.exists() or file.stat().st_mtime_ns < credentials.stat().st_mtime_ns:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = "grant_type=client_credentials"
        each = (
            request("POST", "/token", {**form, "Authorization": f"Basic {pair}"}, body)
            for pair in credentials.read_text("ascii").split()
        )
        write(file, each)
    return file


def tokens(
    url: str, credentials: Path, *, connections: int, seconds: int, pinned: bool
) -> Measured:
    """POST to the token endpoint for `seconds`; the load is on the second core when `pinned`."""
    requests = token_requests(credentials)
    return send(url, requests, connections=connections, seconds=seconds, pinned=pinned)


def send(
    url: str, requests: Path, *, connections: int, seconds: int, pinned: bool = True
) -> Measured:
    """The requests of a file in turn for `seconds`; anything but a 2xx counts as failed."""
    command = [
        *(["taskset", "-c", "1"] if pinned else []),
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s"),
        *("-s", str(HERE / "requests.lua"), url, "--", str(requests)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
    return Measured(**json.loads(line.removeprefix("JSON ")))


def missing_programs() -> list[str]:
    """What has to be installed before anything can be measured."""
    return [name for name in ("wrk", "taskset") if shutil.which(name) is None]
