"""Every fault in the settings: named by its variable, and all of them at once."""

from pathlib import Path

import pytest
from given_settings import KEY, POSTGRES, faults


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without a file, and a data directory of the test's own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOURPASS_PORT", "1")  # whoever reads the real environment is found out


FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "issuer no URL": ({"ISSUER": "auth.example.com"}, "ISSUER: give a URL such as"),
    "issuer another scheme": ({"ISSUER": "ftp://a.example"}, "ISSUER: give a URL such as"),
    "issuer without a host": ({"ISSUER": "https://"}, "ISSUER: give a URL such as"),
    "issuer with a bad bracket": ({"ISSUER": "https://[::1"}, "ISSUER: Invalid IPv6 URL"),
    "issuer with a bad port": ({"ISSUER": "https://a.example:99999"}, "ISSUER: Port out of range"),
    "issuer with a slash": ({"ISSUER": "https://a.example/"}, "ISSUER: remove the trailing /"),
    "issuer with a query": ({"ISSUER": "https://a.example?a"}, "without user, query and fragment"),
    "issuer with a fragment": ({"ISSUER": "https://a.example#"}, "without user, query and"),
    "issuer with a user": ({"ISSUER": "https://me@a.example"}, "without user, query and"),
    "issuer with a blank": ({"ISSUER": "https://a.example/a b"}, "ISSUER: give a URL without"),
    "issuer with a line end": ({"ISSUER": "https://a.example\n"}, "ISSUER: give a URL without"),
    "issuer outside ASCII": ({"ISSUER": "https://bücher.example"}, "ISSUER: give a URL without"),
    "issuer in plain http": ({"ISSUER": "http://a.example"}, "use https: plain http is only for"),
    "no issuer on an open address": ({"HOST": "0.0.0.0"}, "ISSUER: needed, the public base URL"),
    "no issuer on a name": ({"HOST": "auth.example.com"}, "ISSUER: needed, the public base URL"),
    "database of another kind": ({"DATABASE_URL": "mysql://a/b"}, "give sqlite:///<file> or"),
    "database no URL": ({"DATABASE_URL": "/var/lib/a.db"}, "give sqlite:///<file> or"),
    "sqlite without a file": ({"DATABASE_URL": "sqlite:///"}, "give sqlite:///<file> or"),
    "sqlite with options": ({"DATABASE_URL": "sqlite:///a?mode=ro"}, "give sqlite:///<file> or"),
    "sqlite in memory": ({"DATABASE_URL": "sqlite:///:memory:"}, "give sqlite:///<file> or"),
    "PostgreSQL with a bad port": (
        {"DATABASE_URL": "postgresql://u:hidden@h:x/db"},
        "DATABASE_URL: libpq cannot read it: give postgresql://<user>@<host>/<database>",
    ),
    "PostgreSQL with a bad bracket": (
        {"DATABASE_URL": "postgresql://u:hidden@[::1/db"},
        "DATABASE_URL: libpq cannot read it: give postgresql://",
    ),
    "PostgreSQL with an option that is none": (
        {"DATABASE_URL": "postgres://u:hidden@h/db?x=y"},
        "DATABASE_URL: libpq cannot read it: give postgresql://",
    ),
    "PostgreSQL without a key": ({"DATABASE_URL": POSTGRES}, "MASTER_KEY: required with Postgre"),
    "key no key": ({"MASTER_KEY": "hunter2"}, "MASTER_KEY: a master key is 32 random bytes"),
    "port no number": ({"PORT": "http"}, "PORT: Input should be a valid integer"),
    "port too small": ({"PORT": "0"}, "PORT: Input should be greater than or equal to 1"),
    "port too large": ({"PORT": "65536"}, "PORT: Input should be less than or equal to 65535"),
    "two workers on SQLite": ({"WORKERS": "2"}, "WORKERS: above 1 only with PostgreSQL, since one"),
    "no workers": ({"WORKERS": "0"}, "WORKERS: Input should be greater than or equal to 1"),
    "too many workers": ({"WORKERS": "257"}, "WORKERS: Input should be less than or equal to 256"),
    "proxy no network": ({"TRUSTED_PROXIES": "10.0.0.0/8,me"}, "TRUSTED_PROXIES: "),
    "proxy with host bits": ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "TRUSTED_PROXIES: "),
    "algorithm none": ({"SIGNING_ALGORITHM": "none"}, "SIGNING_ALGORITHM: Input should be 'ES256'"),
    "algorithm HS256": ({"SIGNING_ALGORITHM": "HS256"}, "SIGNING_ALGORITHM: Input should be"),
    "no key period": ({"KEY_PERIOD_DAYS": "0"}, "KEY_PERIOD_DAYS: Input should be greater than"),
    "events kept for no time": (
        {"AUDIT_RETENTION_DAYS": "0"},
        "AUDIT_RETENTION_DAYS: Input should be greater than or equal to 1",
    ),
    "log level": ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: Input should be 'debug', 'info'"),
    "certificate not there": (
        {"TLS_CERT_FILE": "no.pem"},
        "TLS_CERT_FILE: there is no file no.pem",
    ),
    "key not there": ({"TLS_KEY_FILE": "no.pem"}, "TLS_KEY_FILE: there is no file no.pem"),
    "certificate where nobody can look": ({"TLS_CERT_FILE": "x" * 300}, "TLS_CERT_FILE: "),
    "catalogue not there": ({"CATALOGUE": "no.toml"}, "CATALOGUE: there is no file no.toml"),
    "catalogue a folder": ({"CATALOGUE": "/"}, "CATALOGUE: there is no file /"),
    "configuration not there": ({"CONFIG": "no.toml"}, "CONFIG: there is no file no.toml"),
    "configuration where nobody can look": ({"CONFIG": "x" * 300}, "CONFIG: "),
    "key file not there": (
        {"MASTER_KEY_FILE": "no"},
        "MASTER_KEY_FILE: cannot read the file: No such",
    ),
    "key file a folder": (
        {"MASTER_KEY_FILE": "/"},
        "MASTER_KEY_FILE: cannot read the file /: Is a dir",
    ),
    "URL file empty": ({"DATABASE_URL_FILE": "/dev/null"}, "DATABASE_URL_FILE: /dev/null is empty"),
    "key and key file": (
        {"MASTER_KEY": KEY, "MASTER_KEY_FILE": "/dev/null"},
        "MASTER_KEY_FILE: set this or HOURPASS_MASTER_KEY, not both",
    ),
    "metrics on the same port": (
        {"METRICS_PORT": "9090", "PORT": "9090"},
        "METRICS_PORT and HOURPASS_PORT have to differ",
    ),
    "metrics port no number": ({"METRICS_PORT": "yes"}, "METRICS_PORT: Input should be a valid"),
    "metrics port too high": ({"METRICS_PORT": "65536"}, "METRICS_PORT: Input should be less than"),
    "limits of another kind": ({"LIMITS_URL": "memcached://x"}, "LIMITS_URL: give an address that"),
    "limits without a host": ({"LIMITS_URL": "redis://"}, "LIMITS_URL: give redis://<host>"),
    "limits that could wait": (
        {"LIMITS_URL": "redis://x?timeout=9"},
        "LIMITS_URL: the only options",
    ),
    "limits and their file": (
        {"LIMITS_URL": "redis://x", "LIMITS_URL_FILE": "/dev/null"},
        "LIMITS_URL_FILE: set this or HOURPASS_LIMITS_URL, not both",
    ),
    "leaks": ({"LEAKS": "ignore"}, "LEAKS: Input should be 'suspend' or 'alert'"),
}


