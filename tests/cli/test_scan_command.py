"""`hourpass scan`: what it says, and how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from hourpass.oauth.secret_format import generate
from support.installation import Finished, clean_environ

ROOT = Path(__file__).resolve().parents[2]


def scan(*arguments: str, given: bytes = b"") -> Finished:
    """Run it as somebody would who has no server."""
    done = subprocess.run(
        [sys.executable, "-m", "hourpass", "scan", *arguments],
        env=clean_environ(),
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_clean_folder_is_status_0_and_no_word(tmp_path: Path) -> None:
    """As a hook wants it."""
    (tmp_path / "a").write_text("hps_ is how they begin\n")
    assert scan(str(tmp_path)) == Finished(0, "", "")


def test_a_secret_is_status_1_and_is_not_shown_whole(tmp_path: Path) -> None:
    """Where it is, and what to do; on a terminal nothing of a file's name can play tricks."""
    secret, other = generate(), generate()
    (tmp_path / "a\x1b[31m.env").write_text(f"one\nSECRET={secret}\n")
    (tmp_path / "b").write_text(other)
    done = scan(str(tmp_path))
    assert done.status == 1
    first, second = done.stdout.splitlines()
    assert first.endswith(f"[31m.env:2: {secret[:7]}…")
    assert second == f"{tmp_path}/b:1: {other[:7]}…"
    assert "\x1b" not in done.stdout
    assert done.stderr.startswith("hourpass: 2 client secrets are in these files: rotate")
    assert secret[7:] not in done.stdout + done.stderr


def test_for_scripts_and_from_a_pipe(tmp_path: Path) -> None:
    """JSON, and standard input."""
    secret = generate()
    done = scan("-", "--json", given=f"x {secret}".encode())
    assert done.status == 1
    assert done.json() == [{"path": "-", "line": 1, "shown": f"{secret[:7]}…"}]
    done = scan("--json", str(tmp_path))
    assert (done.status, done.json()) == (0, [])


def test_what_cannot_be_read_is_told_and_never_counts_as_clean(tmp_path: Path) -> None:
    """Nor does a command without a path."""
    done = scan(str(tmp_path / "gone"))
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == f"hourpass: cannot read {tmp_path}/gone: No such file or directory\n"
    assert scan().status == 2


def test_a_commit_hook_finds_the_command(tmp_path: Path) -> None:
    """The hook's entry with the files of a commit, as pre-commit calls it."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (tmp_path / "a").write_text(generate())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*hook["entry"].split(), "a"],
        env={**clean_environ(), "PATH": path},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
