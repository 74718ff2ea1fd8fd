"""Finding client secrets in files, by their form and checksum: no guessing, hardly a false alarm.

A look-alike passes with a chance of one in four thousand million. What is found is never shown
whole.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hourpass.oauth import secret_format

MAX_LINE = 1024 * 1024
_OVERLAP = 512  # longer than any form of a secret: none is lost where a long line is cut
_SKIPPED = frozenset((".git", ".hg", ".svn"))
# As it is, and with its underscore form-encoded, as in a request body or a log of one.
_PLAIN = re.compile(rb"hps(?:_|%5[Ff])([0-9A-Za-z]{49})")
# Basic credentials begin with the client ID, so that their base64 begins with that of `m2m`.
_BASIC = re.compile(rb"bTJt[0-9A-Za-z+/_-]{80,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A secret in a file; `shown` is enough to find it by, and too little to use."""

    path: str
    line: int
    shown: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.shown}"


def secrets_in(octets: bytes) -> list[str]:
    """Every well-formed secret in these octets, plain, form-encoded or in Basic credentials."""
    found: dict[str, None] = {}
    for match in _PLAIN.finditer(octets):
        found[secret_format.PREFIX + match[1].decode("ascii")] = None
    for match in _BASIC.finditer(octets):
        for secret in _PLAIN.findall(_decoded(match[0])):
            found[secret_format.PREFIX + secret.decode("ascii")] = None
    return [secret for secret in found if secret_format.is_well_formed(secret)]


def shown(secret: str) -> str:
    """`hps_Ab3…` and nothing that helps to guess the rest."""
    return f"{secret[:7]}…"


def scan_stream(stream: BinaryIO, name: str) -> Iterator[Found]:
    """The secrets in a stream, line by line; memory stays flat however long a line is."""
    number, rest = 1, b""
    told: set[str] = set()
    while part := stream.readline(MAX_LINE):
        for secret in secrets_in(rest + part):
            if secret not in told:
                told.add(secret)
                yield Found(path=name, line=number, shown=shown(secret))
        if part.endswith(b"\n"):
            number, rest = number + 1, b""
            told.clear()
        else:
            rest = part[-_OVERLAP:]


def files_below(path: Path) -> Iterator[Path]:
    """A file itself; of a folder every file, but for links and what version control keeps."""
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.is_symlink() or entry.name in _SKIPPED:
            continue
        if entry.is_dir():
            yield from files_below(entry)
        elif entry.is_file():
            yield entry


def scan_files(paths: Iterable[Path]) -> Iterator[Found | OSError]:
    """The secrets in files; a file that cannot be read is an OSError among them."""
    for path in paths:
        try:
            with path.open("rb") as stream:
                yield from scan_stream(stream, str(path))
        except OSError as fault:
            yield fault


def _decoded(text: bytes) -> bytes:
    """What the base64 says; where its padding was cut off, there is something more at the end."""
    try:
        return base64.b64decode(text.translate(_URL_SAFE) + b"A" * (-len(text) % 4))
    except binascii.Error:
        return b""


_URL_SAFE = bytes.maketrans(b"-_", b"+/")
