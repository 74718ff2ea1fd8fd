"""The token on an API's requests, in httpx, requests and aiohttp alike."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from api_calls import CALLERS, CHUNKS, Caller, opened

from hourpass.client import BadConfiguration, ClientSuspended, TokenSource
from support.token_server import Asked, TokenServer, always, in_turn


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


@pytest.fixture
def stranger() -> Iterator[TokenServer]:
    """Another origin."""
    with TokenServer() as running:
        running.scripts["/api"] = always(200, {"data": "stranger"})
        yield running


Opens = Callable[..., Caller]


@pytest.fixture(params=CALLERS, ids=[kind.__name__ for kind in CALLERS])
def caller_of(request: pytest.FixtureRequest) -> Iterator[Opens]:
    """Makes a caller on a token source, of each library in turn."""
    with ExitStack() as stack:

        def make(source: TokenSource, **settings: Any) -> Caller:
            once = contextmanager(opened)
            return stack.enter_context(once(request.param, source, **settings))

        yield make


def sent(server: TokenServer, path: str = "/api") -> list[str | None]:
    """The Authorization headers that came to a path."""
    pairs = zip(server.asked, server.authorization, strict=True)
    return [header for asked, header in pairs if asked == path]


@pytest.mark.spec("RFC 6750", "2.1", "the token is sent in the Authorization header")
def test_every_call_brings_the_token(server: TokenServer, caller_of: Opens) -> None:
    call = caller_of(server.source())

    answers = [call("GET", f"{server.url}/api?page={n}") for n in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert sent(server) == ["Bearer token-1"] * 3
    assert server.token_requests == 1


@pytest.mark.spec("RFC 6750", "3.1", "invalid_token: the client MAY request a new access token")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_that_is_refused_is_replaced_and_the_call_repeated(
    server: TokenServer, caller_of: Opens, method: str
) -> None:
    """Once, with the whole body."""
    call = caller_of(server.source())
    assert call("GET", f"{server.url}/api").status == 200
    server.good.clear()

    answer = call(method, f"{server.url}/api", body=b"whole" if method == "POST" else None)

    assert answer.status == 200
    assert answer.json["method"] == method
    assert sent(server) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    if method == "POST":
        assert server.bodies[-1] == b"whole"
    assert server.token_requests == 2


def test_an_api_that_refuses_every_token_is_asked_twice_not_for_ever(
    server: TokenServer, caller_of: Opens
) -> None:
    """Its 401 comes back, and the token endpoint is left alone by the next calls."""
    server.scripts["/api"] = always(
        401, {"error": "invalid_token"}, WWW_Authenticate='Bearer error="invalid_token"'
    )
    call = caller_of(server.source())

    assert call("GET", f"{server.url}/api").status == 401
    assert sent(server) == ["Bearer token-1", "Bearer token-2"]
    for _ in range(5):
        assert call("GET", f"{server.url}/api").status == 401

    assert sent(server) == ["Bearer token-1"] + ["Bearer token-2"] * 6
    assert server.token_requests == 2


def test_a_streamed_body_is_never_sent_again(server: TokenServer, caller_of: Opens) -> None:
    """Its 401 comes back; the next call has a new token."""
    call = caller_of(server.source())
    assert call("POST", f"{server.url}/api", stream=True).status == 200
    assert server.bodies[-1] == b"".join(CHUNKS)
    server.good.clear()

    assert call("POST", f"{server.url}/api", stream=True).status == 401
    assert len(sent(server)) == 2
    assert call("POST", f"{server.url}/api", stream=True).status == 200
    assert sent(server)[-1] == "Bearer token-2"


@pytest.mark.parametrize(
    ("status", "challenge"),
    [
        (401, 'Bearer realm="https://api.example.com"'),
        (401, 'Basic realm="invalid_token"'),
        (401, ""),
        (403, 'Bearer error="insufficient_scope", scope="a:read"'),
        (403, 'Bearer error="invalid_token"'),
        (400, 'Bearer error="invalid_request"'),
    ],
)
def test_other_refusals_are_the_callers(
    server: TokenServer, caller_of: Opens, status: int, challenge: str
) -> None:
    """Another token would not change them."""
    server.scripts["/api"] = always(status, {"error": "no"}, WWW_Authenticate=challenge)
    call = caller_of(server.source())

    assert call("GET", f"{server.url}/api").status == status
    assert len(sent(server)) == server.token_requests == 1


def test_a_redirect_to_another_host_goes_without_the_token(
    server: TokenServer, stranger: TokenServer, caller_of: Opens
) -> None:
    """And what the stranger says of tokens changes nothing about ours."""
    server.scripts["/away"] = always(302, Location=f"{stranger.url}/api")
    server.scripts["/away-401"] = always(302, Location=f"{stranger.url}/refuse")
    stranger.scripts["/refuse"] = always(
        401, {"error": "x"}, WWW_Authenticate='Bearer error="invalid_token"'
    )
    call = caller_of(server.source())

    assert call("GET", f"{server.url}/away").json == {"data": "stranger"}
    assert call("GET", f"{server.url}/away-401").status == 401

    assert stranger.authorization == [None, None]
    assert sent(server, "/away") == sent(server, "/away-401") == ["Bearer token-1"]
    assert server.token_requests == 1


def test_a_redirect_on_the_same_host_keeps_the_token(server: TokenServer, caller_of: Opens) -> None:
    """Also through a refusal, which a second token ends."""
    server.scripts["/old"] = always(307, Location="/api")
    call = caller_of(server.source())
    assert call("GET", f"{server.url}/old").status == 200
    server.good.clear()

    assert call("GET", f"{server.url}/old").status == 200
    assert sent(server)[-1] == "Bearer token-2"
    assert server.token_requests == 2


def test_the_token_goes_where_the_first_request_went(
    server: TokenServer, stranger: TokenServer, caller_of: Opens
) -> None:
    call = caller_of(server.source())

    call("GET", f"{server.url}/api")
    call("GET", f"{stranger.url}/api")

    assert stranger.authorization == [None]


def test_the_token_goes_where_it_was_said_to_go(
    server: TokenServer, stranger: TokenServer, caller_of: Opens
) -> None:
    """Several places, and no other, whoever is first."""
    other = server.url.replace("127.0.0.1", "localhost")
    call = caller_of(server.source(), origins=(f"{other}/v1/", "https://api.example.com"))

    call("GET", f"{stranger.url}/api")
    call("GET", f"{server.url}/api")
    call("GET", f"{other}/api")

    assert stranger.authorization == [None]
    assert sent(server) == [None, "Bearer token-1"]


def test_a_token_is_not_sent_in_clear(server: TokenServer, caller_of: Opens) -> None:
    """Plain http to another machine has to be asked for."""
    call = caller_of(server.source())

    with pytest.raises(BadConfiguration, match="in clear"):
        call("GET", "http://192.0.2.1/api")
    assert server.asked == []


def test_a_wrong_origin_is_told(server: TokenServer, caller_of: Opens) -> None:
    with pytest.raises(BadConfiguration, match="origins"):
        caller_of(server.source(), origins=["api.example.com"])


def test_no_token_is_a_typed_error(server: TokenServer, caller_of: Opens) -> None:
    """At once, and when the second token is refused."""
    refused = always(401, {"error": "invalid_client", "reason": "suspended"})
    server.scripts["/token"] = in_turn(lambda asked: server.grant(asked), refused)
    call = caller_of(server.source())
    assert call("GET", f"{server.url}/api").status == 200
    server.good.clear()

    with pytest.raises(ClientSuspended):
        call("GET", f"{server.url}/api")


def test_a_call_that_fails_late_does_not_drop_a_newer_token(
    server: TokenServer, caller_of: Opens
) -> None:
    """Two calls with the same dead token make one token request."""
    source = server.source()
    call, other = caller_of(source), caller_of(source)
    call("GET", f"{server.url}/api")

    def meanwhile(asked: Asked) -> None:
        server.scripts["/api"] = server.api
        server.good.clear()
        assert other("GET", f"{server.url}/api").status == 200
        server.api(asked)

    server.scripts["/api"] = meanwhile

    assert call("GET", f"{server.url}/api").status == 200
    assert server.token_requests == 2
