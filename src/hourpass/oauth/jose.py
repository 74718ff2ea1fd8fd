"""Keys and signatures: the only importer of the JOSE and crypto libraries.

joserfc reads and writes JWKs; signatures go straight to `cryptography` (for ES256 31 µs, where
a generic JWS writer takes 65). Nothing here looks at claims: the callers do.
"""

import json
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from hourpass.oauth import strict_json

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105  (RFC 9068 section 2.1: a media type, not a secret)

_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class Algorithm(StrEnum):
    """Signature algorithms of access tokens (RFC 7518 section 3.1, RFC 8037)."""

    ES256 = "ES256"
    RS256 = "RS256"
    EDDSA = "EdDSA"


class BadSignature(Exception):
    """The text is no JWS that one of the given keys signed with an allowed algorithm."""


class UnknownKey(BadSignature):
    """The `kid` is in no key of the set: a newer set may have it."""


@dataclass(frozen=True, slots=True, eq=False)
class PrivateKey:
    """A signing key; `kid` is its RFC 7638 thumbprint, `public_jwk` what the JWKS shows."""

    algorithm: Algorithm
    kid: str
    public_jwk: Mapping[str, str]
    _key: _PrivateKey = field(repr=False)
    _header: bytes = field(repr=False)
    _signature: Callable[[bytes], bytes] = field(repr=False)

    @classmethod
    def generate(cls, algorithm: Algorithm) -> "PrivateKey":
        """A new key: P-256, RSA 2048 or Ed25519."""
        match algorithm:
            case Algorithm.ES256:
                return cls._of(algorithm, ec.generate_private_key(ec.SECP256R1()))
            case Algorithm.RS256:
                return cls._of(algorithm, rsa.generate_private_key(65537, 2048))
            case Algorithm.EDDSA:
                return cls._of(algorithm, ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def from_pkcs8(cls, algorithm: Algorithm, der: bytes) -> "PrivateKey":
        """The key that `to_pkcs8` wrote."""
        key = serialization.load_der_private_key(der, None)
        if not isinstance(key, _PrivateKey):
            raise TypeError(f"a {type(key).__name__} signs no access tokens")
        return cls._of(algorithm, key)

    def to_pkcs8(self) -> bytes:
        """Unencrypted PKCS#8 DER: only ever to be sealed under the master key."""
        return self._key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @classmethod
    def _of(cls, algorithm: Algorithm, key: _PrivateKey) -> "PrivateKey":
        kinds: dict[Algorithm, Any] = {
            Algorithm.ES256: ECKey,
            Algorithm.RS256: RSAKey,
            Algorithm.EDDSA: OKPKey,
        }
        jwk = kinds[algorithm].import_key(key)
        kid = str(jwk.thumbprint())
        members = {name: str(value) for name, value in jwk.as_dict(private=False).items()}
        public = {**members, "kid": kid, "alg": algorithm.value, "use": "sig"}
        header = {"alg": algorithm.value, "typ": ACCESS_TOKEN_TYPE, "kid": kid}
        encoded = _segment(json.dumps(header, separators=(",", ":")).encode("ascii"))
        return cls(algorithm, kid, public, key, encoded + b".", _signer(key))

    def sign(self, payload: bytes) -> str:
        """The compact JWS (RFC 7515 section 3.1) of `payload` with `typ: at+jwt`."""
        signed = self._header + _segment(payload)
        return (signed + b"." + _segment(self._signature(signed))).decode("ascii")


def _signer(key: _PrivateKey) -> Callable[[bytes], bytes]:
    """How this kind of key signs; chosen once, since a token cannot wait for it."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return partial(_sign_ecdsa, key)
        case rsa.RSAPrivateKey():
            return lambda signed: key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        case _:
            return key.sign


def _sign_ecdsa(key: ec.EllipticCurvePrivateKey, signed: bytes) -> bytes:
    """The raw r and s that JWS wants, where X.509 has DER (RFC 7518 section 3.4)."""
    r, s = decode_dss_signature(key.sign(signed, _ECDSA))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a good signature covers; the claims inside are still to be judged."""

    header: Mapping[str, object]
    payload: bytes


class PublicKeys:
    """The usable keys of a JWKS (RFC 7517 section 5), by `kid`."""

    def __init__(self, jwks: object, algorithms: Iterable[Algorithm]) -> None:
        """Keys that have no `kid`, another `use` or an algorithm not allowed are left out.

        Raises ValueError when `jwks` is no key set at all.
        """
        members = jwks.get("keys") if isinstance(jwks, dict) else None
        if not isinstance(members, list):
            raise ValueError("not a JSON Web Key Set: no list of keys")
        allowed = frozenset(algorithms)
        self._keys: dict[str, tuple[Algorithm, _PublicKey]] = {}
        for member in members:
            usable = _usable_key(member, allowed)
            if usable is not None:
                self._keys[member["kid"]] = usable

    def __contains__(self, kid: object) -> bool:
        return kid in self._keys

    @property
    def kids(self) -> frozenset[str]:
        """The `kid` of every usable key."""
        return frozenset(self._keys)

    def verify(self, token: str) -> Signed:
        """Check a compact JWS (RFC 7515 section 5.2); raises UnknownKey or BadSignature.

        Key and algorithm come from the key set; the token's header only names the key, and is
        refused when its `alg` differs or it asks for an extension (RFC 8725 sections 3.1, 3.10).
        """
        header, kid = read_header(token)
        if kid not in self._keys:
            raise UnknownKey(kid)
        algorithm, key = self._keys[kid]
        if header.get("alg") != algorithm.value:
            raise BadSignature("another algorithm than the key's")
        signed, _, signature = token.rpartition(".")
        try:
            _check(key, _octets(signature), signed.encode("ascii"))
            payload = _octets(signed.partition(".")[2])
        except (InvalidSignature, ValueError) as fault:
            raise BadSignature("the signature does not fit") from fault
        return Signed(header, payload)


def read_header(token: str) -> tuple[Mapping[str, object], str]:
    """The header of a compact JWS and the `kid` in it; raises BadSignature when it has none."""
    if _COMPACT.fullmatch(token) is None:
        raise BadSignature("not a compact JWS")
    return _parsed_header(token.partition(".")[0])


@lru_cache(maxsize=64)  # tokens of one key have the same header
def _parsed_header(segment: str) -> tuple[Mapping[str, object], str]:
    try:
        header = strict_json.loads(_octets(segment))
    except ValueError as fault:
        raise BadSignature("the header is not JSON") from fault
    kid = header.get("kid") if isinstance(header, dict) else None
    if not isinstance(kid, str) or "crit" in header:
        raise BadSignature("the header names no key, or asks for an extension")
    return MappingProxyType(header), kid


def _usable_key(member: Any, allowed: frozenset[Algorithm]) -> tuple[Algorithm, _PublicKey] | None:
    """The key in one member of a JWKS; None for what we cannot or must not use."""
    if not isinstance(member, dict) or member.get("use", "sig") != "sig":
        return None
    kid, alg = member.get("kid"), member.get("alg")
    if not isinstance(kid, str) or not isinstance(alg, str) or alg not in allowed:
        return None
    algorithm = Algorithm(alg)
    public = {name: member[name] for name in _PUBLIC_MEMBERS if name in member}
    try:
        key: object = getattr(import_key(public), "public_key", None)
    except (JoseError, ValueError, TypeError, KeyError):
        return None  # one key that cannot be read does not take the others away
    match algorithm, key:
        case Algorithm.ES256, ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return algorithm, key
        case Algorithm.RS256, rsa.RSAPublicKey() if key.key_size >= 2048:
            return algorithm, key
        case Algorithm.EDDSA, ed25519.Ed25519PublicKey():
            return algorithm, key
    return None


def _check(key: _PublicKey, signature: bytes, signed: bytes) -> None:
    """Raises InvalidSignature, or ValueError for a signature of the wrong size."""
    match key:
        case ec.EllipticCurvePublicKey():
            if len(signature) != 64:
                raise ValueError("an ES256 signature has 64 octets")
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(r, s), signed, _ECDSA)
        case rsa.RSAPublicKey():
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        case _:
            key.verify(signature, signed)


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_ECDSA = ec.ECDSA(hashes.SHA256())
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e")


def _segment(octets: bytes) -> bytes:
    """base64url without padding (RFC 7515 section 2)."""
    return b2a_base64(octets, newline=False).translate(_URL_SAFE).rstrip(b"=")


def _octets(segment: str) -> bytes:
    """What `_segment` wrote; ValueError for a spelling that it would not have written.

    Without the comparison, a token's last characters could be changed and still verify.
    """
    encoded = segment.encode("ascii")
    octets = a2b_base64(encoded.translate(_STANDARD) + b"=" * (-len(encoded) % 4))
    if _segment(octets) != encoded:
        raise ValueError("not the canonical base64url")
    return octets
