"""Tokens of a running server verify with other people's libraries, used as they document it."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from support.installation import Installation, Server

HERE = Path(__file__).parent
AUDIENCE, OTHER_AUDIENCE = "https://api.example.com", "https://billing.example.com"

Claims = Mapping[str, Any]
Verify = Callable[[Server, str, str], Claims]


@pytest.fixture(scope="module", params=["ES256", "RS256", "EdDSA"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that signs with this algorithm."""
    folder = tmp_path_factory.mktemp("interoperability")
    setting = {"HOURPASS_SIGNING_ALGORITHM": request.param}
    installation = Installation(folder / "home", f"sqlite:///{folder}/hourpass.db", setting)
    installation.apply_catalogue()
    running = Server(installation)
    yield running
    running.stop()
    installation.close()


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """A token as an integration gets it."""
    credentials = server.installation.create_client("customers:read", "bookings:read")
    text: str = server.token(credentials).json()["access_token"]
    return text


def pyjwt(server: Server, token: str, audience: str) -> Claims:
    """PyJWT with its own client for key sets."""
    keys = jwt.PyJWKClient(f"{server.url}/.well-known/jwks.json")
    key = keys.get_signing_key_from_jwt(token)
    claims: Claims = jwt.decode(
        token,
        key,
        algorithms=["ES256", "RS256", "EdDSA"],
        audience=audience,
        issuer=server.url,
        options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
    )
    return claims


def joserfc(server: Server, token: str, audience: str) -> Claims:
    """joserfc, whose decoding and claims checks are two calls."""
    keys = KeySet.import_key_set(_jwks(server))
    decoded = joserfc_jwt.decode(token, keys, algorithms=["ES256", "RS256", "EdDSA"])
    registry = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": server.url},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    )
    registry.validate(decoded.claims)
    return decoded.claims


def authlib(server: Server, token: str, audience: str) -> Claims:
    """Authlib's validator of JWT access tokens (RFC 9068)."""

    class Validator(JWTBearerTokenValidator):  # type: ignore[misc]  # untyped
        def get_jwks(self) -> Any:
            return KeySet.import_key_set(_jwks(server))

    validator = Validator(server.url, audience)
    claims = validator.authenticate_token(token)
    validator.validate_token(claims, ["customers:read"], None)
    return dict(claims)


def _algorithm(token: str) -> str:
    return str(jwt.get_unverified_header(token)["alg"])


def _jwks(server: Server) -> Any:
    return httpx.get(f"{server.url}/.well-known/jwks.json", trust_env=False).json()


PYTHON: dict[str, tuple[Verify, type[Exception]]] = {
    "PyJWT": (pyjwt, jwt.InvalidAudienceError),
    "joserfc": (joserfc, JoseError),
    "Authlib": (authlib, InvalidTokenError),
}


@pytest.mark.spec("RFC 9068", "4", "a resource server that knows only the standard verifies tokens")
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")  # joserfc's opinion
@pytest.mark.parametrize("name", PYTHON)
def test_a_python_library_takes_the_token(name: str, server: Server, token: str) -> None:
    """With the claims that the server wrote; for another API it refuses the token."""
    verify, refusal = PYTHON[name]
    if name == "Authlib" and _algorithm(token) == "EdDSA":
        # It takes the recommended algorithms only, and has no setting for more.
        with pytest.raises(InvalidTokenError):
            verify(server, token, AUDIENCE)
        return

    claims = verify(server, token, AUDIENCE)

    assert claims["iss"] == server.url
    assert claims["scope"] == "bookings:read customers:read"
    with pytest.raises(refusal):
        verify(server, token, OTHER_AUDIENCE)


def test_node_libraries_take_the_token(node_modules: Path, server: Server, token: str) -> None:
    """jose and oauth4webapi (`validateJwtAccessToken`); for another API they refuse the token."""
    taken, refused = (
        _verify_with_node(node_modules, server, token, audience)
        for audience in (AUDIENCE, OTHER_AUDIENCE)
    )

    assert taken.keys() == {"jose", "oauth4webapi"}
    for name, result in taken.items():
        assert "claims" in result, f"{name}: {result}"
        assert result["claims"]["iss"] == server.url
        assert result["claims"]["scope"] == "bookings:read customers:read"
        assert "aud" in refused[name]["fault"].lower() or "CLAIM" in refused[name]["fault"]


def _verify_with_node(folder: Path, server: Server, token: str, audience: str) -> dict[str, Any]:
    done = subprocess.run(
        ["node", "verify.mjs", server.url, audience],
        cwd=folder,
        input=token.encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def test_the_lock_file_names_no_registry() -> None:
    """Whoever installs takes the packages from where they trust; their hashes are pinned."""
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))
    packages = [entry for name, entry in lock["packages"].items() if name]

    assert {"node_modules/jose", "node_modules/oauth4webapi"} <= lock["packages"].keys()
    for entry in packages:
        assert "resolved" not in entry
        assert entry["integrity"].startswith("sha512-")
