"""Which programs the results are of."""

import importlib.metadata
import platform
import re
import shutil
import subprocess
from pathlib import Path

from hourpass import __version__
from hourpass.server.db.sqlite import driver
from support import postgres


def versions() -> dict[str, str]:
    """By name; those that are not installed are left out."""
    found = {
        "Hourpass": __version__,
        "Python": platform.python_version(),
        "SQLite": str(driver.sqlite_version),
        "psycopg": importlib.metadata.version("psycopg"),
        "PostgreSQL, single": _said(postgres.program("postgres"), "--version"),
        "PostgreSQL, Patroni's": _said(_debian_postgres(), "--version"),
        "Patroni": _said("patroni", "--version"),
        "etcd": _said("etcd", "--version"),
        "HAProxy": _said("haproxy", "-v"),
    }
    return {name: version for name, version in found.items() if version}


def commit(folder: Path) -> str:
    """Which one is checked out there, and whether with changes; empty when that is no clone."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True)
        return done.stdout.decode().strip()

    try:
        head, changes = git("rev-parse", "--short", "HEAD"), git("status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head} + changes" if changes else head


def _debian_postgres() -> str:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return str(found[-1]) if found else "postgres"


def _said(program: str, option: str) -> str:
    where = shutil.which(program)
    if where is None:
        return ""
    done = subprocess.run([where, option], capture_output=True, check=False)
    match = re.search(r"\d+(\.\d+)+", done.stdout.decode())
    return match[0] if match else ""
