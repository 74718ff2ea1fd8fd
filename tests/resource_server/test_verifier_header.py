"""Hostile tokens: the verifier takes no orders from what it verifies."""

import hashlib
import hmac
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_issuer import ABSENT, AUDIENCE, Clock, LocalIssuer, segment, sign_under

from hourpass.oauth.errors import InvalidToken
from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.resource_server import Verifier

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    """An issuer that publishes one key."""
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def verifier(issuer: LocalIssuer) -> Verifier:
    """A verifier that holds the issuer's keys."""
    verifier = issuer.verifier(Clock())
    verifier.verify(issuer.token())
    return verifier


def _unsigned(issuer: LocalIssuer, alg: object, signature: str = "") -> str:
    header = {"alg": alg, "typ": "at+jwt", "kid": issuer.key.kid}
    body = json.dumps(issuer.claims()).encode()
    return f"{segment(json.dumps(header).encode())}.{segment(body)}.{signature}"


def _hs256(issuer: LocalIssuer, secret: bytes) -> str:
    signed = _unsigned(issuer, "HS256").removesuffix(".")
    return f"{signed}.{segment(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _with_own_key(issuer: LocalIssuer, **header: object) -> str:
    """Signed with a stranger's key that the header offers."""
    stranger = PrivateKey.generate(Algorithm.ES256)
    offered = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid, **header}
    if "jwk" in header:
        offered["jwk"] = dict(stranger.public_jwk)
    claims = json.dumps(issuer.claims()).encode()
    return sign_under(stranger, json.dumps(offered).encode(), claims)


def _swapped(issuer: LocalIssuer) -> str:
    header, _, signature = issuer.token().split(".")
    _, payload, _ = issuer.token(scope="subscription-plans:write").split(".")
    return f"{header}.{payload}.{signature}"


def _other_spelling(issuer: LocalIssuer) -> str:
    """The same octets with other unused bits at the end (86 digits carry 4 bits too many)."""
    token = issuer.token()
    return token[:-1] + ALPHABET[ALPHABET.index(token[-1]) ^ 1]


def _other_algorithm(issuer: LocalIssuer) -> str:
    rsa = PrivateKey.generate(Algorithm.RS256)
    header = {"alg": "RS256", "typ": "at+jwt", "kid": issuer.key.kid}
    return sign_under(rsa, json.dumps(header).encode(), json.dumps(issuer.claims()).encode())


def _repeated_kid(issuer: LocalIssuer) -> str:
    header = f'{{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"{issuer.key.kid}","kid":"x"}}'
    return sign_under(issuer.key, header.encode(), json.dumps(issuer.claims()).encode())


