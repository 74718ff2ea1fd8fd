"""Does what a Containerfile says to do, without a container engine and without rights.

    python tests/deploy/containerfile.py [FOLDER]

Each stage gets a folder of its own, in which COPY and RUN work; absolute paths of the image that
the file itself fills (/build, /opt/hourpass) are folders below it. The base image is this
machine: what a stage finds installed in it, and users, capabilities and layers, are not tried.
RUN lines that make users are left out, and said to be. Downloads the pinned packages.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "container" / "Containerfile"
_OURS = re.compile(r"(?<![\w/.])/(build|opt/hourpass)\b")
_NEEDS_ROOT = re.compile(r"\b(useradd|groupadd)\b")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its lines joined."""

    name: str
    argument: str


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Containerfile, in order, without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, argument = line.partition(" ")
        yield Instruction(name, argument)


def build(folder: Path) -> Path:
    """Run the first stage; the program that it installs."""
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    where, values = folder, dict[str, str]()
    stages = 0
    for step in instructions(FILE.read_text("utf-8")):
        match step.name:
            case "FROM":
                stages += 1
                if stages == 2:
                    return folder / "opt/hourpass/bin/hourpass"
            case "ARG":
                name, _, default = step.argument.partition("=")
                values[name] = os.environ.get(name, default)
            case "ENV":
                for pair in shlex.split(step.argument):
                    name, _, value = pair.partition("=")
                    for known, text in values.items():
                        value = value.replace(f"${{{known}}}", text)
                    environ[name] = value
            case "WORKDIR":
                where = folder / step.argument.lstrip("/")
                where.mkdir(parents=True)
            case "COPY":
                *sources, target = step.argument.split()
                for source in sources:
                    _copy(ROOT / source, where / target, into=target.endswith("/"))
            case "RUN" if _NEEDS_ROOT.search(step.argument):
                sys.stderr.write(f"left out: {step.argument}\n")
            case "RUN":
                sys.stderr.write(f"RUN {step.argument}\n")
                command = _OURS.sub(lambda found: f"{folder}/{found[1]}", step.argument)
                subprocess.run(["sh", "-ec", command], cwd=where, env=environ, check=True)
    raise ValueError(f"{FILE} has one stage only")


def _copy(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        return
    if into:
        target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


if __name__ == "__main__":
    made = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="hourpass-image-"))
    sys.stdout.write(f"{build(made.resolve())}\n")
