"""Octets become a TokenRequest or an OAuthError: total, and true to what was put in."""

import base64
import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from token_requests import (
    CLIENT_IDS,
    FORM,
    JSON,
    SECRETS,
    TEXTS,
    Octets,
    basic_header,
    form,
    json_body,
)

from hourpass.oauth import secret_format
from hourpass.oauth.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidTarget,
    OAuthError,
    UnsupportedGrantType,
    UnsupportedMediaType,
)
from hourpass.server.clients.model import is_client_id
from hourpass.server.tokens.authenticate import TokenRequest

ID, SECRET = "m2m_0123456789abcdefghjk", "hps_" + "0" * 43 + "2jdc8S"
GRANT = ("grant_type", "client_credentials")
OWN = [("client_id", ID), ("client_secret", SECRET)]
SPELLINGS = st.integers(0, 3)
PIECES = st.sampled_from(
    [
        *(b"&", b"=", b"+", b"%", b"%zz", b"%00", b"%ff", b"%26", b"%3D", b";", b"\0", b"\xff"),
        *(b"grant_type", b"client_credentials", b"client_id", b"client_secret", b"scope"),
        *(b"resource", ID.encode(), SECRET.encode(), b"a:read", b"https://api.example.com"),
        *(b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\u", b"\\ud800", b"null", b"NaN", b"1e999"),
        *(b'{"client_id":"', b'","client_secret":"', b'"}', b"[" * 5000, b"9" * 5000, b" ", b"\n"),
        *(
            b"Basic ",
            b"bearer ",
            b"bSM6",
            base64.b64encode(f"{ID}:{SECRET}".encode()),
            b"\xef\xbb\xbf",
        ),
    ]
)
ANY = st.lists(PIECES | st.binary(max_size=4), max_size=12).map(b"".join)
CONTENT_TYPES = (
    st.sampled_from([FORM, JSON, FORM + b"; charset=utf-8", b"APPLICATION/JSON;a=b", b"text/plain"])
    | ANY
)


@given(
    octets=st.builds(
        Octets,
        body=ANY,
        content_type=CONTENT_TYPES,
        authorization=st.lists(ANY, max_size=2).map(tuple),
        query=st.just(b"") | ANY,
    )
)
@example(octets=Octets(b"[" * 16_000, JSON))
@example(octets=Octets(b'{"x":' * 3_000, JSON))
@example(octets=Octets(b'{"x":' + b"9" * 16_000 + b"}", JSON))
@example(octets=Octets(b"&" * 16_384))
@example(octets=Octets(b"%" * 16_384))
@pytest.mark.spec("threats", "1", "Parsing is strict and total.")
def test_whatever_the_octets_there_is_a_request_or_a_refusal(octets: Octets) -> None:
    """No other exception; a refusal has words that can be sent, a request is well-formed."""
    try:
        request = octets.parse()
    except OAuthError as refusal:
        assert refusal.status in (400, 401, 415)
        assert refusal.description.isascii()
        assert refusal.description.isprintable()
        assert '"' not in refusal.description
        assert "\\" not in refusal.description
        return
    assert is_client_id(request.client_id)
    assert secret_format.is_well_formed(request.secret.reveal())
    assert request.scope != ""
    assert request.resource != ""
    assert request.secret.reveal() not in repr(request)
    assert (request.method == "json") == (b"json" in octets.content_type.lower())
    assert (request.method == "client_secret_basic") == bool(octets.authorization)


def expected(
    client_id: str, secret: str, scope: str | None, resource: str | None
) -> tuple[str, str, str | None, str | None, str, str]:
    """What a request has to say, with what is ours."""
    return client_id, secret, scope, resource, "r-1", "192.0.2.1"


def said(request: TokenRequest) -> tuple[str, str, str | None, str | None, str, str]:
    """What it says."""
    return (
        request.client_id,
        request.secret.reveal(),
        request.scope,
        request.resource,
        request.request_id,
        request.ip,
    )


OPTIONAL = st.none() | TEXTS
UNKNOWN = st.lists(
    st.tuples(TEXTS, TEXTS).filter(lambda pair: "_" not in pair[0] and "s" not in pair[0]),
    max_size=3,
)


@given(
    client_id=CLIENT_IDS,
    secret=SECRETS,
    scope=OPTIONAL,
    resource=OPTIONAL,
    unknown=UNKNOWN,
    spelling=SPELLINGS,
    data=st.data(),
)
@pytest.mark.spec("RFC 6749", "2.3.1", "Including the client credentials in the request-body")
def test_a_form_says_what_was_put_into_it(
    client_id: str,
    secret: str,
    scope: str | None,
    resource: str | None,
    unknown: list[tuple[str, str]],
    spelling: int,
    data: st.DataObject,
) -> None:
    """In any order, with unknown and empty parameters between, however it is escaped."""
    pairs = [GRANT, ("client_id", client_id), ("client_secret", secret), *unknown]
    pairs += [(n, v) for n, v in (("scope", scope), ("resource", resource)) if v is not None]
    pairs += [(name, "") for name in ("scope", "client_id", "nothing")]
    body = form(data.draw(st.permutations(pairs)), spelling)

    request = Octets(body).parse()

    assert said(request) == expected(client_id, secret, scope, resource)
    assert request.method == "client_secret_post"


@given(
    client_id=CLIENT_IDS,
    secret=SECRETS,
    scope=OPTIONAL,
    spelling=SPELLINGS,
    repeats=st.booleans(),
)
@pytest.mark.spec("RFC 6749", "2.3.1", "The client identifier is encoded using the … algorithm")
def test_basic_says_what_was_put_into_it(
    client_id: str, secret: str, scope: str | None, spelling: int, repeats: bool
) -> None:
    """Escaped or not; the same client_id in the body and an empty client_secret are fine."""
    pairs = [GRANT, ("client_secret", "")]
    pairs += [("client_id", client_id)] if repeats else []
    pairs += [("scope", scope)] if scope is not None else []
    header = basic_header(client_id, secret, spelling)

    request = Octets(form(pairs), authorization=(header,)).parse()

    assert said(request) == expected(client_id, secret, scope, None)
    assert request.method == "client_secret_basic"


@given(
    client_id=CLIENT_IDS,
    secret=SECRETS,
    scope=OPTIONAL,
    resource=OPTIONAL,
    names_grant=st.booleans(),
    spelling=SPELLINGS,
)
@pytest.mark.spec("contract", "HTTP", 'JSON {"client_id", "client_secret"[, "scope"]…}')
def test_json_says_what_was_put_into_it(
    client_id: str,
    secret: str,
    scope: str | None,
    resource: str | None,
    names_grant: bool,
    spelling: int,
) -> None:
    """null is absent, unknown members of any shape are ignored, grant_type may be left out."""
    members: dict[str, object] = {
        "client_id": client_id,
        "client_secret": secret,
        "scope": scope,
        "resource": resource,
        "unknown": {"nested": [1, {"scope": "x"}]},
    }
    if names_grant:
        members["grant_type"] = "client_credentials"

    request = Octets(json_body(members, spelling), JSON).parse()

    assert said(request) == expected(client_id, secret, scope, resource)
    assert request.method == "json"


NAMES = st.sampled_from(
    [
        "grant_type",
        "client_id",
        "client_secret",
        "scope",
        "resource",
        "client%5Fid",
        "SCOPE",
        "x",
        "",
    ]
)
VALUES = st.sampled_from(
    [
        *("client_credentials", "client%5fcredentials", ID, SECRET, SECRET.replace("_", "%5F"), ""),
        *("a:read", "a%3Aread+b%20c", "=", "a=b", "password", "%C3%A9", "é", "a;b", "%26", " "),
    ]
)
GOOD_PAIRS = [f"{name}={value}" for name, value in [GRANT, *OWN]]
FORMS = st.lists(
    st.builds("{}={}".format, NAMES, VALUES) | NAMES | st.sampled_from(GOOD_PAIRS), max_size=6
).flatmap(lambda some: st.permutations([*some, *GOOD_PAIRS[: 3 - len(some) % 3]]))


@given(pairs=FORMS)
def test_a_form_is_read_as_the_standard_library_reads_it(pairs: list[str]) -> None:
    """`parse_qsl` as the oracle: the same values, or a refusal for a reason that it shows."""
    body = "&".join(pairs)
    found = [(n, v) for n, v in parse_qsl(body, keep_blank_values=True) if v]
    known = {
        name: [value for n, value in found if n == name]
        for name in ("grant_type", "client_id", "client_secret", "scope", "resource")
    }
    at_most_once = all(
        len(values) <= 1 or (name == "resource" and len(set(values)) == 1)
        for name, values in known.items()
    )
    acceptable = (
        at_most_once
        and known["grant_type"] == ["client_credentials"]
        and known["client_id"] == [ID]
        and known["client_secret"] == [SECRET]
    )
    try:
        request = Octets(body.encode()).parse()
    except OAuthError:
        assert not acceptable
        return
    assert acceptable
    scope, resource = (next(iter(known[name]), None) for name in ("scope", "resource"))
    assert said(request) == expected(ID, SECRET, scope, resource)


REFUSED: dict[str, tuple[Octets, type[OAuthError]]] = {
    "no body": (Octets(), InvalidRequest),
    "no grant type": (Octets(form(OWN)), InvalidRequest),
    "empty grant type": (Octets(form([("grant_type", ""), *OWN])), InvalidRequest),
    "another grant type": (Octets(form([("grant_type", "password"), *OWN])), UnsupportedGrantType),
    "grant type in capitals": (
        Octets(form([("grant_type", "CLIENT_CREDENTIALS"), *OWN])),
        UnsupportedGrantType,
    ),
    "another grant type in JSON": (
        Octets(json_body({**dict(OWN), "grant_type": "password"}), JSON),
        UnsupportedGrantType,
    ),
    "no content type": (Octets(form([GRANT, *OWN]), b""), UnsupportedMediaType),
    "multipart": (Octets(form([GRANT, *OWN]), b"multipart/form-data"), UnsupportedMediaType),
    "two content types": (Octets(form([GRANT, *OWN]), FORM + b", " + FORM), UnsupportedMediaType),
    "no credentials": (Octets(form([GRANT])), InvalidClient),
    "no secret": (Octets(form([GRANT, OWN[0]])), InvalidClient),
    "no ID": (Octets(form([GRANT, OWN[1]])), InvalidClient),
    "grant type twice": (Octets(form([GRANT, GRANT, *OWN])), InvalidRequest),
    "ID twice": (Octets(form([GRANT, *OWN, OWN[0]])), InvalidRequest),
    "secret twice": (Octets(form([GRANT, *OWN, OWN[1]])), InvalidRequest),
    "scope twice": (Octets(form([GRANT, *OWN, ("scope", "a"), ("scope", "a")])), InvalidRequest),
    "two resources": (
        Octets(form([GRANT, *OWN, ("resource", "a"), ("resource", "b")])),
        InvalidTarget,
    ),
    "Basic and body": (
        Octets(form([GRANT, *OWN]), authorization=(basic_header(ID, SECRET),)),
        InvalidRequest,
    ),
    "Basic and JSON": (
        Octets(json_body(dict(OWN)), JSON, (basic_header(ID, SECRET),)),
        InvalidRequest,
    ),
    "two Basics": (
        Octets(form([GRANT]), authorization=(basic_header(ID, SECRET),) * 2),
        InvalidRequest,
    ),
    "Basic, another ID in the body": (
        Octets(
            form([GRANT, ("client_id", ID[:-1] + "0")]), authorization=(basic_header(ID, SECRET),)
        ),
        InvalidRequest,
    ),
    "Bearer": (Octets(form([GRANT]), authorization=(b"Bearer abc",)), InvalidClient),
    "Basic of nothing": (Octets(form([GRANT]), authorization=(b"Basic ",)), InvalidClient),
    "Basic without a colon": (Octets(form([GRANT]), authorization=(b"Basic bTJt",)), InvalidClient),
    "secret in the query": (
        Octets(form([GRANT, *OWN]), query=b"client_secret=x"),
        InvalidRequest,
    ),
    "escaped in the query": (
        Octets(form([GRANT, *OWN]), query=b"a=1&client%5Fsecret=x"),
        InvalidRequest,
    ),
    "101 parameters": (Octets(form([GRANT, *OWN, *[("x", "")] * 98])), InvalidRequest),
    "broken escape": (Octets(form([GRANT, *OWN]) + b"&x=%zz"), InvalidRequest),
    "form in Latin-1": (Octets(form([GRANT, *OWN]) + b"&x=\xe9"), InvalidRequest),
    "JSON list": (Octets(b"[]", JSON), InvalidRequest),
    "JSON text": (Octets(b'"a"', JSON), InvalidRequest),
    "JSON number for a text": (
        Octets(json_body({**dict(OWN), "scope": 7}), JSON),
        InvalidRequest,
    ),
    "JSON list for a text": (
        Octets(json_body({**dict(OWN), "scope": ["a"]}), JSON),
        InvalidRequest,
    ),
    "JSON member twice": (
        Octets(json.dumps(dict(OWN)).encode()[:-1] + b', "client_id": "x"}', JSON),
        InvalidRequest,
    ),
    "JSON nested member twice": (
        Octets(json.dumps(dict(OWN)).encode()[:-1] + b', "x": {"a": 1, "a": 1}}', JSON),
        InvalidRequest,
    ),
    "JSON NaN": (Octets(json_body({**dict(OWN), "x": float("nan")}), JSON), InvalidRequest),
    "JSON half a surrogate pair": (
        Octets(json.dumps(dict(OWN)).encode()[:-1] + b', "scope": "\\ud800"}', JSON),
        InvalidRequest,
    ),
    "JSON and more": (Octets(json_body(dict(OWN)) + b"{}", JSON), InvalidRequest),
    "JSON in UTF-16": (Octets(json.dumps(dict(OWN)).encode("utf-16"), JSON), InvalidRequest),
    "JSON with a BOM": (Octets(b"\xef\xbb\xbf" + json_body(dict(OWN)), JSON), InvalidRequest),
}


@pytest.mark.parametrize("named", REFUSED)
@pytest.mark.spec("threats", "1", "credentials in two places … are 400/405/415, and never a token")
def test_what_is_refused_and_with_which_code(named: str) -> None:
    """Exactly this error, not one that happens to be near."""
    octets, error = REFUSED[named]
    with pytest.raises(OAuthError) as refused:
        octets.parse()
    assert type(refused.value) is error


@given(
    client_id=CLIENT_IDS,
    secret=SECRETS,
    at=st.integers(0, 76),
    put=st.characters(codec="utf-8"),
    spelling=SPELLINGS,
)
@pytest.mark.spec("threats", "4", "Secrets compare whole")
def test_one_character_more_in_id_or_secret_is_the_same_refusal(
    client_id: str, secret: str, at: int, put: str, spelling: int
) -> None:
    """As for a wrong secret, and before anything is read."""
    if at <= 24:
        client_id = client_id[:at] + put + client_id[at:]
    else:
        secret = secret[: at - 24] + put + secret[at - 24 :]
    with pytest.raises(InvalidClient) as refused:
        Octets(form([GRANT, ("client_id", client_id), ("client_secret", secret)], spelling)).parse()
    assert refused.value.reason is None
    assert refused.value.description == "client authentication failed"


def test_exactly_a_hundred_parameters_are_read() -> None:
    """The bound is a bound, not less."""
    assert Octets(form([GRANT, *OWN, *[("x", "")] * 97])).parse().client_id == ID


def test_octets_that_are_no_utf8_are_latin1_where_escaped() -> None:
    """Some clients still write so; a scope is judged later, as text."""
    request = Octets(form([GRANT, *OWN]) + b"&scope=%e9").parse()
    assert request.scope == "é"
