"""The unit files: systemd takes them, they confine the server, and they fit its own numbers."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shipped_settings import directives, known_settings, named_settings, settings_files, unit, value
from shipped_settings import values as all_values

from hourpass.server.app import EXIT_BROKEN
from hourpass.server.http_server import GRACE_S
from support.installation import Installation, clean_environ
from support.proxies.process import DEPLOY, program

UNITS = ("hourpass.service", "hourpass-backup.service", "hourpass-backup.timer")
# Of 10, less is better; 9.6 without any of the lines.
MOST_EXPOSED = {"hourpass.service": 1.3, "hourpass-backup.service": 0.6}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they would be installed, with a program that is there."""
    stand_in = tmp_path / "hourpass"
    stand_in.symlink_to(sys.executable)
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace("/opt/hourpass/bin/hourpass", str(stand_in)))
    return tmp_path


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze"), "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("drop_ins", [(), ("postgresql.conf",), ("postgresql.conf", "tls.conf")])
def test_systemd_takes_the_units(installed: Path, drop_ins: tuple[str, ...]) -> None:
    """No unknown line, no bad value, with each drop-in as well."""
    folder = installed / "hourpass.service.d"
    folder.mkdir()
    for name in drop_ins:
        (folder / name).write_text((DEPLOY / "systemd" / name).read_text("utf-8"))

    units = [str(installed / name) for name in UNITS]
    done = _analyze("verify", "--man=no", "--recursive-errors=no", *units)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", MOST_EXPOSED)
def test_the_units_are_confined(installed: Path, name: str) -> None:
    """By systemd's own score, which each hardening line lowers."""
    done = _analyze("security", "--offline=true", str(installed / name))

    found = re.search(r"Overall exposure level .*: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= MOST_EXPOSED[name], done.stdout


def test_a_broken_disk_is_left_to_a_person() -> None:
    """Neither that nor wrong settings are healed by starting again; all else is."""
    service = unit("hourpass.service")

    assert value(service, "Restart") == "on-failure"
    assert value(service, "RestartPreventExitStatus").split() == ["2", str(EXIT_BROKEN)]
    assert value(service, "StartLimitIntervalSec") == "0"


def test_it_is_killed_only_when_its_grace_is_over() -> None:
    """Ten seconds for requests under way, then what is left of them is written."""
    service = unit("hourpass.service")

    assert int(value(service, "TimeoutStopSec")) >= GRACE_S + 10
    assert value(service, "KillSignal") == "SIGTERM"


def test_both_services_are_the_same_user_with_the_same_settings() -> None:
    """A backup by another user could not open the database."""
    server, backup = unit("hourpass.service"), unit("hourpass-backup.service")

    for name in ("User", "Group", "Environment", "EnvironmentFile", "UMask", "StateDirectoryMode"):
        assert value(server, name) == value(backup, name)
    user = value(server, "User")
    sysusers = (DEPLOY / "systemd" / "hourpass.sysusers").read_text("utf-8")
    assert re.search(rf"^u {user} - ", sysusers, re.MULTILINE)


def test_the_backup_line_makes_a_backup_and_drops_old_ones(
    sqlite_installation: Installation,
) -> None:
    """As systemd runs it: `%%` is a percent sign, `%S` the folder of state."""
    installation = sqlite_installation
    backups = installation.folder / "hourpass-backups"
    backups.mkdir()
    now = time.time()
    days_old = {
        "hourpass-20200101T000000Z.db": 2,
        ".hourpass-20200101T000000Z.db.0123456789ab": 2,
        "day-20200101.db": 8,
        "day-20200102.db": 6,
    }
    for name, days in days_old.items():
        (backups / name).touch()
        os.utime(backups / name, (now - days * 86400,) * 2)
    installation.create_client("customers:read")  # so that there is a database
    meaning = {"%": "%", "S": str(installation.folder)}
    for line in all_values(unit("hourpass-backup.service"), "ExecStart"):
        hourpass = Path(sys.executable).with_name("hourpass")
        command = line.replace("/opt/hourpass/bin/hourpass", str(hourpass))
        command = re.sub("%(.)", lambda sign: meaning[sign[1]], command)
        environ = {**clean_environ(), **installation.environ}
        subprocess.run(shlex.split(command), env=environ, check=True, capture_output=True)

    kept, of_day, made = sorted(backups.iterdir())
    assert re.fullmatch(r"hourpass-\d{8}T\d{6}Z\.db", made.name)
    assert kept.name == "day-20200102.db"
    assert re.fullmatch(r"day-\d{8}\.db", of_day.name)
    assert of_day.samefile(made)


def test_the_command_for_administrators_reads_the_settings_of_the_service(
    postgres_installation: Installation,
) -> None:
    """Those of the environment file, and with PostgreSQL the two secrets."""
    installation = postgres_installation
    etc = installation.folder / "etc"
    etc.mkdir()
    shutil.copy(DEPLOY / "systemd" / "hourpass.env", etc)
    (etc / "hourpass.toml").write_text(installation.catalogue.read_text())
    (etc / "master.key").write_text(installation.environ["HOURPASS_MASTER_KEY"])
    (etc / "database-url").write_text(installation.environ["HOURPASS_DATABASE_URL"])
    script = (DEPLOY / "systemd" / "hourpass-admin").read_text("utf-8")
    hourpass = str(Path(sys.executable).with_name("hourpass"))
    script = script.replace("/etc/hourpass", str(etc)).replace(
        "/opt/hourpass/bin/hourpass", hourpass
    )
    made = installation.create_client("customers:read")

    done = subprocess.run(
        ["sh", "-c", script, "hourpass-admin", "clients", "show", made.client_id, "--json"],
        env=clean_environ(),
        cwd=installation.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["client_id"] == made.client_id


@pytest.mark.parametrize("name", ["postgresql.conf", "tls.conf"])
def test_every_secret_that_is_handed_over_is_used(name: str) -> None:
    """Each credential has the setting that names its file, and no setting names another."""
    drop_in = unit(name)

    handed_over = {line.split(":")[0] for line in all_values(drop_in, "LoadCredential")}
    settings = dict(part.split("=") for part in value(drop_in, "Environment").split())
    assert {setting.removeprefix("%d/") for setting in settings.values()} == handed_over
    assert all(setting.endswith("_FILE") for setting in settings)


def test_the_environment_file_is_one_for_systemd() -> None:
    """Every line a setting, no quotes, no `export`."""
    text = (DEPLOY / "systemd" / "hourpass.env").read_text("utf-8")

    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [f"{name}={value}" for name, value in directives(text)] == lines
    assert all(re.fullmatch(r"HOURPASS_[A-Z_]+=[^\s'\"$]+", line) for line in lines)


@pytest.mark.parametrize("file", settings_files(), ids=lambda file: str(file.relative_to(DEPLOY)))
def test_every_setting_that_a_shipped_file_names_exists(file: Path) -> None:
    """Misspelled, it would do nothing."""
    assert named_settings(file.read_text("utf-8")) <= known_settings()
