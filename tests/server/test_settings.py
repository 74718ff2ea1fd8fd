"""Settings: their defaults, where they come from, and no secret in any text."""

import base64
import traceback
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
from given_settings import KEY, POSTGRES, faults, load
from pydantic import ValidationError

from hourpass.oauth.jose import Algorithm
from hourpass.server.config import Settings, SettingsFault


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without a file, and a data directory of the test's own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOURPASS_PORT", "1")  # whoever reads the real environment is found out


@pytest.mark.spec("contract", "Settings", "HOURPASS_HOST, _PORT, _WORKERS 127.0.0.1, 8080, 1")
def test_the_defaults_are_the_promised_ones(tmp_path: Path) -> None:
    """With nothing set but where the data is."""
    settings = load(tmp_path)

    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8080, 1)
    assert settings.issuer == "http://localhost:8080"
    assert settings.sqlite_path == tmp_path / "data" / "hourpass.db"
    assert not settings.is_postgresql
    assert settings.master_key is None
    assert settings.trusted_proxies == ()
    assert (settings.signing_algorithm, settings.key_period_days) == (Algorithm.ES256, 90)
    assert (settings.tls_cert_file, settings.tls_key_file) == (None, None)
    assert settings.log_level == "info"
    assert settings.catalogue_file is None


def test_everything_that_can_be_set(tmp_path: Path) -> None:
    """By its variable."""
    for name in ("cert.pem", "key.pem", "apis.toml"):
        (tmp_path / name).touch()
    settings = load(
        tmp_path,
        ISSUER="https://auth.example.com/tenant",
        DATABASE_URL=POSTGRES,
        MASTER_KEY=KEY,
        HOST="0.0.0.0",
        PORT="9000",
        WORKERS="1",
        TRUSTED_PROXIES="10.0.0.0/8, 2001:db8::/32,192.0.2.1",
        SIGNING_ALGORITHM="EdDSA",
        KEY_PERIOD_DAYS="30",
        TLS_CERT_FILE=str(tmp_path / "cert.pem"),
        TLS_KEY_FILE=str(tmp_path / "key.pem"),
        LOG_LEVEL="debug",
        CATALOGUE=str(tmp_path / "apis.toml"),
    )

    assert settings.issuer == "https://auth.example.com/tenant"
    assert settings.is_postgresql
    assert (settings.host, settings.port) == ("0.0.0.0", 9000)
    networks = ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32")
    assert settings.trusted_proxies == tuple(map(ip_network, networks))
    assert settings.signing_algorithm is Algorithm.EDDSA
    assert settings.key_period_days == 30
    assert settings.catalogue_file == tmp_path / "apis.toml"
    assert settings.log_level == "debug"


@pytest.mark.spec("contract", "Settings", "Environment variables, then [hourpass]")
def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    """Setting by setting; an empty variable is none."""
    table = 'port = 7000\nhost = "::1"\nlog_level = "error"'

    settings = load(tmp_path, table, PORT="9000", LOG_LEVEL="")

    assert (settings.port, settings.host, settings.log_level) == (9000, "::1", "error")


@pytest.mark.spec("contract", "Settings", "./hourpass.toml, then the data dir")
def test_which_file_is_read(tmp_path: Path) -> None:
    """HOURPASS_CONFIG, else the one here, else the one in the data directory."""
    data = tmp_path / "data"
    data.mkdir()
    named, here, there = tmp_path / "named.toml", Path("hourpass.toml"), data / "hourpass.toml"
    for port, file in ((7001, named), (7002, here), (7003, there)):
        file.write_text(f"[hourpass]\nport = {port}\n")

    assert load(tmp_path, CONFIG=str(named)).port == 7001
    assert load(tmp_path).port == 7002
    assert load(tmp_path).config_file == here
    here.unlink()
    assert load(tmp_path).port == 7003
    assert load(tmp_path).catalogue_file == there


FORMS: dict[str, tuple[str | None, dict[str, str], str]] = {
    "variable": (None, {"MASTER_KEY": "1"}, "1"),
    "file of a variable": (None, {"MASTER_KEY_FILE": "1"}, "1"),
    "table": ("master_key", {}, "0"),
    "file of a table": ("master_key_file", {}, "0"),
    "variable before table": ("master_key", {"MASTER_KEY": "1"}, "1"),
    "variable before file of a table": ("master_key_file", {"MASTER_KEY": "1"}, "1"),
    "file of a variable before table": ("master_key", {"MASTER_KEY_FILE": "1"}, "1"),
    "file of a variable before file of a table": (
        "master_key_file",
        {"MASTER_KEY_FILE": "1"},
        "1",
    ),
}


