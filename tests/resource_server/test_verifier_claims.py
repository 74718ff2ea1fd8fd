"""Claims by type and value: what is not exactly right is InvalidToken, and never a crash."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_issuer import ABSENT, AUDIENCE, CLIENT_ID, NOW, Clock, LocalIssuer

from hourpass.oauth.errors import InvalidToken
from hourpass.resource_server import AccessToken, Verifier

ISSUER = "https://auth.example.com"


@pytest.fixture(scope="module")
def issuer() -> Iterator[LocalIssuer]:
    """An issuer that publishes one key."""
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def verifier(issuer: LocalIssuer) -> Verifier:
    """A verifier that holds the issuer's keys."""
    return issuer.verifier(Clock())


def test_a_good_token_says_who_may_do_what(issuer: LocalIssuer, verifier: Verifier) -> None:
    """Scopes are a set, times are aware UTC datetimes, and the payload is there to read."""
    token = verifier.verify(issuer.token())

    assert token == AccessToken(
        client_id=CLIENT_ID,
        scopes=frozenset({"customers:read", "profile:write"}),
        org_id="default",
        issued_at=datetime.fromtimestamp(NOW, UTC),
        expires_at=datetime.fromtimestamp(NOW + 3600, UTC),
        jti="0a1b2c",
        key_id=issuer.key.kid,
        claims={},
    )
    assert token.claims["gen"] == 0


def test_a_verified_token_cannot_be_changed_or_shown(
    issuer: LocalIssuer, verifier: Verifier
) -> None:
    """It is shared between requests, and its repr ends up in logs."""
    text = issuer.token()
    token = verifier.verify(text)

    with pytest.raises(TypeError):
        token.claims["scope"] = "everything"  # type: ignore[index]  # what must not work
    with pytest.raises(AttributeError):
        token.scopes = frozenset()  # type: ignore[misc]  # what must not work
    assert not any(part in repr(token) for part in text.split("."))
    assert len({token, verifier.verify(text)}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": ABSENT},
        {"org_id": ABSENT},
        {"gen": ABSENT},
        {"aud": [AUDIENCE]},
        {"aud": ["https://other.example.com", AUDIENCE]},
        {"exp": NOW + 1},
        {"exp": NOW + 0.5},
        {"iat": NOW + 60},
        {"iat": 0},
        {"nbf": NOW + 60},
        {"nbf": NOW - 1},
        {"nbf": 0.0},
        {"act": {"sub": "someone"}, "cnf": [1, None, {"a": [[]]}]},
    ],
)
def test_what_a_token_may_leave_out_or_add(
    changes: dict[str, object], issuer: LocalIssuer, verifier: Verifier
) -> None:
    """Good tokens at the edges of what is allowed."""
    verifier.verify(issuer.token(**changes))


@pytest.mark.spec("RFC 6749", "3.3", "a token without a scope grants nothing")
def test_no_scope_is_no_permission(issuer: LocalIssuer, verifier: Verifier) -> None:
    """An absent scope is not every scope."""
    assert verifier.verify(issuer.token(scope=ABSENT)).scopes == frozenset()


NOT_A_TEXT: list[object] = [ABSENT, None, True, 0, 1.5, "", [], {}, ["x"], {"x": "y"}]
NOT_A_TIME: list[object] = [
    *(ABSENT, None, True, False, "", "1780003600", "now", [], {}, [NOW + 60]),
    *(-1, -0.5, -(10**400), 10**400, 10**4000, 32_503_680_001, 1e300, 253_402_300_800),
]
WRONG: list[tuple[str, object]] = [
    *(("sub", value) for value in NOT_A_TEXT),
    *(("client_id", value) for value in NOT_A_TEXT),
    *(("jti", value) for value in NOT_A_TEXT),
    *(("org_id", value) for value in NOT_A_TEXT if value is not ABSENT),
    *(("scope", value) for value in NOT_A_TEXT if value is not ABSENT),
    *(("scope", value) for value in (" a", "a ", "a  b", "a\tb", 'a"b', "a\\b", "é", "a" * 4097)),
    *(("exp", value) for value in (*NOT_A_TIME, NOW, NOW - 1, NOW - 0.001, 0)),
    *(("iat", value) for value in (*NOT_A_TIME, NOW + 61, NOW + 60.5)),
    *(("nbf", value) for value in (*NOT_A_TIME[1:], NOW + 61, NOW + 60.5)),
    *(("iss", value) for value in (*NOT_A_TEXT, "https://auth.example.com")),
    *(("aud", value) for value in (*NOT_A_TEXT, "https://other.example.com")),
    ("aud", AUDIENCE + "/"),
    ("aud", AUDIENCE[:-1]),
    ("aud", f"x{AUDIENCE}"),
    ("aud", f"{AUDIENCE} https://other.example.com"),
    ("aud", AUDIENCE.upper()),
    ("aud", {AUDIENCE: True}),
    ("aud", [[AUDIENCE]]),
    ("aud", [AUDIENCE, None]),
    ("aud", [1, AUDIENCE]),
    ("aud", ["https://other.example.com", f"{AUDIENCE}/x"]),
]


@pytest.mark.spec("RFC 9068", "4", "iss, aud and exp are validated; else the token is rejected")
@pytest.mark.parametrize(("claim", "value"), WRONG, ids=lambda value: ascii(value)[:40])
def test_a_claim_of_a_wrong_type_or_value_is_refused(
    claim: str, value: object, issuer: LocalIssuer, verifier: Verifier
) -> None:
    """The caller learns what to do, the operator which claim it was."""
    with pytest.raises(InvalidToken) as refusal:
        verifier.verify(issuer.token(**{claim: value}))

    assert claim in refusal.value.detail
    assert refusal.value.detail.isascii()


