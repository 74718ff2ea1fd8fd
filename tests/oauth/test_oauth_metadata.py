"""Authorization server metadata and where it is found (RFC 8414)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth.metadata import document, locations

paths = st.lists(st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True), max_size=3)


@pytest.mark.spec("RFC 8414", "3.1", "the well-known path is inserted between host and path")
@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            "https://auth.example.com",
            ["https://auth.example.com/.well-known/oauth-authorization-server"],
        ),
        (
            "https://auth.example.com/",
            ["https://auth.example.com/.well-known/oauth-authorization-server"],
        ),
        (
            "http://localhost:8080",
            ["http://localhost:8080/.well-known/oauth-authorization-server"],
        ),
        (
            "https://example.com/auth",
            [
                "https://example.com/.well-known/oauth-authorization-server/auth",
                "https://example.com/auth/.well-known/oauth-authorization-server",
            ],
        ),
        (
            "https://example.com/a/b/",
            [
                "https://example.com/.well-known/oauth-authorization-server/a/b",
                "https://example.com/a/b/.well-known/oauth-authorization-server",
            ],
        ),
    ],
)
def test_where_metadata_is_found(issuer: str, urls: list[str]) -> None:
    """The standard's form comes first."""
    assert list(locations(issuer)) == urls


@given(paths)
def test_every_location_is_on_the_issuers_host(path: list[str]) -> None:
    """And holds the issuer's path."""
    issuer = "/".join(["https://auth.example.com:8443", *path])

    for url in locations(issuer):
        assert url.startswith("https://auth.example.com:8443/")
        assert "/".join(path) in url
        assert url.count("/.well-known/oauth-authorization-server") == 1


@pytest.mark.spec("RFC 8414", "2", "issuer, token_endpoint and response_types_supported")
def test_a_document_is_about_its_issuer() -> None:
    """Every address in it lies below the issuer, which stands there octet for octet."""
    issuer = "https://example.com/auth"
    metadata = document(issuer)

    assert metadata["issuer"] == issuer
    assert metadata["response_types_supported"] == []
    assert metadata["grant_types_supported"] == ["client_credentials"]
    for name, value in metadata.items():
        if name.endswith(("_endpoint", "_uri")):
            assert str(value).startswith(f"{issuer}/")