HOSTILE: dict[str, Callable[[LocalIssuer], str]] = {
    "empty": lambda _: "",
    "one dot": lambda _: ".",
    "two dots": lambda _: "..",
    "no token": lambda _: "not-a-token",
    "a client secret": lambda _: "hps_" + "0" * 43 + "2jdc8S",
    "spaces around": lambda issuer: f" {issuer.token()} ",
    "a line feed after": lambda issuer: issuer.token() + "\n",
    "four segments": lambda issuer: issuer.token() + ".e30",
    "five segments, as encrypted": lambda issuer: issuer.token() + "..",
    "not ASCII": lambda issuer: issuer.token() + "é",
    "half a surrogate pair": lambda issuer: issuer.token() + "\ud800",
    "NUL": lambda issuer: issuer.token() + "\0",
    "alg none": lambda issuer: _unsigned(issuer, "none"),
    "alg none with a signature": lambda issuer: _unsigned(issuer, "none", "AAAA"),
    "alg nOnE": lambda issuer: _unsigned(issuer, "nOnE", "AAAA"),
    "alg null": lambda issuer: _unsigned(issuer, None, "AAAA"),
    "alg a list": lambda issuer: _unsigned(issuer, ["ES256"], "AAAA"),
    "HS256 under our JWK": lambda issuer: _hs256(
        issuer, json.dumps(dict(issuer.key.public_jwk)).encode()
    ),
    "HS256 under our x": lambda issuer: _hs256(issuer, issuer.key.public_jwk["x"].encode()),
    "HS256 under our kid": lambda issuer: _hs256(issuer, issuer.key.kid.encode()),
    "HS256 under nothing": lambda issuer: _hs256(issuer, b""),
    "another algorithm": _other_algorithm,
    "another key of the algorithm": _with_own_key,
    "embedded jwk": lambda issuer: _with_own_key(issuer, jwk=True),
    "jku": lambda issuer: _with_own_key(issuer, jku=issuer.url + "/stranger/jwks"),
    "x5u": lambda issuer: _with_own_key(issuer, x5u=issuer.url + "/stranger/cert"),
    "x5c": lambda issuer: _with_own_key(issuer, x5c=["AAAA"]),
    "jku in a well signed token": lambda issuer: issuer.token_with_header(jku=issuer.url),
    "jwk in a well signed token": lambda issuer: issuer.token_with_header(
        jwk=dict(issuer.key.public_jwk)
    ),
    "crit": lambda issuer: issuer.token_with_header(crit=["exp"]),
    "crit, empty": lambda issuer: issuer.token_with_header(crit=[]),
    "crit b64": lambda issuer: issuer.token_with_header(crit=["b64"], b64=False),
    "typ absent": lambda issuer: issuer.token_with_header(typ=ABSENT),
    "typ JWT": lambda issuer: issuer.token_with_header(typ="JWT"),
    "typ of an ID token": lambda issuer: issuer.token_with_header(typ="id_token+jwt"),
    "typ, longer": lambda issuer: issuer.token_with_header(typ="at+jwt2"),
    "typ, another tree": lambda issuer: issuer.token_with_header(typ="text/at+jwt"),
    "typ with a space": lambda issuer: issuer.token_with_header(typ="at+jwt "),
    "typ a list": lambda issuer: issuer.token_with_header(typ=["at+jwt"]),
    "typ null": lambda issuer: issuer.token_with_header(typ=None),
    "a repeated name in the header": _repeated_kid,
    "swapped payload": _swapped,
    "signature cut by one digit": lambda issuer: issuer.token()[:-1],
    "signature cut in half": lambda issuer: issuer.token()[:-43],
    "signature of zeros": lambda issuer: issuer.token().rpartition(".")[0] + "." + "A" * 86,
    "signature with more after it": lambda issuer: issuer.token() + "AAAA",
    "another spelling of the signature": _other_spelling,
    "padded base64": lambda issuer: issuer.token() + "==",
    "header not JSON": lambda issuer: sign_under(issuer.key, b"{", b"{}"),
    "header no object": lambda issuer: sign_under(issuer.key, b'["kid"]', b"{}"),
    "header nested deeply": lambda issuer: sign_under(issuer.key, b"[" * 3000, b"{}"),
    "header not UTF-8": lambda issuer: sign_under(issuer.key, b'{"kid":"\xff"}', b"{}"),
    "8 KiB and an octet": lambda issuer: "A" * 8193,
    "a megabyte of segments": lambda issuer: "A." * 500_000,
    "a good token, too long": lambda issuer: issuer.token(padding="x" * 6500),
}


@pytest.mark.spec("RFC 8725", "3.1", "the key set says the algorithm, the token does not")
@pytest.mark.spec("RFC 9068", "4", 'the typ header value is "at+jwt" or "application/at+jwt"')
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused_and_nothing_is_fetched(
    name: str, issuer: LocalIssuer, verifier: Verifier
) -> None:
    """Each is InvalidToken, with words for the caller and a detail for the operator."""
    token = HOSTILE[name](issuer)
    before = list(issuer.requests)

    with pytest.raises(InvalidToken) as refusal:
        verifier.verify(token)

    assert refusal.value.code == "invalid_token"
    assert refusal.value.description.isascii()
    assert refusal.value.detail.isascii()
    assert token == "" or len(token) < 8 or token not in refusal.value.detail
    assert issuer.requests == before


def test_no_depth_of_a_header_is_a_fault(issuer: LocalIssuer, verifier: Verifier) -> None:
    """Also where less of the stack is left than when the same header was seen before."""

    def refuse(token: str, below: int) -> None:
        if below:
            refuse(token, below - 1)
        else:
            with pytest.raises(InvalidToken):
                verifier.verify(token)

    for depth in (*range(17, 900, 97), *range(900, 1001)):
        header = f'{{"alg":"ES256","kid":"{issuer.key.kid}","typ":{"[" * depth}{"]" * depth}}}'
        token = sign_under(issuer.key, header.encode(), b"{}")
        refuse(token, 0)
        refuse(token, sys.getrecursionlimit() // 2)


@pytest.mark.parametrize(
    "kid",
    [
        ABSENT,
        None,
        True,
        0,
        -1,
        1.5,
        [],
        {},
        ["a"],
        "",
        "../../../../dev/null",
        "/etc/passwd",
        "' or 1=1 --",
        "http://127.0.0.1/jwks.json",
        "\0",
        "\ud800",
        "a" * 4000,
    ],
)
def test_an_odd_kid_names_no_key(kid: object) -> None:
    """Whatever its type and text: refused, and at most our own key set is read again."""
    with LocalIssuer() as issuer:
        verifier = issuer.verifier(Clock())
        verifier.verify(issuer.token())
        issuer.requests.clear()

        with pytest.raises(InvalidToken):
            verifier.verify(issuer.token_with_header(kid=kid))

        assert set(issuer.requests) <= {"/.well-known/jwks.json"}
        assert len(issuer.requests) <= 1


@pytest.mark.spec("RFC 9068", "4", "the typ header value is compared without case")
@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_every_spelling_of_the_media_type_is_good(
    typ: str, issuer: LocalIssuer, verifier: Verifier
) -> None:
    """Media types have no case and may leave out `application/` (RFC 7515 section 4.1.9)."""
    assert verifier.verify(issuer.token_with_header(typ=typ)).key_id == issuer.key.kid


@settings(deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="abcXYZ019-_.=", max_size=200))
def test_any_text_is_a_token_or_invalid(text: str) -> None:
    """No text raises anything but InvalidToken, and none of them needs a key."""
    with pytest.raises(InvalidToken):
        UNREACHABLE.verify(text)


