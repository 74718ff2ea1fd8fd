"""`hourpass serve`: what keeps a server from starting, said in one line each."""

import socket
from pathlib import Path

import pytest
from command_outcomes import each, lines_of_refusal, refusal, wrong_usage

from support.installation import MASTER_KEY, Finished, Installation


@pytest.mark.spec("contract", "Settings", "All faults are listed together at start")
def test_all_settings_faults_are_listed(tmp_path: Path, sqlite_installation: Installation) -> None:
    """Exit status 2, a line for each; nothing is made, and no secret is in the lines."""
    file = tmp_path / "settings.toml"
    file.write_text('[hourpass]\nlog_level = "chatty"\nsecure = true\n')
    folder = tmp_path / "never made"
    environ = {
        "HOURPASS_CONFIG": str(file),
        "HOURPASS_DATA_DIR": str(folder),
        "HOURPASS_DATABASE_URL": "mysql://root:hunter2@db/hourpass",
        "HOURPASS_ISSUER": "http://auth.example.com/",
        "HOURPASS_MASTER_KEY": "hunter2",
        "HOURPASS_PORT": "eighty",
        "HOURPASS_WORKERS": "0",
        "HOURPASS_TRUSTED_PROXIES": "10.0.0.0/8, proxy",
        "HOURPASS_SIGNING_ALGORITHM": "HS256",
        "HOURPASS_KEY_PERIOD_DAYS": "0",
        "HOURPASS_TLS_CERT_FILE": str(tmp_path / "cert.pem"),
        "HOURPASS_LIMITS_URL": "redis://:hunter2@localhost/hunter2",
    }

    outcomes = each(sqlite_installation, [("serve",), ("clients", "list")], **environ)

    for outcome in outcomes:
        lines = lines_of_refusal(outcome, status=2)
        named = {line.partition(":")[0] for line in lines}
        assert named == environ.keys() - {"HOURPASS_CONFIG", "HOURPASS_DATA_DIR"} | {
            "HOURPASS_LOG_LEVEL",
            "[hourpass] secure",
        }
        assert "hunter2" not in outcome.stderr
    assert not folder.exists()


