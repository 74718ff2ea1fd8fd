"""Access tokens, good and bad, as a caller of a protected API may send them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hourpass.oauth.jose import Algorithm, PrivateKey

AUDIENCE, OTHER_AUDIENCE = "https://api.example.com", "https://billing.example.com"
SCOPES = ("bookings:read", "customers:read", "profile:write")
ABSENT = object()
"""Stands for a claim or header parameter that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Signs with the issuer's own key, so that only what a test changes is bad.

    For a door that asks the server online, the client has to exist there with these facts, and
    hold all of `SCOPES`.
    """

    issuer: str
    key: PrivateKey = field(repr=False)
    client_id: str
    org_id: str = "default"
    gen: int = 0
    clock: Callable[[], float] = time.time

    def claims(self, **changes: object) -> dict[str, object]:
        """Good claims but for the changes; ABSENT takes one out."""
        now = int(self.clock())
        good = {
            "iss": self.issuer,
            "sub": self.client_id,
            "client_id": self.client_id,
            "aud": AUDIENCE,
            "scope": " ".join(SCOPES),
            "iat": now,
            "exp": now + 3600,
            "jti": "0a1b2c3d4e5f",
            "org_id": self.org_id,
            "gen": self.gen,
        }
        return {name: value for name, value in (good | changes).items() if value is not ABSENT}

    def token(self, **changes: object) -> str:
        """A well-signed token with these claims changed."""
        return self.key.sign(json.dumps(self.claims(**changes)).encode())

    def of_payload(self, payload: bytes) -> str:
        """A well-signed token whose payload is any octets."""
        return self.key.sign(payload)

    def with_header(self, key: PrivateKey | None = None, /, **changes: object) -> str:
        """A token with good claims and another header, signed with the issuer's key or `key`."""
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid} | changes
        kept = {name: value for name, value in header.items() if value is not ABSENT}
        signer = replace(key or self.key, _header=_segment(json.dumps(kept)).encode() + b".")
        return signer.sign(json.dumps(self.claims()).encode())

    @property
    def good(self) -> str:
        """Holds all of `SCOPES`."""
        return self.token()

    @property
    def unsigned(self) -> str:
        """`alg: none`, and no signature."""
        header = json.dumps({"alg": "none", "typ": "at+jwt", "kid": self.key.kid})
        return f"{_segment(header)}.{_segment(json.dumps(self.claims()))}."

    @property
    def hs256_with_the_public_key(self) -> str:
        """Signed with what everybody can read, taken for a shared secret."""
        header = json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": self.key.kid})
        signed = f"{_segment(header)}.{_segment(json.dumps(self.claims()))}"
        secret = json.dumps(dict(self.key.public_jwk)).encode()
        digest = hmac.digest(secret, signed.encode(), hashlib.sha256)
        return f"{signed}.{_segment(digest)}"

    @property
    def with_more_scopes(self) -> str:
        """The payload of another token under the signature of a good one."""
        header, _, signature = self.token(scope="customers:read").split(".")
        return f"{header}.{self.good.split('.')[1]}.{signature}"

    @property
    def with_another_signature(self) -> str:
        """One bit of the signature turned."""
        signed, _, signature = self.good.rpartition(".")
        octets = bytearray(base64.urlsafe_b64decode(signature + "=="))
        octets[10] ^= 1
        return f"{signed}.{_segment(bytes(octets))}"

    @property
    def of_a_stranger(self) -> str:
        """Signed with a key that the issuer does not know, under its kid."""
        return self.with_header(_STRANGER)

    @property
    def with_its_own_key(self) -> str:
        """Signed with a key that the token brings."""
        jwk: Mapping[str, str] = _STRANGER.public_jwk
        return self.with_header(_STRANGER, jwk=dict(jwk), kid=_STRANGER.kid)


_STRANGER = PrivateKey.generate(Algorithm.ES256)


def _segment(content: str | bytes) -> str:
    octets = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
