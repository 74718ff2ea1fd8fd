"""What the files in deploy/ say, read back: unit files, and the settings that any of them names."""

import re
from pathlib import Path

from hourpass.server import config
from support.proxies.process import DEPLOY

_SETTING = re.compile(r"\bHOURPASS_([A-Z_]+)\b")


def known_settings() -> set[str]:
    """Every name that an environment may hold, the `…_FILE` forms and HOURPASS_CONFIG too."""
    names = {name.upper() for name in config.Settings.model_fields} - {"CONFIG_FILE"}
    files = {f"{name.upper()}_FILE" for name in ("master_key", "database_url", "limits_url")}
    return names | files | {"CONFIG"} | set(getattr(config, "_NOT_YET", ()))


def named_settings(text: str) -> set[str]:
    """The settings that a file names, in comments as well."""
    return set(_SETTING.findall(text))


def unit(name: str) -> list[tuple[str, str]]:
    """The lines of a unit file or a drop-in in deploy/systemd, in order: name and value."""
    return directives((DEPLOY / "systemd" / name).read_text("utf-8"))


def directives(text: str) -> list[tuple[str, str]]:
    """The lines `name=value` of a file of systemd or of an environment."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition("=") for line in lines if "=" in line and line[0] not in "#;"]
    return [(name, value) for name, _, value in pairs]


def values(lines: list[tuple[str, str]], name: str) -> list[str]:
    """All values of a directive; environment files and repeated lines add up."""
    return [value for found, value in lines if found == name]


def value(lines: list[tuple[str, str]], name: str) -> str:
    """The only value of a directive."""
    (only,) = values(lines, name)
    return only


def settings_files() -> list[Path]:
    """The files in deploy/ that set up the server itself."""
    folders = ("systemd", "container", "kubernetes")
    files = [path for folder in folders for path in (DEPLOY / folder).rglob("*")]
    return sorted(path for path in files if path.is_file())
