"""Signatures, against joserfc as a second implementation."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from hourpass.oauth.jose import Algorithm, BadSignature, PrivateKey, PublicKeys, UnknownKey

KEYS = {algorithm: PrivateKey.generate(algorithm) for algorithm in Algorithm}
JWKS: dict[str, Any] = {"keys": [dict(key.public_jwk) for key in KEYS.values()]}
PUBLIC = PublicKeys(JWKS, Algorithm)
KINDS: dict[Algorithm, Any] = {
    Algorithm.ES256: ECKey,
    Algorithm.RS256: RSAKey,
    Algorithm.EDDSA: OKPKey,
}
each_algorithm = pytest.mark.parametrize("algorithm", list(Algorithm))
REGISTRY = jws.JWSRegistry(algorithms=[algorithm.value for algorithm in Algorithm])


pytestmark = pytest.mark.filterwarnings(
    # joserfc finds the name EdDSA too general (RFC 9864) and small RSA keys too small.
    "ignore::joserfc.errors.SecurityWarning"
)


def _for_joserfc(key: PrivateKey) -> Any:
    """The key as joserfc holds it, read from its PKCS#8 form."""
    pem = base64.encodebytes(key.to_pkcs8()).decode()
    text = f"-----BEGIN PRIVATE KEY-----\n{pem}-----END PRIVATE KEY-----\n"
    return KINDS[key.algorithm].import_key(text)


THEIR_KEYS = {algorithm: _for_joserfc(key) for algorithm, key in KEYS.items()}
THEIR_SET: Any = KeySet.import_key_set(JWKS)  # type: ignore[arg-type]  # their stubs want their own keys


@each_algorithm
@settings(deadline=None)
@given(payload=st.binary(max_size=200))
def test_what_we_sign_joserfc_verifies(algorithm: Algorithm, payload: bytes) -> None:
    """With the key that our JWKS shows, found by its kid."""
    token = KEYS[algorithm].sign(payload or b"{}")

    verified = jws.deserialize_compact(token, THEIR_SET, registry=REGISTRY)

    assert verified.payload == (payload or b"{}")
    assert verified.headers() == {
        "alg": algorithm.value,
        "typ": "at+jwt",
        "kid": KEYS[algorithm].kid,
    }


@each_algorithm
@settings(deadline=None)
@given(payload=st.binary(min_size=1, max_size=200))
def test_what_joserfc_signs_we_verify(algorithm: Algorithm, payload: bytes) -> None:
    """Header and payload come out as they were signed."""
    key = KEYS[algorithm]
    header = {"alg": algorithm.value, "typ": "at+jwt", "kid": key.kid}
    token = jws.serialize_compact(header, payload, THEIR_KEYS[algorithm], registry=REGISTRY)

    signed = PUBLIC.verify(token)

    assert (signed.header, signed.payload) == (header, payload)


@pytest.mark.spec("RFC 7638", "3", "the thumbprint is the hash of the required members")
@each_algorithm
def test_the_kid_is_the_thumbprint(algorithm: Algorithm) -> None:
    """joserfc comes to the same name from the public members alone."""
    public = {
        name: value
        for name, value in KEYS[algorithm].public_jwk.items()
        if name not in ("kid", "use", "alg")
    }
    assert KINDS[algorithm].import_key(dict(public)).thumbprint() == KEYS[algorithm].kid


@each_algorithm
def test_a_published_key_has_no_private_member(algorithm: Algorithm) -> None:
    """And says what it is for."""
    public = KEYS[algorithm].public_jwk

    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(public)
    assert public["use"] == "sig"
    assert public["alg"] == algorithm.value


@each_algorithm
def test_a_key_survives_its_storage(algorithm: Algorithm) -> None:
    """Written as PKCS#8 and read back it has the same kid and signs for the same JWKS."""
    key = KEYS[algorithm]
    again = PrivateKey.from_pkcs8(algorithm, key.to_pkcs8())

    assert (again.kid, again.public_jwk) == (key.kid, key.public_jwk)
    assert PUBLIC.verify(again.sign(b"{}")).payload == b"{}"


@each_algorithm
def test_a_key_does_not_show_itself(algorithm: Algorithm) -> None:
    """Its repr has nothing of the private part."""
    assert THEIR_KEYS[algorithm].as_dict(private=True)["d"] not in repr(KEYS[algorithm])


@each_algorithm
@settings(deadline=None)
@given(data=st.data())
def test_no_octet_of_a_signature_can_be_changed(algorithm: Algorithm, data: st.DataObject) -> None:
    """One changed bit is enough."""
    head, _, signature = KEYS[algorithm].sign(b'{"a":1}').rpartition(".")
    octets = bytearray(base64.urlsafe_b64decode(signature + "=="))
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    with pytest.raises(BadSignature):
        PUBLIC.verify(f"{head}.{changed}")


def test_keys_of_other_algorithms_are_not_used() -> None:
    """A set that allows one algorithm holds the keys of that one only."""
    only = PublicKeys(JWKS, [Algorithm.ES256])

    assert only.kids == {KEYS[Algorithm.ES256].kid}
    with pytest.raises(UnknownKey):
        only.verify(KEYS[Algorithm.RS256].sign(b"{}"))


def test_an_rsa_key_under_2048_bits_is_not_used() -> None:
    """RFC 7518 section 3.3."""
    small = {"kty": "RSA", "kid": "small", "alg": "RS256", "e": "AQAB"}
    modulus = (1 << 1023 | 1).to_bytes(128, "big")
    small["n"] = base64.urlsafe_b64encode(modulus).rstrip(b"=").decode()

    assert PublicKeys({"keys": [small]}, Algorithm).kids == frozenset()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
MEMBERS = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"]


@settings(deadline=None)
@given(
    st.sampled_from(list(Algorithm)),
    st.dictionaries(st.sampled_from(MEMBERS), json_values, min_size=1, max_size=3),
)
def test_an_odd_key_is_left_out_or_used_but_never_an_error(
    algorithm: Algorithm, changes: dict[str, Any]
) -> None:
    """And the good key beside it stays."""
    odd = {**KEYS[algorithm].public_jwk, "kid": "odd", **changes}
    good = KEYS[Algorithm.ES256]

    keys = PublicKeys({"keys": [odd, dict(good.public_jwk)]}, Algorithm)

    assert keys.verify(good.sign(b"{}")).payload == b"{}"


@pytest.mark.parametrize("jwks", [None, 1, "x", [], {}, {"keys": None}, {"keys": {}}, {"keys": 1}])
def test_what_is_no_key_set_is_a_value_error(jwks: object) -> None:
    """An empty list of keys is one, nothing else is."""
    with pytest.raises(ValueError, match="not a JSON Web Key Set"):
        PublicKeys(jwks, Algorithm)
    assert PublicKeys({"keys": []}, Algorithm).kids == frozenset()


@settings(deadline=None)
@given(st.text(max_size=100) | st.text(alphabet="eyJ.09-_", max_size=100))
def test_any_text_verifies_or_is_a_bad_signature(text: str) -> None:
    """Total over every text."""
    with pytest.raises(BadSignature):
        PUBLIC.verify(text)


def test_the_signed_header_is_plain_json() -> None:
    """What other programs parse: three members, no white space."""
    first = KEYS[Algorithm.ES256].sign(b"{}").partition(".")[0]
    header = base64.urlsafe_b64decode(first + "==")

    assert header == json.dumps(json.loads(header), separators=(",", ":")).encode()
