"""`hourpass demo`: everything at once, in a folder that is gone afterwards."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hourpass.server import config
from hourpass.server.audit.events import SYSTEM, Origin
from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.context import COMMAND_BUSY_TIMEOUT_S, open_context
from hourpass.server.operators import lifecycle as operators
from hourpass.server.rights import FULL

# Three examples of least privilege: each holds what its integration needs.
EXAMPLES = {
    "Reporting dashboard": ("customers:read", "bookings:read"),
    "CRM sync": ("customers:read", "profile:read", "profile:write"),
    "Attendance display": ("events:read", "events-register:read"),
}
_START_TIMEOUT_S = 20.0


class DemoFault(Exception):
    """The demo cannot start; the text says why and what to do."""


def demo(port: int, api_port: int) -> int:
    """Run until Ctrl-C or SIGTERM; the exit status."""
    console = Console(highlight=False)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="hourpass-demo-") as name:
        folder = Path(name)
        try:
            with _running(folder, port, api_port, console) as children:
                credentials, set_up = _create_examples(folder, port)
                _explain(console, credentials, set_up, port, api_port)
                while not stop.wait(0.2):
                    if any(child.poll() is not None for child in children):
                        raise DemoFault("one of its servers ended; its log is above")
        except DemoFault as fault:
            sys.stderr.write(f"hourpass: {fault}\n")
            return 1
    console.print("Stopped; everything the demo made is gone.")
    return 0


@contextlib.contextmanager
def _running(
    folder: Path, port: int, api_port: int, console: Console
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Server and example API as children of ours; both ended when the block is left."""
    for number, option in ((port, "--port"), (api_port, "--api-port")):
        _check_free(number, option)
    environ = _environment(folder, port, api_port)
    server = [sys.executable, "-m", "hourpass", "serve"]
    api = [
        *(sys.executable, "-m", "uvicorn", "hourpass.demo.serve:api"),
        *("--port", str(api_port), "--log-level", "warning", "--no-access-log"),
    ]
    children: list[subprocess.Popen[bytes]] = []
    try:
        with console.status("Starting the server and the example API …"):
            children.append(_start(server, environ))
            children.append(_start(api, environ))
            _wait_for(f"http://localhost:{port}/readyz", children)
            _wait_for(f"http://localhost:{api_port}/openapi.json", children)
        yield children
    finally:
        for child in children:
            # As Ctrl-C: after SIGTERM a server waits for the balancer in front, and there is none.
            child.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        for child in children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _start(command: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C reaches us alone and we end it in order."""
    return subprocess.Popen(  # noqa: S603  (our own words)
        command,
        env=environ,
        start_new_session=True,
        stdout=subprocess.DEVNULL,  # what is to be said on the terminal is said here
    )


def _environment(folder: Path, port: int, api_port: int) -> dict[str, str]:
    """Settings of the demo's own: whatever HOURPASS_ variables are set elsewhere stay out."""
    catalogue = resources.files("hourpass.demo").joinpath("hourpass.toml").read_text("utf-8")
    file = folder / "hourpass.toml"
    file.write_text(catalogue.replace("http://localhost:8081", f"http://localhost:{api_port}"))
    outside = {k: v for k, v in os.environ.items() if not k.startswith("HOURPASS_")}
    return {
        **outside,
        "HOURPASS_CONFIG": str(file),
        "HOURPASS_DATA_DIR": str(folder / "data"),
        "HOURPASS_PORT": str(port),
        "HOURPASS_LOG_LEVEL": "warning",
        "HOURPASS_DEMO_ISSUER": f"http://localhost:{port}",
        "HOURPASS_DEMO_AUDIENCE": f"http://localhost:{api_port}",
    }


def _create_examples(folder: Path, port: int) -> tuple[dict[str, Path], str]:
    """The example clients, each one's credentials in a file only we can read; and the
    link that makes the owner of the admin UI."""
    settings = config.load(
        {
            "HOURPASS_CONFIG": str(folder / "hourpass.toml"),
            "HOURPASS_DATA_DIR": str(folder / "data"),
            "HOURPASS_PORT": str(port),
        }
    )
    context = open_context(settings, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S)
    files = {}
    try:
        keyring = context.keyring()
        for name, scopes in EXAMPLES.items():
            new = NewClient(name=name, scopes=frozenset(scopes), description="Made by the demo")
            made = lifecycle.create(
                context.database, keyring, new, Origin(actor=SYSTEM, rights=FULL)
            )
            path = folder / (name.lower().replace(" ", "-") + ".json")
            path.touch(mode=0o600)
            credentials = {
                "client_id": made.client.client_id,
                "client_secret": made.secret.reveal(),
            }
            path.write_text(json.dumps(credentials))
            files[name] = path
        link = operators.make_set_up_link(context.database, Origin(actor=SYSTEM))
    finally:
        context.database.close()
    return files, link.url(settings.issuer)


def _explain(
    console: Console, files: dict[str, Path], set_up: str, port: int, api_port: int
) -> None:
    """What is running, where to look at it, and three lines to paste."""
    dashboard = files["Reporting dashboard"]
    console.print()
    console.print(Text("Hourpass is running.", style="bold green"))
    console.print(f"  Server       http://localhost:{port}")
    console.print(f"  Example API  http://localhost:{api_port}  (its pages: /docs)")
    console.print()
    console.print(Text("Open this in a browser to become the owner of its admin UI:", style="bold"))
    sys.stdout.write(set_up + "\n")  # by itself: Rich would wrap it
    console.print()
    console.print(Text("Three API clients, each with just the scopes it needs:", style="bold"))
    for name, path in files.items():
        console.print(f"  {name:20} {' '.join(EXAMPLES[name])}", soft_wrap=True)
        console.print(f"  {'':20} credentials in {path}", style="dim", soft_wrap=True)
    console.print()
    lines = {
        "1. Get a token, as the reporting dashboard (good for one hour):": (
            f"TOKEN=$(curl -s localhost:{port}/token -H 'Content-Type: application/json' "
            f'-d @{dashboard} | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\'); echo $TOKEN'
        ),
        "2. A call that its scopes grant:": (
            f'curl -s localhost:{api_port}/customers -H "Authorization: Bearer $TOKEN"; echo'
        ),
        "3. A call that they do not, refused with the scope that is missing:": (
            f"curl -s localhost:{api_port}/customer/1001/profile "
            '-H "Authorization: Bearer $TOKEN"; echo'
        ),
    }
    console.print(Text("Paste these into another terminal:", style="bold"))
    for title, line in lines.items():
        console.print(Text(title, style="dim"))
        sys.stdout.write(line + "\n")
        console.print()
    console.print("Ctrl-C stops everything and deletes it.")
    sys.stdout.flush()


def _check_free(port: int, option: str) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise DemoFault(
            f"port {port} cannot be used ({reason}); choose another with {option}"
        ) from None


def _wait_for(url: str, children: list[subprocess.Popen[bytes]]) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if any(child.poll() is not None for child in children):
            raise DemoFault("a server could not start; its log is above")
        try:
            with direct.open(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise DemoFault(f"{url} did not answer within {_START_TIMEOUT_S:.0f} seconds")
