"""Client secrets: the only room that makes, digests and compares them.

A secret carries 256 random bits, so a fast keyed hash is as strong as a slow one would be; it
would not be for a password, which is why nobody can choose a secret.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from hourpass.oauth import secret_format
from hourpass.server.hidden import Hidden


class Secret(Hidden):
    """A client secret."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ClientCredential:
    """What is stored of a secret: HMAC-SHA-256(pepper, secret) and which pepper."""

    digest: bytes = field(repr=False)
    pepper_version: int


def new() -> Secret:
    """A new random secret."""
    return Secret(secret_format.generate())


def digest(secret: Secret, pepper: bytes) -> bytes:
    """32 bytes that tell this secret from every other, and nothing without the pepper."""
    return hmac.digest(pepper, secret.reveal().encode("utf-8", "surrogatepass"), "sha256")


def is_well_formed(secret: Secret) -> bool:
    """Whether it has the form of a secret and its checksum fits."""
    return secret_format.is_well_formed(secret.reveal())


def proves(
    secret: Secret, credentials: tuple[ClientCredential, ...], peppers: Mapping[int, bytes]
) -> bool:
    """Whether `secret` is behind one of `credentials`; in the same time whichever it is.

    Without credentials the same work is done on a digest that nothing has: an unknown client
    and a wrong secret cost the same.
    """
    proved = False
    for credential in credentials or (_NOBODY,):
        pepper = peppers.get(credential.pepper_version) or peppers[max(peppers)]
        proved |= hmac.compare_digest(digest(secret, pepper), credential.digest)
    return proved and bool(credentials)


def digests(secret: Secret, peppers: Mapping[int, bytes]) -> tuple[bytes, ...]:
    """What could be stored of `secret`, one for each pepper."""
    return tuple(digest(secret, pepper) for pepper in peppers.values())


_NOBODY = ClientCredential(bytes(32), 0)
