"""Where a client's ID and secret come from: arguments, else a file, else the environment."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hourpass.client.errors import BadConfiguration
from hourpass.oauth import secret_format

ID_VARIABLE, SECRET_VARIABLE = "HOURPASS_CLIENT_ID", "HOURPASS_CLIENT_SECRET"
ISSUER_VARIABLE = "HOURPASS_ISSUER"
_MAX_FILE = 64 * 1024
_MAX_LENGTH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """A client's ID and secret (RFC 6749 section 2.3.1)."""

    client_id: str
    client_secret: str = field(repr=False)


def find(
    client_id: str | None,
    client_secret: str | None,
    file: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
) -> ClientCredentials:
    """Both from the same place, the first that names either; BadConfiguration when none does."""
    if client_id is not None or client_secret is not None:
        return _checked(client_id, client_secret, "give client_id and client_secret, or neither")
    if file is not None:
        return from_file(Path(file))
    return _checked(
        environ.get(ID_VARIABLE),
        environ.get(SECRET_VARIABLE),
        f"set {ID_VARIABLE} and {SECRET_VARIABLE} in the environment, or name a credentials file",
    )


def from_file(path: Path) -> ClientCredentials:
    """`client_id` and `client_secret` of a JSON file, as `hourpass clients create --json` prints.

    Other members are ignored. Refused when anyone but its owner can read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as opened:  # noqa: PTH123  (the file that was opened is judged)
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise BadConfiguration(f"{path} is no file: name the file with the credentials")
            if os.name == "posix" and facts.st_mode & 0o077:
                raise BadConfiguration(
                    f"{path} can be used by others than its owner: chmod 600 {path}"
                )
            content = opened.read(_MAX_FILE + 1)
    except OSError as fault:
        raise BadConfiguration(f"{path} cannot be read: {fault.strerror}") from None
    try:
        members = json.loads(content) if len(content) <= _MAX_FILE else None
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise BadConfiguration(
            f"{path} is no JSON object: write what `hourpass clients create --json` prints into it"
        )
    return _checked(
        members.get("client_id"),
        members.get("client_secret"),
        f"{path} needs client_id and client_secret, both texts",
    )


def _checked(client_id: object, client_secret: object, otherwise: str) -> ClientCredentials:
    for value in (client_id, client_secret):
        if not isinstance(value, str) or not value:
            raise BadConfiguration(otherwise)
        if len(value) > _MAX_LENGTH or not (value.isascii() and value.isprintable()):
            raise BadConfiguration("client ID and secret are at most 1,024 printable characters")
    assert isinstance(client_id, str)  # noqa: S101  (for the type checker)
    assert isinstance(client_secret, str)  # noqa: S101  (for the type checker)
    if client_secret.startswith(secret_format.PREFIX) and not secret_format.is_well_formed(
        client_secret
    ):
        raise BadConfiguration("the client secret is not whole: copy all 53 characters of it again")
    return ClientCredentials(client_id=client_id, client_secret=client_secret)