@pytest.mark.spec("contract", "Settings", "Secret settings also as …_FILE")
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_setting_and_its_file_form(tmp_path: Path, form: str) -> None:
    """Environment before table, whichever form each of them has."""
    in_table, environ, wanted = FORMS[form]
    keys = {n: base64.b64encode(n.encode() * 32).decode() for n in "01"}
    for number, key in keys.items():
        (tmp_path / number).write_text(f"  {key}\n")

    def value(name: str, number: str) -> str:
        return str(tmp_path / number) if name.lower().endswith("_file") else keys[number]

    table = None if in_table is None else f'{in_table} = "{value(in_table, "0")}"'
    variables = {name: value(name, number) for name, number in environ.items()}

    settings = load(tmp_path, table, **variables)

    assert settings.master_key is not None
    assert settings.master_key.get_secret_value() == keys[wanted]


def test_a_key_file_may_hold_several_lines(tmp_path: Path) -> None:
    """And a URL may come from a file, too."""
    (tmp_path / "keys").write_text(f"{KEY}\n{KEY}\n")
    (tmp_path / "url").write_text(POSTGRES + "\n")

    settings = load(
        tmp_path,
        MASTER_KEY_FILE=str(tmp_path / "keys"),
        DATABASE_URL_FILE=str(tmp_path / "url"),
    )

    assert settings.master_key is not None
    assert settings.master_key.get_secret_value() == f"{KEY}\n{KEY}"
    assert settings.database_url.get_secret_value() == POSTGRES


def test_secrets_are_in_no_repr_and_no_dump(tmp_path: Path) -> None:
    """The master key and the password of the database."""
    settings = load(tmp_path, DATABASE_URL=POSTGRES, MASTER_KEY=KEY)

    for shown in (
        repr(settings),
        str(settings),
        f"{settings.model_dump()}",
        settings.model_dump_json(),
    ):
        assert KEY not in shown
        assert "hidden" not in shown


SECRETIVE: dict[str, Mapping[str, str]] = {
    "a bad key": {"MASTER_KEY": "hidden" * 7},
    "a bad key beside a good URL": {"MASTER_KEY": "hidden" * 7, "DATABASE_URL": POSTGRES},
    "a bad URL": {"DATABASE_URL": "mysql://me:hidden@a/b"},
    "a good key beside a bad port": {"MASTER_KEY": KEY, "PORT": "x", "DATABASE_URL": POSTGRES},
}


@pytest.mark.parametrize("named", SECRETIVE)
def test_secrets_are_in_no_message(tmp_path: Path, named: str) -> None:
    """Not in the faults, and not in the traceback that a bug would print."""
    with pytest.raises(SettingsFault) as refused:
        load(tmp_path, **SECRETIVE[named])

    text = "".join(traceback.format_exception(refused.value)) + "".join(refused.value.faults)
    assert "hidden" not in text
    assert KEY not in text


def test_the_error_itself_does_not_hold_the_value() -> None:
    """Should it ever get into a log as it is."""
    for name, value in (("master_key", "hidden" * 7), ("database_url", "mysql://me:hidden@a/b")):
        with pytest.raises(ValidationError) as refused:
            Settings.model_validate({name: value})
        assert "hidden" not in str(refused.value)


def test_settings_do_not_change(tmp_path: Path) -> None:
    """Once read they are what they are."""
    settings = load(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


def test_every_setting_is_explained() -> None:
    """The help of each is where it is declared."""
    for name, field in Settings.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize(
    ("environ", "issuer"),
    [
        ({}, "http://localhost:8080"),
        ({"PORT": "9000", "HOST": "::1"}, "http://localhost:9000"),
        ({"HOST": "127.0.0.2"}, "http://localhost:8080"),
        ({"ISSUER": "http://localhost:1"}, "http://localhost:1"),
        ({"ISSUER": "http://[::1]:8080"}, "http://[::1]:8080"),
        ({"ISSUER": "http://auth.localhost", "HOST": "0.0.0.0"}, "http://auth.localhost"),
        ({"ISSUER": "https://a.example/x/y", "HOST": "0.0.0.0"}, "https://a.example/x/y"),
    ],
)
def test_the_issuer_and_its_default(tmp_path: Path, environ: dict[str, str], issuer: str) -> None:
    """https unless its host is this machine's own."""
    assert load(tmp_path, **environ).issuer == issuer


def test_with_tls_of_its_own_the_default_issuer_is_https(tmp_path: Path) -> None:
    """The certificate's and the key's file go together."""
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    settings = load(
        tmp_path,
        TLS_CERT_FILE=str(tmp_path / "cert.pem"),
        TLS_KEY_FILE=str(tmp_path / "key.pem"),
    )
    assert settings.issuer == "https://localhost:8080"
    (fault,) = faults(tmp_path, TLS_KEY_FILE=str(tmp_path / "key.pem"))
    assert fault == "HOURPASS_TLS_CERT_FILE and HOURPASS_TLS_KEY_FILE go together"
