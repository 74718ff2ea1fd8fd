"""`hourpass demo`: what it prints works as printed, and nothing of it is left afterwards."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.installation import clean_environ
from support.ports import free_port

pytestmark = pytest.mark.xdist_group("demo")  # one demo for all, in one worker

_LAST_LINE = "Ctrl-C stops everything and deletes it."
_LIMIT_S = 60.0


class Demo:
    """A running demo, on ports and in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.api_port = free_port(), free_port()
        self._output = folder / "output"
        self.process = start(
            folder, ("--port", str(self.port), "--api-port", str(self.api_port)), self._output
        )
        wait_for(lambda: self.process.poll() is not None or _LAST_LINE in self.output)
        self.children = children_of(self.process.pid)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def lines_to_paste(self) -> list[str]:
        """The commands that it tells the reader to paste."""
        wanted = ("TOKEN=", "curl ")
        return [line for line in self.output.splitlines() if line.startswith(wanted)]


def start(folder: Path, options: tuple[str, ...], output: Path) -> "subprocess.Popen[bytes]":
    """`hourpass demo` as whoever tries Hourpass runs it; its temporary files are in `folder`."""
    environ = {**clean_environ(), "TMPDIR": str(folder)}
    environ["HOURPASS_PORT"] = "1"  # a setting of some other installation: of no effect
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "hourpass", "demo", *options],
            env=environ,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(holds: Callable[[], bool]) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + _LIMIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for the tests that only look at it."""
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(30)


def test_the_three_lines_do_what_they_say(demo: Demo) -> None:
    """A token, customers, and a refusal that names the scope that is missing."""
    assert demo.process.poll() is None, demo.output
    lines = demo.lines_to_paste()
    assert len(lines) == 3
    assert "Reporting dashboard" in demo.output
    assert "customers:read bookings:read" in demo.output

    pasted = subprocess.run(
        ["bash"], input="\n".join(lines).encode(), capture_output=True, timeout=60, check=True
    )

    token, customers, refusal = pasted.stdout.decode().splitlines()
    assert [part.isascii() for part in token.split(".")] == [True] * 3
    assert {"id", "name", "email"} <= json.loads(customers)["data"][0].keys()
    refused = json.loads(refusal)
    assert refused["error"] == "insufficient_scope"
    assert "profile:read" in refused["error_description"]


@pytest.mark.spec("threats", "14", "Show-once is once")
def test_no_secret_is_on_the_screen(demo: Demo) -> None:
    """The secrets are in files that nobody else can read."""
    assert "hps_" not in demo.output
    files = list(demo.folder.glob("hourpass-demo-*/*.json"))
    assert len(files) == 3
    for file in files:
        assert json.loads(file.read_text()).keys() == {"client_id", "client_secret"}
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_port_in_use_is_told(demo: Demo, tmp_path: Path) -> None:
    """One line that names the option, exit status 1; the demo that is there goes on."""
    port = free_port()
    for options, words in (
        (("--port", str(demo.port)), "--port"),
        (("--port", str(port), "--api-port", str(demo.api_port)), "--api-port"),
    ):
        output = tmp_path / "output"
        process = start(tmp_path, options, output)
        assert process.wait(_LIMIT_S) == 1
        (line,) = output.read_text().splitlines()
        assert line.startswith("hourpass: port ")
        assert line.endswith(f"choose another with {words}")
        assert list(tmp_path.iterdir()) == [output]
    assert demo.process.poll() is None


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Exit status 0; no process and no file of the demo is left."""
    demo = Demo(tmp_path)
    assert len(demo.children) == 2
    demo.process.send_signal(signal.SIGINT)

    assert demo.process.wait(_LIMIT_S) == 0
    assert demo.output.splitlines()[-1] == "Stopped; everything the demo made is gone."
    assert [path.name for path in demo.folder.iterdir()] == ["output"]
    for child in demo.children:
        assert not Path(f"/proc/{child}").exists()
    for port in (demo.port, demo.api_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_a_demo_whose_server_ends_says_so(tmp_path: Path) -> None:
    """Exit status 1, and the rest is taken down too."""
    demo = Demo(tmp_path)
    os.kill(demo.children[0], signal.SIGKILL)

    assert demo.process.wait(_LIMIT_S) == 1
    assert "hourpass: one of its servers ended" in demo.output
    assert not Path(f"/proc/{demo.children[1]}").exists()
    assert [path.name for path in demo.folder.iterdir()] == ["output"]
