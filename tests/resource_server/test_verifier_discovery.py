"""Keys are found where configuration and metadata say, and read only if they are keys."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from local_issuer import (
    AUDIENCE,
    JWKS,
    METADATA,
    NOW,
    Clock,
    LocalIssuer,
    Script,
    document,
    octets,
    settle,
    status,
)
from tls_server import TlsServer

from hourpass.resource_server import KeysUnavailable, Verifier

LATER = NOW + 1_000_000


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """An issuer that publishes one key."""
    with LocalIssuer() as issuer:
        yield issuer


@pytest.mark.spec("RFC 8414", "3.1", "metadata is found at the issuer's well-known path")
def test_keys_are_found_through_metadata_once(issuer: LocalIssuer) -> None:
    """Two requests for the first token, none for those after it."""
    verifier = issuer.verifier(Clock())

    for number in range(5):
        verifier.verify(issuer.token(jti=str(number)))

    assert issuer.requests == [METADATA, JWKS]


def test_a_configured_address_needs_no_metadata(issuer: LocalIssuer) -> None:
    """`jwks_uri` may lie anywhere, also where the issuer's name does not resolve."""
    issuer.scripts["/keys?set=1"] = issuer.scripts.pop(JWKS)
    verifier = issuer.verifier(Clock(), jwks_uri=f"{issuer.url}/keys?set=1")

    verifier.verify(issuer.token())

    assert issuer.requests == ["/keys?set=1"]


@pytest.mark.spec("RFC 8414", "3.1", "the well-known path goes between host and path")
@pytest.mark.parametrize("place", [f"{METADATA}/tenant", f"/tenant{METADATA}"])
def test_an_issuer_with_a_path_is_found_in_both_forms(issuer: LocalIssuer, place: str) -> None:
    """The standard's form, and the appended one that many servers have instead."""
    name = f"{issuer.url}/tenant"
    issuer.scripts[place] = document({"issuer": name, "jwks_uri": issuer.url + JWKS})

    Verifier(name, AUDIENCE, clock=Clock()).verify(issuer.token(iss=name))

    assert issuer.requests[-2:] == [place, JWKS]


@pytest.mark.spec("RFC 8414", "3.3", "metadata of another issuer must not be used")
@pytest.mark.parametrize("claimed", ["{}/", "{}.example.com", "", None, 1, True, ["{}"], {}])
def test_metadata_of_another_issuer_is_not_used(issuer: LocalIssuer, claimed: object) -> None:
    """Its key set is not even read."""
    name = claimed.format(issuer.url) if isinstance(claimed, str) else claimed
    issuer.scripts[METADATA] = document({"issuer": name, "jwks_uri": issuer.url + JWKS})

    with pytest.raises(KeysUnavailable) as refusal:
        issuer.verifier(Clock()).verify(issuer.token())

    assert refusal.value.status == 503
    if isinstance(name, str) and name:
        words = f"the server at {issuer.url} calls itself {name}: give that as issuer"
    else:
        words = f"{issuer.url}{METADATA} is not that of {issuer.url}: check the issuer"
    assert refusal.value.detail == words
    assert JWKS not in issuer.requests


@pytest.mark.parametrize("name", ["http://\r\n2026 forged line", "é", "x" * 3000])
def test_a_name_that_is_no_url_is_not_repeated(issuer: LocalIssuer, name: str) -> None:
    """It goes into a log."""
    issuer.scripts[METADATA] = document({"issuer": name, "jwks_uri": issuer.url + JWKS})

    with pytest.raises(KeysUnavailable) as refusal:
        issuer.verifier(Clock()).verify(issuer.token())

    assert name not in refusal.value.detail


