"""`BearerTokens` for WSGI beyond the table of cases: apps of every kind behind it."""

import logging
from collections.abc import Iterable, Iterator

import httpx
import pytest
from door_apps import issuer

from hourpass.oauth.errors import InsufficientScope, InvalidClient, InvalidToken
from hourpass.resource_server import Verifier
from hourpass.resource_server.wsgi import (
    BearerTokens,
    Environ,
    StartResponse,
    WSGIApp,
    access_token,
    require,
)
from support.door_tokens import AUDIENCE, Tokens


@pytest.fixture(scope="module")
def issued() -> Iterator[tuple[Verifier, Tokens]]:
    """A verifier and tokens."""
    with issuer() as made:
        yield made


def get(app: WSGIApp, path: str = "/", token: str | None = None) -> httpx.Response:
    """One request."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://api", headers=headers) as client:
        return client.get(path)


def plain(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Asks for a scope before it answers."""
    token = require(environ, "notes:read")
    start_response("200 OK", [])
    return [token.client_id.encode()]


def generated(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Runs only when its parts are asked for."""
    token = require(environ, "notes:read")
    start_response("200 OK", [])
    yield token.client_id.encode()
    yield b"!"


@pytest.mark.parametrize("app", [plain, generated])
def test_what_an_app_refuses_is_answered(app: WSGIApp, issued: tuple[Verifier, Tokens]) -> None:
    """Whether it is a function or a generator."""
    verifier, tokens = issued
    door = BearerTokens(app, verifier)

    refused = get(door, token=tokens.good)
    answered = get(door, token=tokens.token(scope="notes:read"))

    assert refused.status_code == 403
    assert 'scope="notes:read"' in refused.headers["www-authenticate"]
    assert answered.text.strip("!") == tokens.client_id


@pytest.mark.parametrize("path", ["/health", "/health?x=1", "/%68ealth"])
def test_a_public_path_needs_no_token(path: str, issued: tuple[Verifier, Tokens]) -> None:
    """And has none: an app that asks all the same fails closed."""
    door = BearerTokens(plain, issued[0], public=["/health"])

    with pytest.raises(LookupError):
        get(door, path)


@pytest.mark.parametrize("path", ["/health/", "/Health", "//health", "/health/../x"])
def test_a_public_path_is_exact(path: str, issued: tuple[Verifier, Tokens]) -> None:
    """A prefix or another spelling is not public."""
    assert get(BearerTokens(plain, issued[0], public=["/health"]), path).status_code == 401


def test_a_token_for_an_outer_api_is_none_for_an_inner_one(
    issued: tuple[Verifier, Tokens],
) -> None:
    """A public path inside has no token, although the door outside has checked one."""
    verifier, tokens = issued
    inner = BearerTokens(plain, Verifier(verifier.issuer, "another API"), public=["/inner"])

    with pytest.raises(LookupError):
        get(BearerTokens(inner, verifier), "/inner", tokens.token(scope="notes:read"))


def test_unreadable_keys_are_503(issued: tuple[Verifier, Tokens]) -> None:
    """Not 401: a client that asks for a new token would gain nothing."""
    answer = get(
        BearerTokens(plain, Verifier("http://127.0.0.1:1", AUDIENCE)), token=issued[1].good
    )

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"


@pytest.mark.parametrize("kind", [InvalidClient, InvalidToken])
def test_other_errors_of_the_app_are_its_own(
    kind: type[Exception], issued: tuple[Verifier, Tokens]
) -> None:
    """What it met as a client of others does not become its caller's 401."""

    def failing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise kind

    with pytest.raises(kind):
        get(BearerTokens(failing, issued[0]), token=issued[1].good)


def test_a_refusal_after_the_answer_began_is_not_hidden(issued: tuple[Verifier, Tokens]) -> None:
    """A second answer cannot be sent: the error goes up to the server."""

    def late(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"a"
        require(environ, "notes:read")

    with pytest.raises(InsufficientScope):
        get(BearerTokens(late, issued[0]), token=issued[1].good)


def test_an_answer_is_closed(issued: tuple[Verifier, Tokens]) -> None:
    """As PEP 3333 demands, also when the app refused."""
    closed: list[bool] = []

    class Parts:
        def __init__(self, environ: Environ, start_response: StartResponse) -> None:
            self._parts = generated(environ, start_response)

        def __iter__(self) -> Iterator[bytes]:
            return self._parts

        def close(self) -> None:
            closed.append(True)

    door = BearerTokens(Parts, issued[0])
    assert get(door, token=issued[1].token(scope="notes:read")).status_code == 200
    assert closed == [True]
    assert get(door, token=issued[1].good).status_code == 403
    assert closed == [True, True]


def test_a_token_is_in_no_log(
    issued: tuple[Verifier, Tokens], caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why, not what."""
    caplog.set_level(logging.INFO, "hourpass.resource_server")
    token = issued[1].token(aud="https://other.example.com")

    get(BearerTokens(plain, issued[0]), token=token)

    assert "https://other.example.com" in caplog.text
    assert token not in caplog.text


def test_an_app_without_the_check_in_front_fails_closed() -> None:
    """No token was checked, so none is made up; a stranger's value is not taken for one."""
    for environ in ({}, {"hourpass.access_token": "m2m_x"}):
        with pytest.raises(LookupError):
            access_token(environ)
