"""The catalogue's file: TOML to APIs, with every fault in it at once."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from hourpass.limits.rules import MAX_PER_MINUTE, is_limit
from hourpass.oauth.grants import Grant
from hourpass.server.audit.events import printable
from hourpass.server.catalogue.model import (
    MANAGEMENT_KEY,
    RESERVED_PREFIX,
    Api,
    Scope,
    is_scope_name,
)
from hourpass.server.organizations.model import is_organization_id

_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_API_MEMBERS = {
    *("key", "identifier", "name", "base_url", "limit_per_minute", "organizations", "scope"),
}
_SCOPE_MEMBERS = {"name", "description", "grants", "limit_per_minute"}


class CatalogueFault(Exception):
    """A catalogue file that cannot be used; `faults` has one clear line for each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


def parse(text: str) -> tuple[Api, ...]:
    """The APIs in a catalogue file; raises CatalogueFault. `[hourpass]` is for the settings."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # ValueError: a number of over 4,300 digits, too
        raise CatalogueFault([f"not TOML: {fault}"]) from fault
    entries = document.get("api")
    if not isinstance(entries, list) or not entries:
        raise CatalogueFault(["there is no [[api]] in it"])
    faults = [
        f"{name}: unknown; only [[api]] and [hourpass] are"
        for name in document.keys() - {"api", "hourpass"}
    ]
    apis = [_api(entry, f"api {number}", faults) for number, entry in enumerate(entries, 1)]
    faults += _repeated("API key", (api.key for api in apis))
    faults += _repeated("API identifier", (api.identifier for api in apis))
    faults += _repeated("scope", (scope.name for api in apis for scope in api.scopes))
    if faults:
        raise CatalogueFault(faults)
    return tuple(apis)


def write(apis: tuple[Api, ...]) -> str:
    """What `parse` reads: the APIs as TOML."""
    lines: list[str] = []
    for api in apis:
        lines += ["[[api]]", f"key = {_quoted(api.key)}"]
        lines += [f"identifier = {_quoted(api.identifier)}", f"name = {_quoted(api.name)}"]
        lines += [f"base_url = {_quoted(api.base_url)}", *_limit_line(api.limit_per_minute)]
        if api.organizations is not None:
            kept_to = ", ".join(_quoted(name) for name in sorted(api.organizations))
            lines.append(f"organizations = [{kept_to}]")
        lines.append("")
        for scope in api.scopes:
            lines += ["[[api.scope]]", f"name = {_quoted(scope.name)}"]
            lines.append(f"description = {_quoted(scope.description)}")
            lines += [*_limit_line(scope.limit_per_minute), "grants = ["]
            lines += [f"    {_quoted(str(grant))}," for grant in scope.grants]
            lines += ["]", ""]
    return "\n".join(lines)


def _limit_line(limit: int | None) -> list[str]:
    return [] if limit is None else [f"limit_per_minute = {limit}"]


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def is_settings_only(text: str) -> bool:
    """Whether the file holds settings and no catalogue: then it changes nothing."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return "hourpass" in document and "api" not in document


def _api(entry: Any, where: str, faults: list[str]) -> Api:
    if not isinstance(entry, dict):
        faults.append(f"{where}: has to be a table, written [[api]]")
        entry = {}
    key = _text(entry, "key", where, faults)
    where = f"api {key}" if key else where
    faults += [f"{where}: {name} is unknown" for name in entry.keys() - _API_MEMBERS]
    if key and (not _KEY.fullmatch(key) or key == MANAGEMENT_KEY):
        faults.append(f"{where}: key is 1-40 of a-z, 0-9 and -, and not {MANAGEMENT_KEY!r}")
    identifier = _text(entry, "identifier", where, faults)
    _check_url(identifier, f"{where}: identifier", faults)
    base_url = identifier
    if "base_url" in entry:
        base_url = _text(entry, "base_url", where, faults)
        _check_url(base_url, f"{where}: base_url", faults)
    scopes = entry.get("scope", [])
    if not isinstance(scopes, list) or not scopes:
        faults.append(f"{where}: needs at least one [[api.scope]]")
        scopes = []
    return Api(
        key=key,
        identifier=identifier,
        name=_text(entry, "name", where, faults),
        base_url=base_url,
        scopes=tuple(_scope(scope, where, faults) for scope in scopes),
        limit_per_minute=_limit(entry, where, faults),
        organizations=_organizations(entry, where, faults),
    )


def _organizations(entry: dict[str, Any], where: str, faults: list[str]) -> frozenset[str] | None:
    value = entry.get("organizations")
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        faults.append(
            f"{where}: organizations has to be a list of IDs, with at least one in it; "
            "leave it out to open the API to all"
        )
        return None
    ids = {name for name in value if isinstance(name, str) and is_organization_id(name)}
    faults += [
        f"{where}: organizations: an ID is 1-40 of a-z, 0-9 and -, not {printable(str(name), 50)}"
        for name in value
        if not isinstance(name, str) or name not in ids
    ]
    return frozenset(ids)


def _scope(entry: Any, where: str, faults: list[str]) -> Scope:
    if not isinstance(entry, dict):
        faults.append(f"{where}: a scope has to be a table, written [[api.scope]]")
        entry = {}
    name = _text(entry, "name", f"{where}, a scope", faults)
    where = f"{where}, scope {name}"
    faults += [f"{where}: {member} is unknown" for member in entry.keys() - _SCOPE_MEMBERS]
    if name.startswith(RESERVED_PREFIX):
        faults.append(f"{where}: names that begin {RESERVED_PREFIX} are Hourpass's own")
    elif name and not is_scope_name(name):
        faults.append(f"{where}: a scope is named resource:permission, in lower case")
    lines = entry.get("grants", [])
    if not isinstance(lines, list):
        faults.append(f"{where}: grants has to be a list")
        lines = []
    grants = []
    for line in lines:
        try:
            grants.append(Grant.parse(line if isinstance(line, str) else repr(line)))
        except ValueError as fault:
            faults.append(f"{where}: {fault}")
    description = _text(entry, "description", where, faults, limit=500)
    return Scope(
        name=name,
        description=description,
        grants=tuple(dict.fromkeys(grants)),
        limit_per_minute=_limit(entry, where, faults),
    )


def _limit(entry: dict[str, Any], where: str, faults: list[str]) -> int | None:
    value = entry.get("limit_per_minute")
    if value is None:
        return None
    if not is_limit(value):
        faults.append(f"{where}: limit_per_minute has to be a whole number, 1-{MAX_PER_MINUTE}")
        return None
    number: int = value
    return number


def _text(
    entry: dict[str, Any],
    member: str,
    where: str,
    faults: list[str],
    *,
    limit: int = 100,
) -> str:
    value = entry.get(member)
    limit = 2000 if member in ("identifier", "base_url") else limit
    if value is None:
        faults.append(f"{where}: {member} is missing")
        return ""
    if not isinstance(value, str) or not value.strip() or printable(value, limit) != value:
        faults.append(f"{where}: {member} has to be 1-{limit} printable characters")
        return ""
    return value


def _check_url(value: str, where: str, faults: list[str]) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or parts.fragment or not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", value):
        faults.append(f"{where} has to be an absolute URI without a fragment")


def _repeated(what: str, names: Iterator[str]) -> list[str]:
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name in seen:
            twice[name] = None
        seen.add(name)
    return [f"{what} {name} stands there twice; it belongs to one API" for name in twice if name]