@pytest.mark.spec("contract", "Settings", "All faults are listed together at start")
@pytest.mark.parametrize("named", FAULTS)
def test_each_fault_is_named_by_its_variable(tmp_path: Path, named: str) -> None:
    """One line, and only that one."""
    environ, said = FAULTS[named]
    (fault,) = faults(tmp_path, **environ)
    assert fault.startswith("HOURPASS_")
    assert said in fault
    assert "\n" not in fault
    assert "hidden" not in fault


TABLE_FAULTS: dict[str, tuple[str, str]] = {
    "unknown setting": ("colour = 1", "[hourpass] colour: there is no such setting"),
    "the file itself": ('config_file = "x"', "config_file is no setting"),
    "no table": ("hourpass = 7\n[x]", "[hourpass] has to be a table"),
    "not TOML": ("[hourpass", "config.toml: "),
    "number too long for Python": ("[hourpass]\nport = " + "9" * 5000, "config.toml: "),
    "nested too deep": ("[hourpass]\nport = " + "[" * 5000, "config.toml: "),
    "a date for a text": ("issuer = 1979-05-27", "HOURPASS_ISSUER: Input should be a valid string"),
    "a list for a number": ("port = [1]", "HOURPASS_PORT: Input should be a valid integer"),
    "a table for a file": ("catalogue = {}", "HOURPASS_CATALOGUE: Input is not a valid path"),
    "a number for a file of a key": (
        "master_key_file = 7",
        "cannot read the file: it has to name a file",
    ),
    "a NUL in a file name": ('master_key_file = "a\\u0000b"', "it has to name a file of text"),
    "a key and a key file": (
        f'master_key = "{KEY}"\nmaster_key_file = "/dev/null"',
        "[hourpass] master_key_file: set this or [hourpass] master_key, not both",
    ),
}


