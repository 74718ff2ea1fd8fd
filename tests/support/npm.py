"""Other people's packages on Node, installed once for a test run."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.requirements import missing

_PROGRAMS = Path(__file__).parents[1] / "interoperability"


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the npm packages of the lock file and the scripts that use them."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing("node and npm")
    folder = tmp_path_factory.mktemp("npm")
    for file in (*_PROGRAMS.glob("package*.json"), *_PROGRAMS.glob("*.mjs")):
        shutil.copy(file, folder)
    install = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(install, cwd=folder, check=True, timeout=120)
    return folder
