"""`limits=` of the ASGI and the WSGI door: alike, and together where they share a store."""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from door_apps import catalogue, issuer

from hourpass.resource_server import PerMinute, Verifier, catalogue_grants, catalogue_limits
from hourpass.resource_server import asgi as asgi_door
from hourpass.resource_server import flask as flask_door
from hourpass.resource_server import wsgi as wsgi_door
from support.door_tokens import Tokens
from support.installation import CATALOGUE
from support.valkey import Valkey

BOOKINGS = "/customer/7/bookings"
Door = Callable[..., httpx.Response]


async def on_asgi(scope: asgi_door.Scope, receive: asgi_door.Receive, send: asgi_door.Send) -> None:
    """Needs a scope at one path; says whom it takes for the caller at the others."""
    token = asgi_door.require(scope, *(["hp:none"] if scope["path"] == "/denied" else []))
    headers = [(b"x-app", b"yes")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": token.client_id.encode()})


def on_wsgi(environ: wsgi_door.Environ, start: wsgi_door.StartResponse) -> Iterable[bytes]:
    """The same."""
    denied = ["hp:none"] if environ["PATH_INFO"] == "/denied" else []
    token = wsgi_door.require(environ, *denied)
    start("200 OK", [("X-App", "yes")])
    return [token.client_id.encode()]


def asgi(verifier: Verifier, **settings: object) -> Door:
    """The ASGI door, to be asked for a path with a token."""
    app = asgi_door.BearerTokens(on_asgi, verifier, **settings)  # type: ignore[arg-type]  # any setting

    def get(token: str, path: str = "/customers") -> httpx.Response:
        async def request() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.get(path, headers={"Authorization": f"Bearer {token}"})

        return asyncio.run(request())

    return get


def wsgi(verifier: Verifier, **settings: object) -> Door:
    """The WSGI door."""
    app = wsgi_door.BearerTokens(on_wsgi, verifier, **settings)  # type: ignore[arg-type]  # any setting

    def get(token: str, path: str = "/customers") -> httpx.Response:
        with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://api") as client:
            return client.get(path, headers={"Authorization": f"Bearer {token}"})

    return get


@pytest.fixture(params=[asgi, wsgi], ids=["asgi", "wsgi"])
def door(request: pytest.FixtureRequest) -> Callable[..., Door]:
    """Makes a door with settings."""
    made: Callable[..., Door] = request.param
    return made


@pytest.fixture(scope="module")
def trust() -> Iterator[tuple[Verifier, Tokens]]:
    """A verifier, and tokens for it."""
    with issuer() as both:
        yield both


def test_a_client_over_its_limit_is_429(
    door: Callable[..., Door],
    trust: tuple[Verifier, Tokens],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every answer says what is left; the log says who it was; other clients go on."""
    verifier, tokens = trust
    caplog.set_level(logging.INFO)
    get = door(verifier, limits=PerMinute(api=2, clients={"m2m_small": 1}))
    token = tokens.good

    answers = [get(token) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["ratelimit"][:12] for answer in answers] == [
        '"client";r=1',
        '"client";r=0',
        '"client";r=0',
    ]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"client";q=2;w=60'}
    assert answers[0].headers["x-app"] == "yes"
    refused = answers[2]
    assert refused.json()["error"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "www-authenticate" not in refused.headers
    (line,) = [it.getMessage() for it in caplog.records if it.name == "hourpass.resource_server"]
    assert line.startswith("rate_limited: too many requests in this minute")
    assert tokens.client_id in line
    small = tokens.token(client_id="m2m_small", sub="m2m_small")
    assert [get(small).status_code for _ in range(2)] == [200, 429]


def test_what_the_door_refuses_costs_nothing(
    door: Callable[..., Door], trust: tuple[Verifier, Tokens], tmp_path: Path
) -> None:
    """No token, no grant, or one limit of two; what the app itself refuses was let in."""
    verifier, tokens = trust
    grants = catalogue_grants(catalogue(tmp_path), api="bookings")
    limits = PerMinute(api=3, scopes={"bookings:read": 1})
    get = door(verifier, grants=grants, limits=limits)
    both = tokens.token(scope="customers:read bookings:read")

    assert get("nonsense").status_code == 401
    assert get(both, "/nowhere").status_code == 403
    assert [get(both, BOOKINGS).status_code for _ in range(3)] == [200, 429, 429]
    last = [get(both) for _ in range(3)]
    assert [answer.status_code for answer in last] == [200, 200, 429]
    assert '"client";r=1' in last[0].headers["ratelimit"]

    get = door(verifier, limits=PerMinute(api=2))
    denied = get(both, "/denied")
    assert denied.status_code == 403
    assert denied.headers["ratelimit"].startswith('"client";r=1')
    assert get(both).status_code == 200
    assert get(both).status_code == 429


def test_without_limits_there_is_no_header(
    door: Callable[..., Door], trust: tuple[Verifier, Tokens]
) -> None:
    """Nor for what is public, nor for the one limit that is another client's."""
    verifier, tokens = trust
    for settings in ({}, {"limits": PerMinute()}, {"limits": PerMinute(clients={"another": 1})}):
        answer = door(verifier, **settings)(tokens.good)
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
        assert "ratelimit-policy" not in answer.headers


@pytest.mark.parametrize("protect", [asgi_door.BearerTokens, wsgi_door.BearerTokens])
def test_settings_that_cannot_work_are_refused(
    protect: Callable[..., object], trust: tuple[Verifier, Tokens]
) -> None:
    """In words that say what to give."""
    verifier, _ = trust
    with pytest.raises(ValueError, match="limits of scopes need grants="):
        protect(on_asgi, verifier, limits=PerMinute(scopes={"a:read": 1}))
    with pytest.raises(ValueError, match="limits_url needs limits="):
        protect(on_asgi, verifier, limits_url="redis://localhost")
    with pytest.raises(ValueError, match="the limits' store: give redis://"):
        protect(on_asgi, verifier, limits=PerMinute(api=1), limits_url="redis://")


def test_flask_takes_the_same_settings(trust: tuple[Verifier, Tokens]) -> None:
    """Its door is the WSGI one."""
    import flask

    verifier, tokens = trust
    app = flask.Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello")
    flask_door.protect(app, verifier, limits=PerMinute(api=1))
    headers = {"Authorization": f"Bearer {tokens.good}"}
    with app.test_client() as client:
        answers = [client.get("/", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[0].headers["RateLimit"].startswith('"client";r=0')


def test_doors_that_share_a_store_hold_one_limit(
    trust: tuple[Verifier, Tokens], tmp_path: Path
) -> None:
    """And go on, each for itself, when it dies."""
    store = Valkey(tmp_path)
    verifier, tokens = trust
    settings = {"limits": PerMinute(api=3), "limits_url": store.url}
    doors = [asgi(verifier, **settings), wsgi(verifier, **settings)]
    token = tokens.good
    told = [doors[number % 2](token).status_code for number in range(4)]
    store.kill()
    alone = [[get(token).status_code for _ in range(4)] for get in doors]
    assert told == [200, 200, 200, 429]
    assert alone == [[200, 200, 200, 429]] * 2
    del doors
    gc.collect()


def test_limits_are_read_from_the_catalogues_file(tmp_path: Path) -> None:
    """The same that `/verify` goes by; the file knows no clients."""
    file = tmp_path / "hourpass.toml"
    text = CATALOGUE.replace('name = "Bookings API"', 'name = "B"\nlimit_per_minute = 600')
    file.write_text(text.replace('"List customers"', '"List"\nlimit_per_minute = 7'))

    limits = catalogue_limits(file, api="bookings", clients={"m2m_x": 5})

    assert limits == PerMinute(api=600, scopes={"customers:read": 7}, clients={"m2m_x": 5})
    assert catalogue_limits(file, api="billing") == PerMinute()
    file.write_text(text.replace("limit_per_minute = 600", "limit_per_minute = 0"))
    with pytest.raises(ValueError, match=r"hourpass.toml: a limit is 1 to 1000000 .*: 0"):
        catalogue_limits(file, api="bookings")
    with pytest.raises(ValueError, match="say which with api="):
        catalogue_limits(file)
