"""The alerts, by Prometheus' own program."""

import shutil
import subprocess
from pathlib import Path

from support.proxies.process import DEPLOY, program

RULES = DEPLOY / "prometheus" / "hourpass.rules.yml"
CASES = Path(__file__).with_name("alerts.yml")


def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """For a node that is gone, for all of them, and for the first fault of an endpoint."""
    promtool = program("promtool")
    for file in (RULES, CASES):
        shutil.copy(file, tmp_path)

    for command in (["check", "rules", RULES.name], ["test", "rules", CASES.name]):
        done = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
