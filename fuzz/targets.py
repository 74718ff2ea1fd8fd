"""What is fuzzed: each target takes octets and raises only when a promise is broken.

`tests/fuzz/` runs every file in `fuzz/corpus/` through its target, so that a finding stays found.
"""

import base64
import json
from collections.abc import Callable

from hourpass.oauth import basic, scope, secret_format
from hourpass.oauth.errors import InvalidScope, InvalidToken, OAuthError
from hourpass.oauth.jose import Algorithm, BadSignature, PrivateKey, PublicKeys
from hourpass.resource_server.claims import judge
from hourpass.server.tokens import authenticate
from hourpass.server.tokens.authenticate import RawRequest

_FORM = b"application/x-www-form-urlencoded"
# The key set knows another key by the name of the one that signs: nothing can verify.
_KEY = PrivateKey.generate(Algorithm.ES256)
_OTHER = {**PrivateKey.generate(Algorithm.ES256).public_jwk, "kid": _KEY.kid}
_KEYS = PublicKeys({"keys": [_OTHER]}, list(Algorithm))


def form(octets: bytes) -> None:
    """A form body: a request or an OAuthError; never anything else."""
    _token_request(_FORM, [], octets)


def form_with_basic(octets: bytes) -> None:
    """A header, then a form body after the first NUL."""
    header, _, body = octets.partition(b"\0")
    _token_request(_FORM, [header], body or b"grant_type=client_credentials")


def json_body(octets: bytes) -> None:
    """A JSON body."""
    _token_request(b"application/json", [], octets)


def basic_header(octets: bytes) -> None:
    """A Basic header decodes or is a ValueError; what decodes survives being encoded again."""
    try:
        user, password = basic.decode(octets.decode("latin-1"))
    except ValueError:
        return
    if not (user + password).isascii() or ":" in user:
        return
    assert basic.decode(basic.encode(user, password)) == (user, password)


def scope_parameter(octets: bytes) -> None:
    """A scope parses or is InvalidScope; what parses joins to the same set."""
    try:
        names = scope.parse(octets.decode("latin-1"))
    except InvalidScope:
        return
    assert set(scope.parse(scope.join(names))) == set(names)


def jws(octets: bytes) -> None:
    """A compact JWS that we did not sign is BadSignature."""
    try:
        _KEYS.verify(octets.decode("latin-1"))
    except BadSignature:
        return
    raise AssertionError("a forged token verified")


def claims(octets: bytes) -> None:
    """A signed payload is an access token or InvalidToken."""
    try:
        token = judge(octets, issuer="i", audience="a", key_id="k", now=1_800_000_000.0)
    except InvalidToken:
        return
    assert token.client_id
    assert json.loads(octets)["iss"] == "i"


def _token_request(content_type: bytes, authorization: list[bytes], body: bytes) -> None:
    raw = RawRequest(content_type=content_type, authorization=authorization, query=b"", body=body)
    try:
        request = authenticate.parse(raw)
    except OAuthError:
        return
    assert request.client_id.startswith("m2m_")
    assert secret_format.is_well_formed(request.secret.reveal())


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (form, form_with_basic, json_body, basic_header, scope_parameter, jws, claims)
}


def seeds(name: str) -> list[bytes]:
    """Something to begin with that gets past the first checks."""
    secret = "hps_" + "0" * 43
    secret += secret_format.checksum(secret)
    client_id = "m2m_" + "0" * 20
    pair = base64.b64encode(f"{client_id}:{secret}".encode())
    parameters = {"client_id": client_id, "client_secret": secret, "scope": "a:b", "resource": "r"}
    body = "&".join(f"{k}={v}" for k, v in parameters.items())
    good = {
        "iss": "i", "aud": "a", "sub": "c", "client_id": "c", "iat": 1_800_000_000,
        "exp": 1_800_003_600, "jti": "j", "scope": "a:b", "org_id": "default", "gen": 1,
    }  # fmt: skip
    return {
        "form": [f"grant_type=client_credentials&{body}".encode()],
        "form_with_basic": [b"Basic " + pair + b"\0grant_type=client_credentials&scope=a%20b"],
        "json_body": [json.dumps(parameters).encode()],
        "basic_header": [b"Basic " + pair],
        "scope_parameter": [b"a:b c:d"],
        "jws": [_KEY.sign(b"{}").encode()],
        "claims": [json.dumps(good).encode()],
    }[name]
