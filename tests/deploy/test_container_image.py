"""The Containerfile, as far as it can be tried without a container engine.

`python tests/deploy/containerfile.py` runs its lines for real, downloads included.
"""

import json
import re
import shlex
from importlib.metadata import distribution
from pathlib import Path

import pytest
from containerfile import FILE, ROOT, Instruction, instructions
from packaging.requirements import Requirement
from shipped_settings import named_settings

from hourpass import __version__

STEPS = list(instructions(FILE.read_text("utf-8")))
_PIN = re.compile(r"^([a-z0-9-]+)(\[[a-z,]+\])?==([^ ;]+)", re.MULTILINE)


def _stages() -> list[list[Instruction]]:
    starts = [at for at, step in enumerate(STEPS) if step.name == "FROM"]
    ends = [*starts[1:], len(STEPS)]
    return [STEPS[start:end] for start, end in zip(starts, ends, strict=True)]


def _last(name: str) -> str:
    """The argument that counts in the image."""
    return [step.argument for step in _stages()[-1] if step.name == name][-1]


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text("utf-8")
    return {pin[1]: pin[3] for pin in _PIN.finditer(text)}


def _needed(extras: set[str]) -> set[str]:
    """Every distribution that the project with these extras brings in, on this machine."""
    found: set[str] = set()
    waiting = [("hourpass", extra) for extra in extras | {""}]
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(name)
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                normal = re.sub(r"[-_.]+", "-", requirement.name).lower()
                waiting += [(normal, wanted) for wanted in {*requirement.extras, ""}]
    return found - {"hourpass"}


def test_all_that_the_server_needs_is_pinned_and_nothing_of_the_tests() -> None:
    """With traces. The versions are those that the tests run with, each with its hashes."""
    pins, tested = _pins("server.txt"), _pins("dev.txt")

    assert _needed({"server", "otel"}) <= set(pins)
    assert pins.items() <= tested.items()
    assert _pins("build.txt").items() <= tested.items()
    assert not {"pytest", "uv", "httpx", "playwright"} & set(pins)


@pytest.mark.parametrize("name", ["server.txt", "build.txt"])
def test_pins_have_hashes_and_name_no_host(name: str) -> None:
    """Whoever mirrors the index need not change the file."""
    text = (ROOT / "requirements" / name).read_text("utf-8")

    for pin in text.split("\n\n")[0].replace("\\\n", " ").splitlines():
        assert pin.lstrip().startswith("#") or "--hash=sha256:" in pin
    assert re.search(r"://|--index|--find-links", text) is None


def test_every_file_that_is_copied_is_there_and_let_through() -> None:
    """By the ignore file, which lets nothing else through."""
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    copied = [
        source
        for step in STEPS
        if step.name == "COPY" and not step.argument.startswith("--from")
        for source in step.argument.split()[:-1]
    ]

    assert all((ROOT / source).exists() for source in copied)
    assert {Path(source).parts[0] for source in copied} == allowed


def test_the_image_runs_as_nobody_in_particular() -> None:
    """By number, so that Kubernetes can see that it is not root; the same in the manifests."""
    user, _, group = _last("USER").partition(":")

    assert (user, group) == ("65532", "65532")
    made = " ".join(step.argument for step in _stages()[-1] if step.name == "RUN")
    assert f"--uid {user}" in made
    deployment = ROOT / "deploy" / "kubernetes" / "serve" / "deployment.yaml"
    assert f"runAsUser: {user}" in deployment.read_text("utf-8")
    assert f"hourpass:{__version__} " in FILE.read_text("utf-8")


def test_no_shell_is_needed_to_run_it() -> None:
    """What is started is a list of words."""
    assert json.loads(_last("ENTRYPOINT")) == ["/opt/hourpass/bin/hourpass"]
    assert json.loads(_last("CMD")) == ["serve"]
    options, _, command = _last("HEALTHCHECK").partition(" CMD ")
    assert all(option.startswith("--") for option in options.split())
    program, _, script = json.loads(command)
    assert program == "/opt/hourpass/bin/python"
    compile(script, "HEALTHCHECK", "exec")


def test_nothing_is_installed_that_is_not_pinned() -> None:
    """Every `pip install` takes hashes, or files that are there."""
    commands = " && ".join(step.argument for step in STEPS if step.name == "RUN").split(" && ")
    installs = [command for command in commands if "pip install" in command]

    assert len(installs) == 3
    for command in installs:
        assert "--require-hashes" in command or {"--no-deps", "--no-index"} <= set(
            shlex.split(command)
        )
    assert "SECRET" not in " ".join(named_settings(FILE.read_text("utf-8")))


def test_instructions_are_read() -> None:
    """Comments left out, continued lines joined."""
    text = "# no\nFROM a AS b\nENV A=1 \\\n    B=2\n\nRUN x && y\n"

    assert [f"{step.name} {step.argument}" for step in instructions(text)] == [
        "FROM a AS b",
        "ENV A=1 B=2",
        "RUN x && y",
    ]
