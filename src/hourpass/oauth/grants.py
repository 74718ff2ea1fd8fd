"""Requests that scopes open: `GET /customer/{id}/bookings`, and which of them a request is.

The path that is judged has to be the path that is served. Whatever programs on the way could
read in two ways (dot segments, encoded slashes, double slashes, matrix parameters …) is
refused, never repaired. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from hourpass.oauth.errors import InsufficientScope

MAX_TARGET = 4096
MAX_REMEMBERED = 1024

_SEGMENT = r"(?:\{[A-Za-z][A-Za-z0-9_]*\}|[A-Za-z0-9._~!$&'()*+,=:@%-]+)"
_GRANT = re.compile(rf"([A-Z]+) (/|(?:/{_SEGMENT})+/?)")
# RFC 3986 section 3.3, less `;`: what follows it some servers drop, and some do not.
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*)+")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/-]*")  # the same without escapes
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_FORBIDDEN_IN_SEGMENT = re.compile(r"[\x00-\x1f\x7f/\\;?#]")


class AmbiguousPath(ValueError):
    """A path that two programs could take for two different ones; the text says why."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A kind of request that a scope opens: a method and a path template."""

    method: str
    template: str

    @classmethod
    def parse(cls, text: str) -> "Grant":
        """From `GET /customer/{id}/bookings`; ValueError for anything else."""
        match = _GRANT.fullmatch(text)
        if match is not None:
            literal = re.sub(r"\{[^}]*\}", "x", match[2])
            try:
                segments(literal)
            except AmbiguousPath:
                match = None
        if match is None:
            raise ValueError(f"{text!r} is not of the form 'GET /path/{{name}}'")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


def segments(target: str) -> tuple[str, ...]:
    """The decoded segments of a request target's path; raises AmbiguousPath.

    `target` is as it was received: a path with its escapes and maybe a query, which does not
    count. `/` is one empty segment; a slash at the end is an empty one more.
    """
    if len(target) > MAX_TARGET:
        raise AmbiguousPath("the path is longer than 4 KiB")
    path = target.partition("?")[0]
    if "#" in target:
        raise AmbiguousPath("a request target has no fragment")
    if _PLAIN_PATH.fullmatch(path) is None and _PATH.fullmatch(path) is None:
        raise AmbiguousPath("the path has characters that do not belong into one")
    if "//" in path:
        raise AmbiguousPath("the path has two slashes in a row")
    return tuple(_segment(part) for part in path[1:].split("/"))


def _segment(part: str) -> str:
    if "%" in part:
        try:
            part = unquote_to_bytes(part).decode("utf-8")
        except UnicodeDecodeError:
            raise AmbiguousPath("the path is not UTF-8") from None
        if _ESCAPE.search(part) is not None:
            raise AmbiguousPath("the path is encoded twice")
        if _FORBIDDEN_IN_SEGMENT.search(part) is not None:
            raise AmbiguousPath("the path encodes a character that divides paths")
    if part in (".", ".."):
        raise AmbiguousPath("the path has dot segments")
    return part


@dataclass(slots=True)
class _Node:
    """One place in the tree of templates."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    template: "_Node | None" = None
    scopes: frozenset[str] | None = None


class Granted:
    """The requests of one API, and the scopes that open each; built once, then only read."""

    def __init__(self, grants: Mapping[str, Iterable[Grant]]) -> None:
        """`grants` has the grants of each scope name. GET grants HEAD too."""
        self.scopes = frozenset(grants)
        self._methods: dict[str, _Node] = {}
        # Most requests of a door are for a few paths. What raises is not remembered.
        self._look_up = lru_cache(maxsize=MAX_REMEMBERED)(self._search)
        for scope, listed in grants.items():
            for grant in listed:
                self._add(grant.method, grant.template, scope)
        for scope, listed in grants.items():
            for grant in listed:
                if grant.method == "GET":
                    self._add("HEAD", grant.template, scope)

    def _add(self, method: str, template: str, scope: str) -> None:
        node = self._methods.setdefault(method, _Node())
        for part in template[1:].split("/"):
            if part.startswith("{"):
                node.template = node.template or _Node()
                node = node.template
            else:
                node = node.literals.setdefault(_segment(part), _Node())
        node.scopes = (node.scopes or frozenset()) | {scope}

    def scopes_for(self, method: str, target: str) -> frozenset[str]:
        """The scopes any of which opens this request; none when the API has no such request.

        A literal segment beats a template, from left to right. `method` is compared in its
        case. Raises AmbiguousPath.
        """
        if "#" in target or len(target) > MAX_TARGET:
            segments(target)  # raises: what stands after the path counts in these two cases
        return self._look_up(method, target.partition("?")[0])

    def _search(self, method: str, path: str) -> frozenset[str]:
        parts = segments(path)
        root = self._methods.get(method)
        found = None if root is None else _find(root, parts, 0)
        return found or frozenset()

    def authorize(self, scopes: frozenset[str], method: str, target: str) -> frozenset[str]:
        """Those of a token's `scopes` that open this request, at least one.

        Raises InsufficientScope, whose `scopes` are the names any of which would have opened
        it: none for a request that no scope opens, and for an ambiguous path.
        """
        try:
            opening = self.scopes_for(method, target)
        except AmbiguousPath as fault:
            raise InsufficientScope(description=f"this path is not served: {fault}") from fault
        held = opening & scopes
        if held:
            return held
        if len(opening) > 1:
            names = " ".join(sorted(opening))
            raise InsufficientScope(
                *sorted(opening), description=f"this request needs one of the scopes {names}"
            )
        raise InsufficientScope(*opening)


def _find(node: _Node, path: tuple[str, ...], at: int) -> frozenset[str] | None:
    """Looks back at most once a level, so at most 2^depth of the templates, which are few."""
    if at == len(path):
        return node.scopes
    literal = node.literals.get(path[at])
    if literal is not None:
        found = _find(literal, path, at + 1)
        if found is not None:
            return found
    if node.template is not None and path[at]:
        return _find(node.template, path, at + 1)
    return None
