"""Metadata (RFC 8414) and keys (RFC 7517): public, cacheable, and nobody's but the issuer's."""

import json
import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from raw_http import Connection
from request_templates import POST, Template, form
from token_answers import claims_in, refused, token_in

from hourpass.server.keys import operations
from support.installation import TESTER, Credentials, Installation, Server

METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"
ISSUER = "https://auth.example.com/sub/path"
BOTH = pytest.mark.parametrize("path", [METADATA, JWKS])
LIES = (
    ("X-Forwarded-Host", "attacker.example"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Forwarded-Port", "4711"),
    ("Forwarded", "host=attacker.example;proto=https"),
    ("X-Original-URL", "/evil"),
    ("X-Host", "attacker.example"),
)


@pytest.fixture(scope="module")
def credentials(shared_server: Server) -> Credentials:
    """A client of two APIs."""
    return shared_server.installation.create_client("customers:read", "invoices:read")


@pytest.fixture
def server_with_path(installation: Installation) -> Iterator[Server]:
    """A server whose issuer has a path."""
    running = Server(installation, HOURPASS_ISSUER=ISSUER)
    yield running
    running.stop()


@pytest.mark.spec("RFC 8414", "2", "issuer, token_endpoint, jwks_uri, response_types_supported")
@pytest.mark.spec("contract", "HTTP", "response_types_supported: [] and an authorization_endpoint")
def test_the_metadata_is_that_of_the_issuer(shared_server: Server) -> None:
    """Byte for byte, and every URL in it is one that answers."""
    answer = shared_server.http.get(METADATA)

    document = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert f'"issuer":"{shared_server.url}"' in answer.text
    assert document["token_endpoint"] == f"{shared_server.url}/token"
    assert document["jwks_uri"] == f"{shared_server.url}{JWKS}"
    assert document["response_types_supported"] == []
    assert document["grant_types_supported"] == ["client_credentials"]
    assert set(document["token_endpoint_auth_methods_supported"]) >= {
        "client_secret_basic",
        "client_secret_post",
    }
    assert httpx.get(document["jwks_uri"], trust_env=False).status_code == 200
    assert httpx.get(document["authorization_endpoint"], trust_env=False).status_code == 400
    assert httpx.post(document["token_endpoint"], trust_env=False).status_code == 415


@pytest.mark.spec("threats", "10", "No Host, Forwarded or X-Forwarded header changes iss or a link")
def test_no_header_changes_the_issuer(shared_server: Server, credentials: Credentials) -> None:
    """Metadata, keys, the token and the sign-in page are the same as without them."""
    for path in (METADATA, JWKS, "/authorize"):
        plain = shared_server.http.get(path, headers={"Accept": "text/html"})
        for host in ("attacker.example", "localhost", "", "[::1]:1"):
            headers = [("Host", host), ("Accept", "text/html"), *LIES]
            assert shared_server.http.get(path, headers=headers).content == plain.content

    lied = form(POST, ("Host", "attacker.example"), *LIES).send(shared_server, credentials)
    assert claims_in(lied)["iss"] == shared_server.url


@pytest.mark.parametrize("target", [METADATA, "http://attacker.example" + METADATA])
@pytest.mark.parametrize("host", ["Host: attacker.example\r\nHost: other.example", "X: y"])
def test_no_target_and_no_missing_host_changes_it_either(
    shared_server: Server, target: str, host: str
) -> None:
    """An absolute target, two hosts, none."""
    plain = shared_server.http.get(METADATA).content
    with Connection(shared_server) as connection:
        connection.send(f"GET {target} HTTP/1.1\r\n{host}\r\n\r\n".encode())
        answer = connection.answer()

    assert answer.body == plain or answer.status == 400
    assert b"attacker" not in answer.body


@pytest.mark.spec("RFC 8414", "3.1", "the well-known path stands between host and path")
@pytest.mark.spec("contract", "HTTP", "with a path in the issuer it is inserted and appended")
def test_an_issuer_with_a_path_has_its_metadata_in_both_places(
    server_with_path: Server,
) -> None:
    """And tokens, keys and everything else below the path, or with the path stripped."""
    server, path = server_with_path, urlsplit(ISSUER).path
    credentials = server.installation.create_client("customers:read")

    inserted = server.http.get(METADATA + path)
    appended = server.http.get(path + METADATA)

    assert inserted.status_code == appended.status_code == 200
    assert inserted.content == appended.content
    assert inserted.json()["issuer"] == ISSUER
    for name in ("token_endpoint", "jwks_uri", "authorization_endpoint"):
        assert inserted.json()[name].startswith(f"{ISSUER}/")
    keys = server.http.get(urlsplit(inserted.json()["jwks_uri"]).path)
    below = form(POST).send(server, credentials)
    stripped = Template(POST, target=f"{path}/token").send(server, credentials)
    for answer in (below, stripped):
        assert claims_in(answer)["iss"] == ISSUER
        jwt.decode(token_in(answer), KeySet.import_key_set(keys.json()))
    management = f"{ISSUER}/api/v1"
    manager = server.installation.create_client("hourpass.clients:read")
    asked = Template(f"{POST}&resource={management}").send(server, manager)
    assert claims_in(asked)["aud"] == management


@pytest.mark.spec("contract", "HTTP", "Every published key has kid, alg, use")
@pytest.mark.spec("threats", "9", "The JWKS never holds a private member.")
def test_the_keys_are_public_and_complete(shared_server: Server) -> None:
    """One algorithm in the set; nothing in it that a private key would have."""
    answer = shared_server.http.get(JWKS)

    assert answer.status_code == 200
    assert answer.json().keys() == {"keys"}
    keys = answer.json()["keys"]
    assert len(keys) >= 1
    for key in keys:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert len({key["kid"] for key in keys}) == len(keys)


@pytest.mark.spec("RFC 7638", "3", "the thumbprint of the key")
@pytest.mark.spec("RFC 9068", "2.1", 'the typ of the header is "at+jwt"')
@pytest.mark.spec("RFC 9068", "2.2", "iss, exp, aud, sub, client_id, iat, jti")
def test_another_library_verifies_the_tokens(
    shared_server: Server, credentials: Credentials
) -> None:
    """Key set and token as they come from the server; the key's name is its thumbprint."""
    answer = shared_server.token(credentials)
    keys = KeySet.import_key_set(shared_server.http.get(JWKS).json())

    token = jwt.decode(token_in(answer), keys, algorithms=["ES256"])

    assert token.header["typ"] == "at+jwt"
    assert token.header.keys() == {"alg", "typ", "kid"}
    named = next(key for key in keys.keys if key.kid == token.header["kid"])
    assert named.kid == named.thumbprint()
    assert token.claims.keys() == {
        *("iss", "sub", "client_id", "aud", "scope", "iat", "exp", "jti", "org_id", "gen"),
    }
    assert (token.claims["iss"], token.claims["org_id"]) == (shared_server.url, "default")
    for name in ("iat", "exp", "gen"):
        assert type(token.claims[name]) is int
    assert len(token.claims["jti"]) >= 22


@pytest.mark.spec("threats", "9", "The key set follows the keys.")
def test_a_revoked_key_signs_nothing_more_and_leaves_the_set(server: Server) -> None:
    """The next token is the next key's; within seconds the set, and its ETag, are others."""
    context = server.installation.context
    credentials = server.installation.create_client("customers:read")
    before, token = server.http.get(JWKS), token_in(server.token(credentials))
    signer = jwt.decode(token, KeySet.import_key_set(before.json())).header["kid"]

    operations.revoke(context.database, context.policy, signer, TESTER)

    renewed = token_in(server.token(credentials))
    verified = jwt.decode(renewed, KeySet.import_key_set(before.json()))
    assert verified.header["kid"] != signer
    deadline = time.monotonic() + 5
    while (after := server.http.get(JWKS)).content == before.content:
        assert time.monotonic() < deadline, "the key set stays as it was"
        time.sleep(0.05)
    assert signer not in after.text
    assert verified.header["kid"] in after.text
    assert after.headers["etag"] != before.headers["etag"]
    tags = {"If-None-Match": before.headers["etag"]}
    assert server.http.get(JWKS, headers=tags).status_code == 200


@BOTH
@pytest.mark.spec("contract", "HTTP", "max-age=300, ETag")
def test_discovery_is_cached_for_five_minutes(shared_server: Server, path: str) -> None:
    """And costs no body when it has not changed."""
    first = shared_server.http.get(path)
    tag = first.headers["etag"]

    assert first.headers["cache-control"] == "public, max-age=300"
    assert re.fullmatch(r'"[!#-~]+"', tag)
    assert shared_server.http.get(path).headers["etag"] == tag
    for tags in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        unchanged = shared_server.http.get(path, headers={"If-None-Match": tags})
        assert unchanged.status_code == 304
        assert unchanged.content == b""
        assert unchanged.headers["etag"] == tag
        assert unchanged.headers["cache-control"] == "public, max-age=300"
        assert "content-length" not in unchanged.headers
    for tags in ('"other"', '""', tag[:-2] + '"', ""):
        changed = shared_server.http.get(path, headers={"If-None-Match": tags})
        assert changed.content == first.content


@BOTH
@pytest.mark.spec("RFC 9110", "9.3.2", "HEAD: the header fields of GET, and no content")
def test_head_is_get_without_a_body(shared_server: Server, path: str) -> None:
    """The length is that of the body it leaves out; the connection goes on."""
    get = shared_server.http.get(path)
    with Connection(shared_server) as connection:
        connection.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = connection.head()
        health = connection.answer()

    assert head.status == health.status == 200
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.header(name) == get.headers[name]


@BOTH
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_discovery_is_only_read(shared_server: Server, path: str, method: str) -> None:
    """405, and which methods there are."""
    answer = shared_server.http.request(method, path)

    refused(answer, 405, "invalid_request")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.spec("threats", "6", "no CORS on token, admin or API routes")
def test_only_discovery_is_for_scripts_of_other_sites(shared_server: Server) -> None:
    """Public documents are; nothing else is, not even errors and health."""
    headers = {"Origin": "https://spa.example"}
    open_to_all = {
        path
        for path in (
            *(METADATA, JWKS, "/authorize", "/healthz", "/readyz", "/token", "/", "/nowhere"),
            *("/admin/", "/api/v1/clients", "/introspect", "/revoke", "/verify", "/leaks"),
        )
        if "access-control-allow-origin" in shared_server.http.get(path, headers=headers).headers
    }

    assert open_to_all == {METADATA, JWKS}
    answer = shared_server.http.get(METADATA, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.spec("contract", "HTTP", "/.well-known/openid-configuration is 404")
@pytest.mark.parametrize(
    "path",
    [
        *(
            "/.well-known/openid-configuration",
            "/.well-known/",
            "/token/",
            "/TOKEN",
            "//token",
        ),
        *("/jwks.json", f"{JWKS}/", f"{METADATA}/", f"{METADATA}/other", "/.well-known/webfinger"),
        *("/../etc/passwd", "/%2e%2e/token", "/static/x", "/favicon.ico", "/docs", "/openapi.json"),
        *("/token;x=y", "/token%20", "/token%2f", "/x/../token"),
    ],
)
def test_there_is_nothing_else(shared_server: Server, path: str) -> None:
    """404 in JSON, for every method, and never cached as a page."""
    with Connection(shared_server) as connection:
        for method in ("GET", "POST", "DELETE"):
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
            connection.send(head.encode())
            answer = connection.answer()
            assert answer.status == 404
            assert answer.header("content-type") == "application/json"
            assert answer.header("cache-control") == "no-store"
            assert json.loads(answer.body)["error"] == "not_found"
