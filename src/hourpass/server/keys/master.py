"""The master key: encrypts the other keys at rest and does nothing else."""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class WrongMasterKey(Exception):
    """None of the master keys opens a sealed value: it belongs to another installation."""

    def __init__(self) -> None:
        super().__init__(
            "the master key does not open this database's keys; set the one it was made with"
        )


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """One or more master keys; the first encrypts, all decrypt."""

    _keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "MasterKeys":
        """One key a line, each 32 bytes in base64 or base64url; ValueError for anything else."""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        keys = [_decode(line) for line in lines]
        if not keys or any(key is None for key in keys):
            raise ValueError(
                "a master key is 32 random bytes in base64; `hourpass keys new-master` prints one"
            )
        return cls(tuple(key for key in keys if key is not None))

    def seal(self, kind: str, name: str, plain: bytes) -> bytes:
        """Nonce and AES-256-GCM ciphertext, bound to the row's kind and ID."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._keys[0]).encrypt(nonce, plain, _bound(kind, name))

    def unseal(self, kind: str, name: str, sealed: bytes) -> bytes:
        """What `seal` was given; raises WrongMasterKey when no key opens it."""
        for key in self._keys:
            try:
                return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(kind, name))
            except (InvalidTag, ValueError):  # ValueError: cut off within the nonce
                continue
        raise WrongMasterKey

    @property
    def fingerprint(self) -> str:
        """Eight hex digits that tell one encrypting key from another; tells nothing of it."""
        return hashlib.sha256(b"hourpass master key\0" + self._keys[0]).hexdigest()[:8]


def generate() -> str:
    """A new master key, in base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def _bound(kind: str, name: str) -> bytes:
    return f"{kind}\0{name}".encode()


def _decode(line: str) -> bytes | None:
    padded = line.rstrip("=") + "=" * (-len(line.rstrip("=")) % 4)
    try:
        key = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None