def test_the_log_says_what_is_wrong_and_what_it_means(
    issuer: LocalIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """An API without keys answers no token; one that has some goes on with them."""
    clock = Clock()
    good = issuer.scripts[JWKS]
    issuer.scripts[JWKS] = status(500)
    verifier = issuer.verifier(clock)

    with pytest.raises(KeysUnavailable):
        verifier.verify(issuer.token(exp=LATER))
    (none,) = caplog.messages
    assert none == (
        f"every token is answered 503, since the keys of {issuer.url} cannot be read: "
        f"{issuer.url}{JWKS} answered 500; it is tried again in 10 s"
    )

    caplog.clear()
    issuer.scripts[JWKS] = good
    clock.now += 11
    verifier.verify(issuer.token(exp=LATER))
    issuer.scripts[JWKS] = status(500)
    clock.now += 301
    verifier.verify(issuer.token(exp=LATER))
    settle()
    (old,) = caplog.messages
    assert old == f"the keys of {issuer.url} were not renewed: {issuer.url}{JWKS} answered 500"

    caplog.clear()
    issuer.show()
    clock.now += 11
    verifier.verify(issuer.token(exp=LATER))
    settle()
    (empty,) = caplog.messages
    assert empty.startswith(f"every token is refused, since {issuer.url}{JWKS} holds no key for")


@pytest.mark.parametrize(
    "uri",
    [
        *(None, 0, True, "", [], {}, "/keys", "//127.0.0.1/keys", "file:///etc/passwd"),
        *("ftp://127.0.0.1/keys", "http://", "http://[", "http://a:b@127.0.0.1/keys", "\ud800"),
        *("http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://\r\nx/", "http://é.invalid/"),
        *("http://127.0.0.1/\n2026 forged line", "http://127.0.0.1/\ud800", "http://127.0.0.1/é"),
    ],
)
def test_a_jwks_uri_that_is_no_web_address_is_not_read(issuer: LocalIssuer, uri: object) -> None:
    """Only http and https, and nothing but KeysUnavailable is raised."""
    issuer.scripts[METADATA] = document({"issuer": issuer.url, "jwks_uri": uri})

    with pytest.raises(KeysUnavailable):
        issuer.verifier(Clock()).verify(issuer.token())

    assert issuer.requests == [METADATA]


def test_a_jwks_uri_with_credentials_is_not_read(issuer: LocalIssuer) -> None:
    """They would have to be sent, or silently left out."""
    uri = issuer.url.replace("//", "//user:password@") + JWKS
    issuer.scripts[METADATA] = document({"issuer": issuer.url, "jwks_uri": uri})

    with pytest.raises(KeysUnavailable):
        issuer.verifier(Clock()).verify(issuer.token())

    assert issuer.requests == [METADATA]


@pytest.mark.spec("RFC 8414", "2", "jwks_uri: this URL must use the https scheme")
def test_an_https_issuer_has_no_keys_in_the_clear(
    issuer: LocalIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can change the metadata could otherwise be anyone on the way to the keys."""
    with TlsServer(tmp_path) as tls:
        monkeypatch.setenv("SSL_CERT_FILE", str(tls.certificate))
        tls.body = {"issuer": tls.url, "jwks_uri": issuer.url + JWKS}

        with pytest.raises(KeysUnavailable) as refusal:
            Verifier(tls.url, AUDIENCE, clock=Clock()).verify(issuer.token(iss=tls.url))

    assert "no usable jwks_uri" in refusal.value.detail
    assert issuer.requests == []


def _redirect(code: int) -> Script:
    return status(code, b'{"keys": []}', Location="/elsewhere")


def _raw(text: bytes) -> Script:
    """These octets instead of an HTTP answer."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(text)

    return script


JUNK: dict[str, Script] = {
    "empty": octets(b""),
    "not JSON": octets(b"<html>"),
    "cut off": octets(b'{"keys": ['),
    "null": octets(b"null"),
    "a list": octets(b"[]"),
    "no keys": octets(b"{}"),
    "keys null": octets(b'{"keys": null}'),
    "nested deeply": octets(b"[" * 100_000),
    "not UTF-8": octets(b"\xff\xfe\xfd"),
    "an integer too long to read": octets(b'{"keys": ' + b"9" * 5000 + b"}"),
    "too large": octets(b'{"keys": []}' + b" " * 256 * 1024),
    "not found": status(404),
    "server error": status(500),
    "created": status(201, b'{"keys": []}'),
    "no content": status(204),
    "not modified": status(304),
    "moved": _redirect(301),
    "found": _redirect(302),
    "temporary redirect": _redirect(307),
    "permanent redirect": _redirect(308),
    "compressed": octets(b"\x1f\x8b\x08\x00", Content_Encoding="gzip"),
    "a length and no more": _raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}"),
    "no HTTP": _raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "hangs up": _raw(b""),
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_instead_of_keys_is_a_503_and_old_keys_stay(issuer: LocalIssuer, name: str) -> None:
    """Without keys KeysUnavailable; with keys they are used on. No redirect is followed."""
    clock = Clock()
    holding, empty = issuer.verifier(clock), issuer.verifier(clock)
    issuer.scripts["/elsewhere"] = issuer.scripts[JWKS]
    holding.verify(issuer.token(exp=LATER))
    issuer.scripts[JWKS] = JUNK[name]
    asked = issuer.jwks_requests

    with pytest.raises(KeysUnavailable) as refusal:
        empty.verify(issuer.token(exp=LATER))
    clock.now += 301
    holding.verify(issuer.token(exp=LATER))
    settle()
    holding.verify(issuer.token(exp=LATER))

    assert issuer.jwks_requests == asked + 2

    assert refusal.value.detail
    assert "/elsewhere" not in issuer.requests


def test_one_key_that_cannot_be_read_does_not_take_the_others_away(issuer: LocalIssuer) -> None:
    """Odd members of the set are left out."""
    good = dict(issuer.key.public_jwk)
    odd: list[object] = [None, 1, "x", [], {}, {"kid": "a"}, {**good, "kid": "b", "x": 1}]
    algs: list[object] = [None, [], {}, "none", "HS256", "RS256"]
    odd += [{**good, "kid": "c", "alg": alg} for alg in algs]
    odd += [{**good, "kid": "d", "use": "enc"}, {**good, "kid": ["e"]}, {**good, "kty": "oct"}]
    issuer.scripts[JWKS] = document({"keys": [*odd, good]})

    assert issuer.verifier(Clock()).verify(issuer.token()).key_id == issuer.key.kid