@pytest.mark.parametrize("named", TABLE_FAULTS)
def test_each_fault_in_the_file_is_named(tmp_path: Path, named: str) -> None:
    """As precisely as those in the environment."""
    table, said = TABLE_FAULTS[named]
    (fault,) = faults(tmp_path, table)
    assert said in fault


def test_a_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    """Neither as configuration nor as a secret."""
    file = tmp_path / "octets"
    file.write_bytes(b"\xff\xfe\x00")
    assert len(faults(tmp_path, CONFIG=str(file))) == 1
    (fault,) = faults(tmp_path, MASTER_KEY_FILE=str(file))
    assert "it has to name a file of text" in fault


def test_all_faults_are_listed_together(tmp_path: Path) -> None:
    """Values that are wrong alone, that do not go together, files, and what is not there yet."""
    found = faults(
        tmp_path,
        "colour = 1",
        ISSUER="http://a.example",
        DATABASE_URL=POSTGRES,
        PORT="x",
        LOG_LEVEL="loud",
        TLS_CERT_FILE="/dev/null/no",
        MASTER_KEY_FILE="no",
        LIMITS_URL="redis:/x",
        CATALOGUE="no.toml",
    )
    assert sorted(fault.partition(":")[0] for fault in found) == [
        "HOURPASS_CATALOGUE",
        "HOURPASS_ISSUER",
        "HOURPASS_LIMITS_URL",
        "HOURPASS_LOG_LEVEL",
        "HOURPASS_MASTER_KEY",
        "HOURPASS_MASTER_KEY_FILE",
        "HOURPASS_PORT",
        "HOURPASS_TLS_CERT_FILE",
        "[hourpass] colour",
    ]


def test_what_does_not_go_together_is_found_beside_other_faults(tmp_path: Path) -> None:
    """Whoever repairs the settings repairs them once."""
    (tmp_path / "cert.pem").touch()
    found = faults(
        tmp_path,
        DATABASE_URL=POSTGRES,
        HOST="0.0.0.0",
        PORT="x",
        TLS_CERT_FILE=str(tmp_path / "cert.pem"),
    )
    assert sorted(fault.partition(":")[0] for fault in found) == [
        "HOURPASS_ISSUER",
        "HOURPASS_MASTER_KEY",
        "HOURPASS_PORT",
        "HOURPASS_TLS_CERT_FILE and HOURPASS_TLS_KEY_FILE go together",
    ]


def test_a_wrong_value_is_not_called_missing_as_well(tmp_path: Path) -> None:
    """One fault, one line."""
    found = faults(
        tmp_path, DATABASE_URL=POSTGRES, MASTER_KEY="wrong", HOST="0.0.0.0", ISSUER="wrong"
    )
    assert sorted(fault.partition(":")[0] for fault in found) == [
        "HOURPASS_ISSUER",
        "HOURPASS_MASTER_KEY",
    ]


def test_a_key_pasted_where_its_file_belongs_is_not_shown(tmp_path: Path) -> None:
    """The variable that wants a file got the key itself: the fault does not repeat it."""
    (found,) = faults(tmp_path, MASTER_KEY_FILE=KEY)

    assert found.startswith("HOURPASS_MASTER_KEY_FILE: cannot read the file: ")
    assert KEY not in found
