"""uvicorn beside Granian under the same app, for docs/adr/0001-http-server.md.

`python -m bench.http_servers`; Granian is installed for the run only.
"""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench import load
from bench.contestants import PIN, Contestant, start_program
from bench.populate import populate
from support.installation import Installation
from support.postgres import Cluster

HERE = Path(__file__).parent
SECONDS, ROUNDS = 4, 3


def main() -> None:
    """Print a line for each server, app, pinning and number of connections."""
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="hourpass-bench-"))
    cluster = Cluster(folder)
    try:
        library = folder / "granian"
        uv = str(Path(sys.executable).with_name("uv"))
        install = [uv, "pip", "install", "-q", "--python", sys.executable, "--target", str(library)]
        requirements = str(HERE / "peers" / "granian.txt")
        subprocess.run([*install, "--require-hashes", "-r", requirements], check=True)
        cluster.execute("create database hp")
        installations = {
            "sqlite": Installation(folder / "sqlite", f"sqlite:///{folder}/hp.db"),
            "postgresql": Installation(folder / "postgres", cluster.url("hp")),
        }
        for name, installation in installations.items():
            installation.apply_catalogue()
            populate(installation.context, 10_000, folder / f"credentials-{name}", keep=10_000)
            for pinned in (True, False):
                _compare(console, folder, library, name, installation, pinned=pinned)
    finally:
        cluster.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _compare(
    console: Console,
    folder: Path,
    library: Path,
    name: str,
    installation: Installation,
    *,
    pinned: bool,
) -> None:
    contestants: list[Contestant] = []
    for server in ("uvicorn", "granian"):
        command = [*(PIN if pinned else ()), sys.executable, "-m", "bench.http_servers", server]
        environ = {**installation.environ, "GRANIAN": str(library), "HOURPASS_LOG_LEVEL": "error"}
        contestants.append(start_program(server, command, environ))
    for connections in (1, 32, 128):
        figures: dict[str, list[load.Measured]] = {c.name: [] for c in contestants}
        for number in range(ROUNDS + 1):
            for contestant in contestants:
                measured = load.tokens(
                    contestant.url,
                    folder / f"credentials-{name}",
                    connections=connections,
                    seconds=SECONDS if number else 1,
                    pinned=pinned,
                )
                if number:
                    figures[contestant.name].append(measured)
        for server, runs in figures.items():
            rps, p99 = (median(getattr(run, what) for run in runs) for what in ("rps", "p99_ms"))
            how = "pinned" if pinned else "as users run it"
            console.print(
                f"{name}, {how}, {connections} connections: {server} {rps:,.0f}/s, p99 {p99:.1f} ms"
            )
    for contestant in contestants:
        contestant.stop()


def serve(server: str, port: int) -> None:
    """The real app on this installation, under one of the two servers."""
    from hourpass.server import config, context, http_server
    from hourpass.server.app import App

    app = App(context.open_context(config.load(), busy_timeout_s=1))
    if server == "uvicorn":
        http_server.run(app, http_server.listen("127.0.0.1", port), certificate=None, key=None)
        return
    import os

    import uvloop

    sys.path.insert(0, os.environ["GRANIAN"])
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    async def run() -> None:
        settings: Any = HTTP1Settings(header_read_timeout=10_000, max_buffer_size=16_384)
        embedded = Server(
            app,
            address="127.0.0.1",
            port=port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=4096,
            backpressure=20_000,
            log_enabled=False,
            http1_settings=settings,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, embedded.stop)
        await embedded.serve()

    uvloop.run(run())


if __name__ == "__main__":
    if len(sys.argv) > 2:
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        main()