def test_settings_that_do_not_go_together_are_all_listed(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """A public address without an issuer, half a TLS pair, PostgreSQL without a master key."""
    certificate = tmp_path / "cert.pem"
    certificate.write_text("")
    url = "postgresql://hourpass@localhost/hourpass"

    def serve(**environ: str) -> Finished:
        return sqlite_installation.command("serve", environ=environ)

    together = serve(
        HOURPASS_HOST="0.0.0.0",
        HOURPASS_TLS_CERT_FILE=str(certificate),
        HOURPASS_DATABASE_URL=url,
        HOURPASS_MASTER_KEY="",
    )
    files = serve(
        HOURPASS_CONFIG=str(tmp_path / "absent.toml"),
        HOURPASS_MASTER_KEY="",
        HOURPASS_MASTER_KEY_FILE=str(tmp_path / "absent.key"),
    )
    both = serve(HOURPASS_MASTER_KEY_FILE=str(certificate))

    issuer, tls, master_key = lines_of_refusal(together, status=2)
    assert issuer.startswith("HOURPASS_ISSUER: needed, the public base URL")
    assert [tls, master_key] == [
        "HOURPASS_TLS_CERT_FILE and HOURPASS_TLS_KEY_FILE go together",
        "HOURPASS_MASTER_KEY: required with PostgreSQL; `hourpass keys new-master` prints one",
    ]
    config, key = lines_of_refusal(files, status=2)
    assert config == f"HOURPASS_CONFIG: there is no file {tmp_path / 'absent.toml'}"
    assert key.startswith(
        f"HOURPASS_MASTER_KEY_FILE: cannot read the file {tmp_path / 'absent.key'}: No"
    )
    assert refusal(both, status=2) == (
        "HOURPASS_MASTER_KEY_FILE: set this or HOURPASS_MASTER_KEY, not both"
    )


@pytest.mark.spec("contract", "Settings", "above 1 only with PostgreSQL")
def test_workers_above_one_need_postgresql(sqlite_installation: Installation) -> None:
    """Told with what to do; the option goes before the setting."""
    option, setting = (
        sqlite_installation.command(*words, environ=environ)
        for words, environ in (
            (("serve", "--workers", "2"), {"HOURPASS_WORKERS": "1"}),
            (("serve",), {"HOURPASS_WORKERS": "2"}),
        )
    )

    assert refusal(option, status=2) == refusal(setting, status=2)
    assert refusal(option, status=2) == (
        "HOURPASS_WORKERS: above 1 only with PostgreSQL, since one process serves an SQLite file; "
        "set HOURPASS_DATABASE_URL to a postgresql:// URL, or take 1 worker"
    )
    assert "Usage: " in wrong_usage(sqlite_installation.command("serve", "--workers", "0"))


def test_a_port_in_use_is_told(sqlite_installation: Installation) -> None:
    """Exit status 1, and which settings choose another."""
    with socket.create_server(("127.0.0.1", sqlite_installation.port)):
        refused = sqlite_installation.command("serve", environ={"HOURPASS_LOG_LEVEL": "error"})

    line = refusal(refused)
    assert line.startswith(f"cannot listen on 127.0.0.1 port {sqlite_installation.port}: ")
    assert line.endswith("set HOURPASS_HOST and HOURPASS_PORT")


@pytest.mark.spec("contract", "Credentials", "a database whose key is missing or wrong is refused")
def test_a_missing_or_wrong_master_key_is_told(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """The embedded default makes its key once, with the database, and never for an old one."""
    run, data = sqlite_installation.command, tmp_path / "own"
    own = {
        "HOURPASS_DATA_DIR": str(data),
        "HOURPASS_DATABASE_URL": "",
        "HOURPASS_MASTER_KEY": "",
    }
    assert run("clients", "list", environ=own).status == 0
    key = data / "master.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700

    content = key.read_text()
    key.unlink()
    missing = refusal(run("serve", environ=own))
    assert missing.startswith(f"{key} is missing and the database has keys sealed under it")
    assert not key.exists()
    key.write_text("not a key\n")
    assert refusal(run("serve", environ=own)).startswith(f"{key} cannot be read: a master key is")
    wrong = run("serve", environ={**own, "HOURPASS_MASTER_KEY": MASTER_KEY})
    assert "the master key does not open this database's keys" in refusal(wrong)
    key.write_text(content)
    assert run("clients", "list", environ=own).status == 0


def test_a_bad_catalogue_keeps_the_server_from_starting(sqlite_installation: Installation) -> None:
    """What the file says wrong is told, and the catalogue stays what it was."""
    before = sqlite_installation.context.catalogue()
    sqlite_installation.catalogue.write_text('[[api]]\nkey = "bookings"\nname = "Bookings API"\n')

    lines = lines_of_refusal(sqlite_installation.command("serve"))

    file = sqlite_installation.catalogue
    assert lines == [
        f"{file}: api bookings: identifier is missing",
        f"{file}: api bookings: needs at least one [[api.scope]]",
    ]
    assert sqlite_installation.context.catalogue() == before


def test_a_url_that_libpq_cannot_read_is_a_fault_of_the_settings(
    sqlite_installation: Installation,
) -> None:
    """Exit status 2; the variable is named, the password in it is not shown."""
    sqlite_installation.close()
    urls = [
        "postgresql://hourpass:hunter2@127.0.0.1:x/hourpass",
        "postgresql://hourpass:hunter2@127.0.0.1/hourpass?x=y",
    ]
    for url in urls:
        serve = sqlite_installation.command("serve", environ={"HOURPASS_DATABASE_URL": url})
        restore = sqlite_installation.command(
            "restore", "--after", environ={"HOURPASS_OLD_DATABASE_URL": url}
        )

        problem = "libpq cannot read it: give postgresql://<user>@<host>/<database>"
        assert refusal(serve, status=2) == f"HOURPASS_DATABASE_URL: {problem}"
        assert refusal(restore, status=2) == f"HOURPASS_OLD_DATABASE_URL: {problem}"


def test_a_database_that_cannot_be_used_is_told(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """No database at all, a folder, nobody there, a URL that is none; no password is shown."""
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"this is no database, although it is long enough to be looked at" * 20)
    urls = {
        f"sqlite:///{garbage}": "the database is not available: file is not a database",
        f"sqlite:///{tmp_path}": "Is a directory",
        f"sqlite:///{garbage}/hourpass.db": f"cannot make the folder {garbage}",
        "postgresql://hourpass:hunter2@127.0.0.1:1/hourpass": "Connection refused",
    }

    outcomes = [
        sqlite_installation.command("serve", environ={"HOURPASS_DATABASE_URL": url}) for url in urls
    ]

    for outcome, words in zip(outcomes, urls.values(), strict=True):
        assert words in refusal(outcome)
        assert "hunter2" not in outcome.stderr


@pytest.mark.parametrize("unreadable", [False, True])
def test_tls_files_that_are_none_are_told(
    sqlite_installation: Installation, tmp_path: Path, unreadable: bool
) -> None:
    """A certificate that is none, or that cannot be read, ends the start with one line."""
    certificate = tmp_path / "cert.pem"
    certificate.write_text("no certificate")
    if unreadable:
        certificate = Path("/proc/self/mem")  # a file, and nobody can read its first page

    refused = sqlite_installation.command(
        "serve",
        environ={
            "HOURPASS_TLS_CERT_FILE": str(certificate),
            "HOURPASS_TLS_KEY_FILE": str(certificate),
            "HOURPASS_LOG_LEVEL": "error",
        },
    )

    line = refusal(refused)
    assert line.startswith("HOURPASS_TLS_CERT_FILE and _KEY_FILE cannot be used: ")
    assert ("Input/output error" in line) is unreadable
    assert line.endswith("; give PEM files that belong together and that this user can read")
