"""A mistake in what a door is given is told when the door is made, by name."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from hourpass.resource_server import Verifier
from hourpass.resource_server import asgi as asgi_door
from hourpass.resource_server import flask as flask_door
from hourpass.resource_server import wsgi as wsgi_door

ISSUER, AUDIENCE = "https://auth.example.com", "https://api.example.com"
DOORS: dict[str, Callable[..., object]] = {
    "asgi": lambda *given, **more: asgi_door.BearerTokens(print, *given, **more),  # type: ignore[arg-type]  # never called
    "wsgi": lambda *given, **more: wsgi_door.BearerTokens(print, *given, **more),  # type: ignore[arg-type]  # never called
    "flask": lambda *given, **more: flask_door.protect(Flask(__name__), *given, **more),
}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Makes a door of one kind."""
    return DOORS[request.param]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"pubic": ["/health"]}, "unexpected keyword argument 'pubic'"),
        ({"public": "/health"}, "public is a collection of paths, not one string"),
        ({"grants": "hourpass.toml"}, "grants has to be what catalogue_grants"),
        ({"limits": 600}, "limits has to be PerMinute"),
        ({"limits": {"api": 600}}, "limits has to be PerMinute"),
    ],
)
def test_a_setting_of_another_type_is_named(
    door: Callable[..., object], setting: dict[str, Any], words: str
) -> None:
    """It would otherwise be a 500 for each request, or leave the API more open than was meant."""
    with pytest.raises(TypeError, match=words):
        door(Verifier(ISSUER, AUDIENCE), **setting)


@pytest.mark.parametrize("path", ["health", "", "https://api.example.com/health"])
def test_a_public_path_that_no_request_can_have_is_named(
    door: Callable[..., object], path: str
) -> None:
    """Its requests would be 401 for ever."""
    with pytest.raises(ValueError, match="public: a path begins with /"):
        door(Verifier(ISSUER, AUDIENCE), public=["/good", path])


@pytest.mark.parametrize("verifier", [None, ISSUER, AUDIENCE])
def test_what_is_no_verifier_is_named(door: Callable[..., object], verifier: object) -> None:
    """As when issuer and audience are given to the door itself."""
    with pytest.raises(TypeError, match=r"verifier has to be Verifier\(issuer, audience\), not"):
        door(verifier)


@pytest.mark.parametrize("algorithms", [[], ["HS256"], ["ES256", "none"]])
def test_an_algorithm_that_does_not_serve_is_named(algorithms: list[str]) -> None:
    """With those that do."""
    with pytest.raises(ValueError, match="algorithms: name some of ES256, RS256, EdDSA"):
        Verifier(ISSUER, AUDIENCE, algorithms=algorithms)