@pytest.mark.parametrize("changed", ["{}/", "{}x", "x{}", "{}/../", "{}?", "{}#"])
def test_an_issuer_is_equal_or_it_is_another(
    changed: str, issuer: LocalIssuer, verifier: Verifier
) -> None:
    """A prefix, a suffix and what a URL library would call the same are other issuers."""
    with pytest.raises(InvalidToken):
        verifier.verify(issuer.token(iss=changed.format(issuer.url)))


PAYLOADS = {
    "empty": b"",
    "not JSON": b"{",
    "a string": b'"iss"',
    "a number": b"1",
    "null": b"null",
    "a list": b'[["iss", "x"]]',
    "more after it": b"%s{}",
    "a comment": b"/**/%s",
    "a byte order mark": b"\xef\xbb\xbf%s",
    "not UTF-8": b'{"a":"\xff"}',
    "encoded half of a surrogate pair": b'{"a":"\xed\xa0\x80"}',
    "nested deeply": b"[" * 4000,
    "an object nested deeply": b'{"a":' * 1000,
}
MEMBERS = {
    "a duplicate claim": ',"exp":1780003600',
    "a duplicate with another value": ',"aud":"https://other.example.com"',
    "a duplicate further down": ',"x":{"a":1,"a":1}',
    "NaN": ',"x":NaN',
    "Infinity": ',"x":Infinity',
    "-Infinity": ',"x":-Infinity',
    "exp NaN, again": ',"exp":NaN',
    "a float out of range": ',"x":1e999',
    "an integer too long to read": ',"x":' + "9" * 5000,
    "half of a surrogate pair": ',"x":"\\ud800"',
    "half of a surrogate pair in a name": ',"\\udfff":1',
    "an escaped duplicate": ',"\\u0065xp":1780003600',
    "a raw control character": ',"x":"\x01"',
    "lists nested 16 deep": ',"x":' + "[" * 16 + "]" * 16,
    "objects nested 16 deep": ',"x":' + '{"a":' * 16 + "1" + "}" * 16,
    "lists nested 900 deep": ',"x":' + "[" * 900 + "]" * 900,
    "a single quote": ",'x':1",
    "a trailing comma": ",",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_that_is_no_json_object_is_refused(
    name: str, issuer: LocalIssuer, verifier: Verifier
) -> None:
    """Although our own key signed it."""
    good = json.dumps(issuer.claims()).encode()
    with pytest.raises(InvalidToken):
        verifier.verify(issuer.key.sign(PAYLOADS[name].replace(b"%s", good)))


@pytest.mark.spec("RFC 8259", "4", "the names within an object should be unique: here they must")
@pytest.mark.parametrize("name", MEMBERS)
def test_json_that_readers_disagree_about_is_refused(
    name: str, issuer: LocalIssuer, verifier: Verifier
) -> None:
    """What two programs may read differently is not judged at all."""
    good = json.dumps(issuer.claims()).removesuffix("}")
    payload = (good + MEMBERS[name] + "}").encode()
    with pytest.raises(InvalidToken):
        verifier.verify(issuer.key.sign(payload))


@pytest.mark.spec("RFC 9068", "4", "the current time must be before the time of exp")
def test_a_token_ends_with_its_last_second(issuer: LocalIssuer) -> None:
    """Good until just before `exp`, not at it, whether it was verified before or not."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    token, other = issuer.token(), issuer.token(jti="another")
    clock.now = NOW + 3599.999
    verifier.verify(token)

    clock.now = NOW + 3600
    for text in (token, other):
        with pytest.raises(InvalidToken, match="expired"):
            verifier.verify(text)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([AUDIENCE, ISSUER, NOW, NOW + 60.0, "a b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = ["iss", "sub", "client_id", "aud", "scope", "iat", "exp", "nbf", "jti", "org_id"]


def _judged(issuer: LocalIssuer, verifier: Verifier, payload: bytes) -> AccessToken | None:
    try:
        return verifier.verify(issuer.key.sign(payload))
    except InvalidToken:
        return None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON, min_size=1, max_size=4))
def test_any_claims_are_good_or_invalid(
    issuer: LocalIssuer, verifier: Verifier, changes: dict[str, object]
) -> None:
    """Nothing but InvalidToken is raised; what passes has the types that it promises."""
    payload = json.dumps(issuer.claims(**changes)).encode()
    token = _judged(issuer, verifier, payload)

    if token is not None:
        claims = json.loads(payload)
        assert claims["iss"] == issuer.url
        assert AUDIENCE in ([claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"])
        assert token.expires_at.timestamp() > NOW
        assert token.issued_at.timestamp() <= NOW + 60
        assert token.client_id and token.jti
        assert token.scopes == frozenset(claims.get("scope", "").split())


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_payload_is_good_or_invalid(
    issuer: LocalIssuer, verifier: Verifier, payload: bytes
) -> None:
    """Signed octets of any kind are InvalidToken: none of these names our issuer."""
    assert _judged(issuer, verifier, payload) is None


@settings(deadline=None)
@given(st.floats(allow_nan=True) | st.integers())
def test_any_number_as_a_time_is_good_or_invalid(
    issuer: LocalIssuer, verifier: Verifier, value: float
) -> None:
    """`exp` is good when it lies in the future and is a date at all."""
    token = _judged(issuer, verifier, json.dumps(issuer.claims(exp=value)).encode())

    assert (token is not None) == (NOW < value <= 32_503_680_000)
