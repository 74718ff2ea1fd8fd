"""A catalogue out of an OpenAPI document: scopes and the requests they grant. Pure.

What OpenAPI can say and a catalogue cannot (a request that needs several scopes together) is
left out and reported: a catalogue must never grant more than the document does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from hourpass.oauth.grants import Grant
from hourpass.server.audit.events import printable
from hourpass.server.catalogue.file import CatalogueFault
from hourpass.server.catalogue.model import RESERVED_PREFIX, Api, Scope, is_scope_name

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_MAX_SCOPES = 1000


@dataclass(frozen=True, slots=True)
class Imported:
    """An API as the document describes it, and a line for each thing left out."""

    api: Api
    left_out: tuple[str, ...]


@dataclass(slots=True)
class _Found:
    grants: dict[str, dict[Grant, None]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read(document: Any, *, key: str | None = None, identifier: str | None = None) -> Imported:
    """The API in an OpenAPI 3 document; raises CatalogueFault when there is nothing to use.

    `identifier` defaults to the first server's URL, `key` to the title in lower case.
    """
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise CatalogueFault(["this is no OpenAPI 3 document"])
    info = _table(document, "info")
    server = _server_url(document)
    identifier = identifier or server
    if identifier is None:
        raise CatalogueFault(["the document names no absolute server URL: give --identifier"])
    title = printable(str(info.get("title") or "API"), 100).strip() or "API"
    found = _Found()
    described = _descriptions(document)
    for scope in described:
        found.grants.setdefault(scope, {})
    prefix = urlsplit(server or "").path.rstrip("/")
    for method, path, security in _operations(document):
        _grant(found, method, prefix + path, security)
    unusable = [n for n in found.grants if not is_scope_name(n) or n.startswith(RESERVED_PREFIX)]
    if unusable:
        names = ", ".join(printable(name, 100) for name in unusable[:5])
        raise CatalogueFault([f"scopes are named resource:permission here, in lower case: {names}"])
    if not found.grants or len(found.grants) > _MAX_SCOPES:
        raise CatalogueFault([f"the document has to name 1 to {_MAX_SCOPES} scopes"])
    scopes = tuple(
        Scope(
            name=name,
            description=printable(described.get(name) or name, 500).strip() or name,
            grants=tuple(grants),
        )
        for name, grants in found.grants.items()
    )
    api = Api(
        key=key or (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].rstrip("-") or "api"),
        identifier=identifier,
        name=title,
        base_url=server or identifier,
        scopes=scopes,
    )
    return Imported(api, tuple(found.left_out))


def _grant(found: _Found, method: str, path: str, security: list[Any]) -> None:
    request = f"{method} {path}"
    try:
        grant = Grant.parse(request)
    except ValueError:
        found.left_out.append(f"{request}: this path cannot be written as a grant")
        return
    for alternative in security:
        if not isinstance(alternative, dict):
            continue
        needed = [
            name
            for names in alternative.values()
            if isinstance(names, list)
            for name in names
            if isinstance(name, str)
        ]
        if len(needed) == 1:
            found.grants.setdefault(needed[0], {})[grant] = None
        elif needed:
            both = " and ".join(needed)
            found.left_out.append(f"{request}: needs {both} together; no single scope grants it")


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, list[Any]]]:
    everywhere = document.get("security")
    for path, item in _table(document, "paths").items():
        if not isinstance(item, dict) or not isinstance(path, str):
            continue
        for method in _METHODS:
            operation = item.get(method)
            if isinstance(operation, dict):
                security = operation.get("security", everywhere)
                yield method.upper(), path, security if isinstance(security, list) else []


def _descriptions(document: dict[str, Any]) -> dict[str, str]:
    """Scope names and descriptions of every OAuth 2 flow."""
    described: dict[str, str] = {}
    for scheme in _table(_table(document, "components"), "securitySchemes").values():
        if not isinstance(scheme, dict):
            continue
        for flow in _table(scheme, "flows").values():
            if isinstance(flow, dict):
                scopes = _table(flow, "scopes")
                described.update({str(name): str(text) for name, text in scopes.items()})
    return described


def _server_url(document: dict[str, Any]) -> str | None:
    """The first absolute server URL, its variables replaced by their defaults."""
    servers = document.get("servers")
    for server in servers if isinstance(servers, list) else []:
        url = server.get("url") if isinstance(server, dict) else None
        if not isinstance(url, str):
            continue
        for name, variable in _table(server, "variables").items():
            if isinstance(variable, dict):
                url = url.replace("{" + str(name) + "}", str(variable.get("default", "")))
        try:
            parts = urlsplit(url)
        except ValueError:  # `http://[`
            continue
        if parts.scheme in ("http", "https") and parts.netloc and "{" not in url:
            return url.rstrip("/")
    return None


def _table(table: dict[str, Any], member: str) -> dict[str, Any]:
    value = table.get(member)
    return value if isinstance(value, dict) else {}
