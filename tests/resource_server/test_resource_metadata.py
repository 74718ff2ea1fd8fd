"""Metadata of an API (RFC 9728), served by the middleware for ASGI and WSGI."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from door_apps import catalogue, issuer

from hourpass.oauth.metadata import resource_location
from hourpass.resource_server import Verifier, asgi, catalogue_grants, wsgi
from support.door_tokens import AUDIENCE, Tokens

WELL_KNOWN = "/.well-known/oauth-protected-resource"
Get = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def issued() -> Iterator[tuple[Verifier, Tokens]]:
    """A verifier and tokens."""
    with issuer() as made:
        yield made


def _asgi(verifier: Verifier, **settings: Any) -> Get:
    async def app(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        raise AssertionError(f"{scope['path']} came through")

    transport = httpx.ASGITransport(app=asgi.BearerTokens(app, verifier, **settings))

    def get(path: str, method: str = "GET", **headers: str) -> httpx.Response:
        async def call() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(call())

    return get


def _wsgi(verifier: Verifier, **settings: Any) -> Get:
    def app(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
        raise AssertionError(f"{environ['PATH_INFO']} came through")

    transport = httpx.WSGITransport(app=wsgi.BearerTokens(app, verifier, **settings))

    def get(path: str, method: str = "GET", **headers: str) -> httpx.Response:
        with httpx.Client(transport=transport, base_url="http://api") as client:
            return client.request(method, path, headers=headers)

    return get


BOTH = pytest.mark.parametrize("door", [_asgi, _wsgi], ids=["asgi", "wsgi"])
Door = Callable[..., Get]


@BOTH
@pytest.mark.spec("RFC 9728", "2", "resource, authorization_servers, scopes_supported")
@pytest.mark.spec("RFC 9728", "5.1", "a challenge points to the metadata with resource_metadata")
def test_the_metadata_says_where_tokens_come_from(
    door: Door, issued: tuple[Verifier, Tokens], tmp_path: Path
) -> None:
    """Public, with the scopes of the catalogue; every challenge points to it."""
    verifier, tokens = issued
    grants = catalogue_grants(catalogue(tmp_path), api="bookings")
    get = door(verifier, metadata=True, grants=grants)

    document = get(WELL_KNOWN)

    assert document.status_code == 200
    assert document.headers["content-type"] == "application/json"
    assert document.headers["cache-control"] == "max-age=3600"
    assert document.json() == {
        "resource": AUDIENCE,
        "authorization_servers": [verifier.issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["bookings:read", "customers:read", "profile:write"],
    }
    pointer = f'resource_metadata="{AUDIENCE}{WELL_KNOWN}"'
    missing = get("/customers").headers["www-authenticate"]
    assert missing == f'Bearer realm="{AUDIENCE}", {pointer}'
    refused = get("/nowhere", Authorization=f"Bearer {tokens.good}")
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"].endswith(pointer)


@BOTH
@pytest.mark.spec("RFC 9728", "3.1", "the well-known path is inserted before the resource's own")
def test_a_resource_with_a_path_has_its_metadata_inserted(door: Door) -> None:
    """At the plain path, too; and nowhere else."""
    verifier = Verifier("https://auth.example.com", "https://api.example.com/v2/bookings")
    get = door(verifier, metadata=True)

    assert get(f"{WELL_KNOWN}/v2/bookings").json()["resource"] == verifier.audience
    assert get(WELL_KNOWN).json()["resource"] == verifier.audience
    assert get(f"{WELL_KNOWN}/v2").status_code == 401
    challenge = get("/v2/bookings/x").headers["www-authenticate"]
    assert f'"https://api.example.com{WELL_KNOWN}/v2/bookings"' in challenge


@BOTH
def test_only_get_and_head_are_public(door: Door, issued: tuple[Verifier, Tokens]) -> None:
    """Every other method needs a token as everywhere; HEAD has no body."""
    get = door(issued[0], metadata=True)

    head = get(WELL_KNOWN, "HEAD")
    assert head.status_code == 200
    assert int(head.headers["content-length"]) == len(get(WELL_KNOWN).content)
    assert get(WELL_KNOWN, "POST").status_code == 401
    assert get(WELL_KNOWN, "OPTIONS").status_code == 401


@BOTH
def test_without_the_setting_nothing_is_told(door: Door, issued: tuple[Verifier, Tokens]) -> None:
    """The path is one like any other."""
    get = door(issued[0])

    assert get(WELL_KNOWN).status_code == 401
    assert "resource_metadata" not in get("/").headers["www-authenticate"]


@pytest.mark.parametrize("audience", ["urn:example:api", "bookings", "https://a.example/#x"])
def test_a_resource_that_is_no_url_has_no_metadata(audience: str) -> None:
    """The setting is refused at once."""
    with pytest.raises(ValueError, match="no http or https URL"):
        _asgi(Verifier("https://auth.example.com", audience), metadata=True)


@pytest.mark.parametrize(
    ("resource", "location"),
    [
        ("https://a.example", f"https://a.example{WELL_KNOWN}"),
        ("https://a.example/", f"https://a.example{WELL_KNOWN}"),
        ("https://a.example/b/", f"https://a.example{WELL_KNOWN}/b/"),
        ("https://a.example?k=1", f"https://a.example{WELL_KNOWN}?k=1"),
        ("http://localhost:8081/b", f"http://localhost:8081{WELL_KNOWN}/b"),
    ],
)
def test_where_metadata_is(resource: str, location: str) -> None:
    """The path and query of the resource come after the well-known path."""
    assert resource_location(resource) == location
