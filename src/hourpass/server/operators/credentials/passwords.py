"""Passwords: which are good enough, and argon2id within bounds.

The rules are those of NIST SP 800-63B-4 section 3.1.1 and ASVS 5.0 section 6.2: length counts,
common passwords are refused, and there are no rules about kinds of characters.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError

from hourpass.server.hidden import Hidden
from hourpass.server.refused import BadInput

MIN_LENGTH, MAX_LENGTH = 15, 256
_MAX_TYPED = 1024
_WORDS_LEAVE = 6
_PATIENCE_S = 10.0
# OWASP's first choice; a change here is followed by `needs_rehash`.
_ARGON2ID = PasswordHasher(
    time_cost=2, memory_cost=19456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
)


class TooBusy(Exception):
    """Too many passwords are being verified at this moment; nothing was decided."""


class Password(Hidden):
    """A password as somebody typed it, after NFC."""

    __slots__ = ()

    def __init__(self, text: str) -> None:
        super().__init__(unicodedata.normalize("NFC", text[: _MAX_TYPED + 1]))


def check_new(password: Password, email: str) -> None:
    """Raises BadInput, in one line, unless this may become the password of that person."""
    text = password.reveal()
    if len(text) < MIN_LENGTH:
        raise BadInput("password", f"give at least {MIN_LENGTH} characters; a sentence is good")
    if len(text) > MAX_LENGTH:
        raise BadInput("password", f"give at most {MAX_LENGTH} characters")
    if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in text):
        raise BadInput("password", "it holds characters that cannot be typed")
    folded = text.casefold()
    if len(set(folded)) < 5:
        raise BadInput("password", "it repeats a few characters; give something less regular")
    own = [part for part in re.split(r"[@.+_-]", email) if len(part) >= 3]
    if _is_little_but([email, *own, "hourpass"], folded):
        raise BadInput("password", "it is your e-mail address or this product's name, and no more")
    if folded in _common() or _is_little_but(_words(), folded):
        raise BadInput("password", "it is one that many people use; give something less common")


def _is_little_but(words: list[str], text: str) -> bool:
    """Whether few different characters are left once the words, in any number, are taken out."""
    rest = text
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, " ")
    return rest != text and len(set(rest) - {" "}) < _WORDS_LEAVE


@cache
def _common() -> frozenset[str]:
    """Passwords that are refused as they are, casefolded."""
    text = resources.files(__package__).joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


@cache
def _words() -> list[str]:
    """What common passwords are made of: those themselves, and runs along keys or the alphabet."""
    runs = [
        part
        for run in _RUNS
        for line in (run, run[::-1])
        for size in range(4, len(line) + 1)
        for part in (line[start : start + size] for start in range(len(line) - size + 1))
    ]
    return [*_common(), *runs]


class Passwords:
    """Hashes and verifies, at most `at_once` at a time: each takes 19 MiB and about 30 ms.

    The calls block: run them in a thread, never on the event loop.
    """

    def __init__(
        self,
        hasher: PasswordHasher = _ARGON2ID,
        *,
        at_once: int = 2,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._hasher = hasher
        self._slots = threading.BoundedSemaphore(at_once)
        self._patience_s = patience_s
        self._nobody = self._hasher.hash("nobody's password")

    def hash(self, password: Password) -> str:
        """What is stored of a password; raises TooBusy."""
        with self._slot():
            return self._hasher.hash(_octets(password))

    def verify(self, password: Password, password_hash: str | None) -> bool:
        """Whether it is the password behind the hash; raises TooBusy.

        Without a hash the same work is done, and the answer is no: an account that is not
        there takes as long as a wrong password.
        """
        with self._slot():
            try:
                self._hasher.verify(password_hash or self._nobody, _octets(password))
            except VerificationError:
                return False
        return password_hash is not None and len(password.reveal()) <= _MAX_TYPED

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=self._patience_s):
            raise TooBusy
        try:
            yield
        finally:
            self._slots.release()


def _octets(password: Password) -> bytes:
    return password.reveal().encode("utf-8", "surrogatepass")
