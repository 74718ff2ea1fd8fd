"""Reading settings from given variables and a given table, and nothing else."""

import base64
from pathlib import Path

import pytest

from hourpass.server import config
from hourpass.server.config import Settings, SettingsFault

KEY = base64.b64encode(bytes(range(32))).decode()
POSTGRES = "postgresql://hourpass:hidden@db.example/hourpass"


def load(tmp_path: Path, table: str | None = None, **environ: str) -> Settings:
    """The settings from these variables, without their prefix, and this `[hourpass]` table."""
    variables = {"HOURPASS_DATA_DIR": str(tmp_path / "data")}
    variables |= {f"HOURPASS_{name}": value for name, value in environ.items()}
    if table is not None:
        file = tmp_path / "config.toml"
        file.write_text(table if "hourpass" in table else f"[hourpass]\n{table}")
        variables["HOURPASS_CONFIG"] = str(file)
    return config.load(variables)


def faults(tmp_path: Path, table: str | None = None, **environ: str) -> list[str]:
    """What is wrong with them."""
    with pytest.raises(SettingsFault) as refused:
        load(tmp_path, table, **environ)
    assert str(refused.value) == "; ".join(refused.value.faults)
    return refused.value.faults
