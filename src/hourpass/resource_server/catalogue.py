"""What an API's scopes grant, and how often, read from the catalogue's own file."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from hourpass.limits import PerMinute
from hourpass.oauth import scope as scope_syntax
from hourpass.oauth.errors import InvalidScope
from hourpass.oauth.grants import Grant, Granted


def catalogue_grants(file: str | os.PathLike[str], *, api: str | None = None) -> Granted:
    """The grants of the API whose key is `api`, from the server's `hourpass.toml`.

    `api` may be left out while the file has one API. Raises ValueError, with one line that
    says what to mend, for a file that cannot be read or used, an API that is not in it, and
    one whose scopes grant no request.
    """
    path = Path(file)
    try:
        return _granted(_document(path), api)
    except ValueError as fault:
        raise ValueError(f"{path}: {fault}") from fault


def catalogue_limits(
    file: str | os.PathLike[str], *, api: str | None = None, clients: Mapping[str, int] = {}
) -> PerMinute:
    """The limits of that API and of its scopes, from the same file.

    `clients` are those that have another limit, by client ID: the file does not know them.
    Raises ValueError as `catalogue_grants` does, and for a limit that is none.
    """
    path = Path(file)
    try:
        entry = _entry(_document(path), api)
        named = {
            name: scope["limit_per_minute"]
            for name, scope in _scopes(entry)
            if "limit_per_minute" in scope
        }
        return PerMinute(api=entry.get("limit_per_minute"), scopes=named, clients=clients)
    except ValueError as fault:
        raise ValueError(f"{path}: {fault}") from fault


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as fault:
        raise ValueError(f"cannot be read: {fault.strerror}") from fault
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"is not TOML: {fault}") from fault


def _granted(document: dict[str, Any], key: str | None) -> Granted:
    grants: dict[str, list[Grant]] = {}
    for name, scope in _scopes(_entry(document, key)):
        lines = scope.get("grants", [])
        if name in grants:
            raise ValueError(f"has the scope {name} twice: take one away")
        if not isinstance(lines, list):
            raise ValueError(f'scope {name}: grants has to be a list, such as ["GET /customers"]')
        grants[name] = [Grant.parse(str(line)) for line in lines]
    if not any(grants.values()):
        raise ValueError(
            "no scope of this API grants a request, so all would be refused: give them grants,"
            ' such as ["GET /customers"]'
        )
    return Granted(grants)


def _entry(document: dict[str, Any], key: str | None) -> dict[str, Any]:
    """The API of that key, or the only one."""
    entries = _tables(document.get("api"), "[[api]]")
    keys = [str(entry.get("key")) for entry in entries]
    if key is None and len(entries) > 1:
        raise ValueError(f"has the APIs {', '.join(keys)}: say which with api=")
    chosen = [entry for entry in entries if key in (None, entry.get("key"))]
    if not chosen:
        raise ValueError(f"has no API {key!r}: name one of {', '.join(keys)}")
    if len(chosen) > 1:
        raise ValueError(f"has the API {key!r} {len(chosen)} times: give each a key of its own")
    return chosen[0]


def _scopes(entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for scope in _tables(entry.get("scope"), "[[api.scope]]"):
        name = scope.get("name")
        if not _is_scope(name):
            raise ValueError(f"a scope has the name {name!r}: give it one such as customers:read")
        yield name, scope


def _tables(value: object, written: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"has no {written}: is it the server's hourpass.toml?")
    if not all(isinstance(entry, dict) for entry in value):
        raise ValueError(f"{written} has to be a table")
    return value


def _is_scope(name: object) -> TypeGuard[str]:
    try:
        return isinstance(name, str) and scope_syntax.parse(name) == (name,)
    except InvalidScope:
        return False
