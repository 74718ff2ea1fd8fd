"""Settings: where they come from, what they mean, and every fault in them at once.

Environment variables first, then `[hourpass]` in the configuration file. Nothing is read from
a request, and nothing here opens the database.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from hourpass.limits.shared import problem_with
from hourpass.oauth.jose import Algorithm
from hourpass.oauth.loopback import is_loopback
from hourpass.server.keys.master import MasterKeys

PREFIX = "HOURPASS_"
_WITH_FILE_FORM = ("master_key", "database_url", "limits_url")


class SettingsFault(Exception):
    """Settings that cannot be used; `faults` has one clear line for each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


class Settings(BaseModel):
    """Everything that an operator can set. Immutable once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(
        default="",
        description="The public base URL; `iss` of every token. Never taken from a request. "
        "Default: `http://localhost:<port>`.",
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="`sqlite:///<file>` or `postgresql://…`. Default: `hourpass.db` in the data "
        "directory. Also as HOURPASS_DATABASE_URL_FILE.",
    )
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("hourpass", appauthor=False)),
        description="Where the embedded database and its master key live; made with mode 0700. "
        "Default: the platform's user data folder.",
    )
    master_key: SecretStr | None = Field(
        default=None,
        description="32 random bytes in base64 (`hourpass keys new-master` prints one). Made once "
        "in the data directory for the embedded database; required with PostgreSQL. "
        "HOURPASS_MASTER_KEY_FILE may hold several lines: the first encrypts, all decrypt.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=1, le=65535, description="Port to listen on.")
    workers: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Processes that serve; above 1 only with PostgreSQL. `serve --workers` "
        "overrides it.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port for Prometheus (`/metrics`) and readiness in detail (`/readyz`). Without "
        "it there are no metrics.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address of the metrics port. Whoever reaches it can read it.",
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(),
        description="Networks (CIDR, comma-separated) of proxies whose X-Forwarded-For tells the "
        "caller's address. Used for nothing else.",
    )
    signing_algorithm: Algorithm = Field(
        default=Algorithm.ES256, description="ES256, RS256 or EdDSA: for keys made from now on."
    )
    key_period_days: int = Field(
        default=90, ge=1, le=3650, description="How long a signing key signs, in days."
    )
    limits_url: SecretStr | None = Field(
        default=None,
        description="`redis://`, `rediss://`, `valkey://`, `valkeys://` or `unix://…`: the Valkey "
        "or Redis in which all processes count one limit of requests. Without it each process "
        "counts for itself. Also as HOURPASS_LIMITS_URL_FILE.",
    )
    audit_retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Audit events older than this many days are removed. Default: kept for ever.",
    )
    leaks: Literal["suspend", "alert"] = Field(
        default="suspend",
        description="What the report of a leaked secret does (`POST /leaks`): suspend its client "
        "and revoke its live tokens, or (`alert`) only put it on record.",
    )
    tls_cert_file: Path | None = Field(
        default=None,
        description="PEM file with the certificate chain; with HOURPASS_TLS_KEY_FILE, Hourpass "
        "serves HTTPS itself.",
    )
    tls_key_file: Path | None = Field(default=None, description="PEM file: the private key.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged, to stderr: debug, info, warning or error."
    )
    catalogue: Path | None = Field(
        default=None,
        description="The file that lists the APIs and their scopes. Default: the configuration "
        "file.",
    )
    config_file: Path | None = Field(
        default=None,
        exclude=True,
        description="The configuration file in use (HOURPASS_CONFIG, ./hourpass.toml, then the "
        "data directory's).",
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("give a URL such as https://auth.example.com")
        if re.fullmatch("[!-~]+", value) is None:
            raise ValueError("give a URL without blanks and without letters outside ASCII")
        if parts.query or parts.fragment or "?" in value or "#" in value or "@" in parts.netloc:
            raise ValueError("a URL without user, query and fragment is needed")
        if value.endswith("/"):
            raise ValueError("remove the trailing /")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("use https: plain http is only for a loopback host")
        return value

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text.startswith(("postgresql://", "postgres://")):
            from hourpass.server.db import postgres  # loading it takes long: see context

            postgres.read_url(text)
            return value
        if not text:
            return value
        file = text.removeprefix("sqlite:///")
        if file not in (text, "", ":memory:") and "?" not in file:
            return value
        raise ValueError("give sqlite:///<file> or postgresql://<user>@<host>/<database>")

    @field_validator("master_key")
    @classmethod
    def _master_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            MasterKeys.parse(value.get_secret_value())
        return value

    @field_validator("limits_url")
    @classmethod
    def _limits_url(cls, value: SecretStr | None) -> SecretStr | None:
        problem = None if value is None else problem_with(value.get_secret_value())
        if problem is not None:
            raise ValueError(problem)
        return value

    @field_validator("tls_cert_file", "tls_key_file", "catalogue")
    @classmethod
    def _is_there(cls, value: Path | None) -> Path | None:
        if value is not None and not _is_file(value):
            raise ValueError(f"there is no file {value}")
        return value

    @model_validator(mode="after")
    def _together(self) -> "Settings":
        faults = list(self._faults_together())
        if faults:
            raise ValueError("\n".join(faults))
        if not self.issuer:
            scheme = "https" if self.tls_cert_file else "http"
            object.__setattr__(self, "issuer", f"{scheme}://localhost:{self.port}")
        return self

    def _faults_together(self) -> Iterator[str]:
        if not self.issuer and not is_loopback(self.host):
            yield (
                f"{PREFIX}ISSUER: needed, the public base URL, since {PREFIX}HOST is not a "
                "loopback address"
            )
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            yield f"{PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE go together"
        if self.metrics_port == self.port:
            yield f"{PREFIX}METRICS_PORT and {PREFIX}PORT have to differ"
        if self.workers > 1 and not self.is_postgresql:
            yield (
                f"{PREFIX}WORKERS: above 1 only with PostgreSQL, since one process serves an "
                f"SQLite file; set {PREFIX}DATABASE_URL to a postgresql:// URL, or take 1 worker"
            )
        if self.workers > 1 and not hasattr(os, "fork"):
            yield f"{PREFIX}WORKERS: this system cannot fork; take 1 worker, or several machines"
        if self.is_postgresql and self.master_key is None:
            yield (
                f"{PREFIX}MASTER_KEY: required with PostgreSQL; "
                "`hourpass keys new-master` prints one"
            )

    @property
    def is_postgresql(self) -> bool:
        """Whether the database is PostgreSQL; else it is the embedded SQLite."""
        return self.database_url.get_secret_value().startswith("postgres")

    @property
    def sqlite_path(self) -> Path:
        """The embedded database's file."""
        text = self.database_url.get_secret_value()
        return Path(text.removeprefix("sqlite:///")) if text else self.data_dir / "hourpass.db"

    @property
    def catalogue_file(self) -> Path | None:
        """The catalogue: its own setting, else the configuration file, else none."""
        return self.catalogue or self.config_file


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force; raises SettingsFault with every fault found."""
    environ = os.environ if environ is None else environ
    faults: list[str] = []
    path, table = _configuration(environ, faults)
    secrets = _file_forms(environ, table, faults)
    values: dict[str, Any] = {**table, **secrets}
    for name in Settings.model_fields:
        if name != "config_file" and environ.get(PREFIX + name.upper()):
            values[name] = environ[PREFIX + name.upper()]
    try:
        settings = Settings.model_validate({**values, "config_file": path})
    except ValidationError as fault:
        faults += _lines(fault) + _faults_of_the_rest(values, fault)
    if faults:
        raise SettingsFault(faults)
    return settings


def _configuration(
    environ: Mapping[str, str], faults: list[str]
) -> tuple[Path | None, dict[str, Any]]:
    """The configuration file and its `[hourpass]` table."""
    named = environ.get(PREFIX + "CONFIG")
    data_dir = environ.get(PREFIX + "DATA_DIR") or platformdirs.user_data_dir(
        "hourpass", appauthor=False
    )
    candidates = [named] if named else ["hourpass.toml", str(Path(data_dir) / "hourpass.toml")]
    try:
        path = next((Path(c) for c in candidates if _is_file(Path(c))), None)
    except ValueError as fault:
        faults.append(f"{PREFIX}CONFIG: {fault}")
        return None, {}
    if path is None:
        if named:
            faults.append(f"{PREFIX}CONFIG: there is no file {named}")
        return None, {}
    try:
        table = tomllib.loads(path.read_text("utf-8")).get("hourpass", {})
    except (OSError, ValueError, RecursionError) as fault:
        faults.append(f"{path}: {fault}")
        return path, {}
    if not isinstance(table, dict) or any(not isinstance(name, str) for name in table):
        faults.append(f"{path}: [hourpass] has to be a table")
        return path, {}
    if "config_file" in table:
        faults.append(f"{path}: config_file is no setting")
        del table["config_file"]
    return path, table


def _is_file(path: Path) -> bool:
    """Whether it is one; ValueError where this user may not even look."""
    try:
        return path.is_file()
    except OSError as fault:
        raise ValueError(f"cannot look for {path}: {fault.strerror}") from None


def _file_forms(
    environ: Mapping[str, str], table: dict[str, Any], faults: list[str]
) -> dict[str, str]:
    """Secret settings given as `…_FILE`, read. The environment's forms come before the file's."""
    found = {}
    for name in _WITH_FILE_FORM:
        variable = f"{PREFIX}{name.upper()}"
        forms = [
            (variable, environ.get(variable)),
            (f"{variable}_FILE", environ.get(f"{variable}_FILE")),
        ]
        in_table = [(f"[hourpass] {form}", table.get(form)) for form in (name, f"{name}_file")]
        table.pop(f"{name}_file", None)
        if not any(value for _, value in forms):
            forms = in_table
        (direct, value), (label, file) = forms
        if file and value:
            faults.append(f"{label}: set this or {direct}, not both")
        elif file:
            try:
                text = Path(file).read_text("utf-8").strip()
            except (OSError, ValueError, TypeError) as fault:
                reason = getattr(fault, "strerror", None) or "it has to name a file of text"
                # Not shown when it is no path to anywhere: somebody may have pasted the secret.
                named = f" {file}" if Path(str(file)).parent.is_dir() and "/" in str(file) else ""
                faults.append(f"{label}: cannot read the file{named}: {reason}")
                continue
            if text:
                found[name] = text
            else:
                faults.append(f"{label}: {file} is empty")
    return found


def _lines(fault: ValidationError) -> list[str]:
    return [line for error in fault.errors() for line in _line(error).splitlines()]


def _faults_of_the_rest(values: dict[str, Any], fault: ValidationError) -> list[str]:
    """What does not go together among the settings that are good by themselves.

    pydantic looks at that only when every setting by itself is good.
    """
    wrong = {str(error["loc"][0]) for error in fault.errors() if error["loc"]}
    good = {name: value for name, value in values.items() if name not in wrong}
    if not wrong:
        return []
    try:
        Settings.model_validate(good)
    except ValidationError as rest:
        named = [f"{PREFIX}{name.upper()}" for name in wrong]
        return [line for line in _lines(rest) if not any(name in line for name in named)]
    return []


def _line(error: Any) -> str:
    """One fault as one line that names the setting as the operator wrote it."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"[hourpass] {'.'.join(map(str, error['loc']))}: there is no such setting"
    if not error["loc"]:
        return message
    return f"{PREFIX}{str(error['loc'][0]).upper()}: {message}"