@settings(deadline=None)
@given(st.data())
def test_no_character_of_a_token_can_be_changed(
    issuer: LocalIssuer, verifier: Verifier, data: st.DataObject
) -> None:
    """A good token with one character changed, lost or added is refused."""
    good = issuer.token()
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from(ALPHABET + ".=+/ ").filter(lambda digit: digit != good[at]))
    change = data.draw(st.sampled_from(["change", "lose", "add"]))
    changed = {
        "change": good[:at] + other + good[at + 1 :],
        "lose": good[:at] + good[at + 1 :],
        "add": good[:at] + other + good[at:],
    }[change]

    with pytest.raises(InvalidToken):
        verifier.verify(changed)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_each_algorithm_can_be_allowed_alone(algorithm: Algorithm) -> None:
    """A key of an algorithm that is not allowed is not in the set, so its tokens are refused."""
    with LocalIssuer() as issuer:
        keys = {name: PrivateKey.generate(name) for name in Algorithm}
        issuer.show(*keys.values())
        verifier = issuer.verifier(Clock(), algorithms=[algorithm])

        assert verifier.verify(issuer.token(keys[algorithm])).key_id == keys[algorithm].kid
        for other in set(Algorithm) - {algorithm}:
            with pytest.raises(InvalidToken):
                verifier.verify(issuer.token(keys[other]))


@pytest.mark.parametrize("algorithms", [[], ["none"], ["HS256"], ["ES256", "HS256"]])
def test_only_the_three_algorithms_can_be_allowed(algorithms: list[str]) -> None:
    """A verifier that would allow `none` or a shared secret cannot be made."""
    with pytest.raises(ValueError, match="lgorithm"):
        Verifier("https://auth.example.com", AUDIENCE, algorithms=algorithms)


@pytest.mark.parametrize(
    ("issuer", "audience", "jwks_uri"),
    [
        ("", AUDIENCE, None),
        ("auth.example.com", AUDIENCE, None),
        ("ftp://auth.example.com", AUDIENCE, None),
        ("https://", AUDIENCE, None),
        ("https://auth.example.com#part", AUDIENCE, None),
        (None, AUDIENCE, None),
        ("http://[", AUDIENCE, None),
        ("https://auth.example.com", "", None),
        ("https://auth.example.com", None, None),
        ("https://auth.example.com", [AUDIENCE], None),
        ("https://auth.example.com", AUDIENCE, "file:///etc/passwd"),
        ("https://auth.example.com", AUDIENCE, ""),
    ],
)
def test_settings_that_can_verify_nothing_are_refused(
    issuer: Any, audience: Any, jwks_uri: str | None
) -> None:
    """At once, and not with the first token; the line names the setting."""
    with pytest.raises(ValueError, match=r"^(issuer|audience|jwks_uri) is "):
        Verifier(issuer, audience, jwks_uri=jwks_uri)


@pytest.mark.parametrize("issuer", ["http://auth.example.com", "http://10.0.0.1:8080"])
def test_keys_are_not_looked_for_in_the_clear(issuer: str) -> None:
    """Whoever is on the way could put in keys of his own; an address that was chosen is good."""
    with pytest.raises(ValueError, match=f"issuer {issuer} is plain http: .*; use https"):
        Verifier(issuer, AUDIENCE)
    Verifier(issuer, AUDIENCE, jwks_uri="http://keys.internal/jwks.json")
    Verifier("http://a.localhost:8080", AUDIENCE)


UNREACHABLE = Verifier("http://127.0.0.1:1", AUDIENCE)
