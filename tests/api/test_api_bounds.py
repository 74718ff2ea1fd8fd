"""Odd, large and broken requests: a problem document each, and never a stack trace."""

import json
from collections.abc import Iterator

import pytest
from api_caller import EVERY_SCOPE, PROBLEM, Caller, problem

from support.installation import Installation, Server


@pytest.fixture(scope="module")
def caller(shared_server: Server) -> Caller:
    """A back office."""
    return Caller(shared_server, *EVERY_SCOPE)


def send(caller: Caller, body: bytes, content_type: str = "application/json") -> tuple[int, str]:
    """Send octets as a new client."""
    return problem(caller("POST", "/clients", content=body, headers={"Content-Type": content_type}))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"name": NaN}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "\\ud800"}',
        b"[" * 20_000,
        b"{} {}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_body_that_is_no_strict_json_is_refused(body: bytes, caller: Caller) -> None:
    """NaN, a name twice, half a surrogate pair and bad UTF-8 are no JSON."""
    assert send(caller, body) == (400, "invalid-request")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"1"])
def test_a_body_that_is_no_object_is_refused(body: bytes, caller: Caller) -> None:
    """422, as for any value that does not fit."""
    assert send(caller, body) == (422, "invalid-input")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_read(media_type: str, caller: Caller) -> None:
    """A page in a browser cannot send that without asking."""
    body = json.dumps({"name": "x", "scopes": ["customers:read"]}).encode()

    assert send(caller, body, media_type) == (415, "unsupported-media-type")


def test_a_body_has_a_bound(caller: Caller) -> None:
    """64 KiB; what is larger is not read on."""
    fits = json.dumps({"name": "x", "scopes": [], "description": "x" * 60_000}).encode()

    assert send(caller, fits) == (422, "invalid-input")
    assert send(caller, fits + b" " * 6_000) == (413, "too-large")
    assert send(caller, b" " * 5_000_000) == (413, "too-large")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/clients", "GET, POST"),
        ("DELETE", "/clients", "GET, POST"),
        ("POST", "/clients/m2m_00000000000000000000", "DELETE, GET, PATCH"),
        ("GET", "/keys/rotate", "POST"),
        ("OPTIONS", "/clients", "GET, POST"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
def test_another_method_is_told_which_there_are(
    method: str, path: str, allowed: str, caller: Caller
) -> None:
    """All of them, whichever route has them."""
    answer = caller(method, path)

    assert problem(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/", "/nothing", "/clients/", "/clients/a/b", "/clients/a%2Fb/c"])
def test_what_is_not_there_is_a_problem_too(path: str, caller: Caller) -> None:
    """404, without a redirect."""
    assert problem(caller("GET", path)) == (404, "not-found")


@pytest.mark.parametrize(
    "client_id", ["x", "m2m_", "M2M_00000000000000000000", "m2m_%00", "..%2e", "'", "x" * 3000]
)
def test_an_id_is_only_text(client_id: str, caller: Caller) -> None:
    """Whatever it is, there is no such client; it is not repeated at length."""
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/suspend"), ("GET", "/usage")]:
        answer = caller(method, f"/clients/{client_id}{path}")
        assert problem(answer) == (404, "not-found")
        assert len(answer.content) < 1000


@pytest.mark.parametrize("header", ["Authorization", "Idempotency-Key", "If-Match", "Content-Type"])
def test_a_header_that_decides_comes_once(header: str, caller: Caller) -> None:
    """Of two nobody could say which counts."""
    answer = caller.server.http.get(
        "/api/v1/clients",
        headers=[
            *([("Authorization", f"Bearer {caller.token}")] if header != "Authorization" else []),
            (header, f"Bearer {caller.token}"),
            (header, "another"),
        ],
    )

    assert problem(answer) == (400, "invalid-request")


def test_a_parameter_comes_once(caller: Caller) -> None:
    """Of two nobody could say which counts."""
    assert problem(caller("GET", "/clients?limit=1&limit=2")) == (400, "invalid-request")


def test_every_answer_is_kept_by_nobody(caller: Caller) -> None:
    """No cache, no guess at the type, no other origin; a request ID on each."""
    answers = [
        caller("GET", "/clients"),
        caller("GET", "/clients/x"),
        caller("GET", "/docs"),
        caller("GET", "/audit-events/export"),
        caller("GET", "/clients", token="x", headers={"Origin": "https://evil.example"}),
    ]

    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture
def below_a_path(installation: Installation) -> Iterator[Server]:
    """A server whose issuer has a path."""
    issuer = f"http://localhost:{installation.port}/auth"
    running = Server(installation, HOURPASS_ISSUER=issuer)
    yield running
    running.stop()


def test_below_the_issuers_path_it_is_the_same(below_a_path: Server) -> None:
    """Whether the proxy strips the path or not; the document says the public address."""
    issuer = f"{below_a_path.url}/auth"
    credentials = below_a_path.installation.create_client("hourpass.clients:read")
    answer = below_a_path.token(credentials, resource=f"{issuer}/api/v1")
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    for prefix in ("", "/auth"):
        answer = below_a_path.http.get(f"{prefix}/api/v1/clients", headers=bearer)
        assert answer.status_code == 200
    document = below_a_path.http.get("/auth/api/v1/openapi.json").json()
    assert document["servers"] == [{"url": issuer}]
    assert below_a_path.http.get("/other/api/v1/clients", headers=bearer).status_code == 404


def test_a_database_that_is_gone_is_503(server: Server) -> None:
    """With Retry-After, by every route; when it is back, so is the API."""
    caller = Caller(server, *EVERY_SCOPE)
    database = server.installation.context.database
    body = {"name": "x", "scopes": ["customers:read"]}
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("lock table client, signing_key in access exclusive mode")
        else:
            assert caller("GET", "/clients").status_code == 200  # who only reads waits for nobody
        answer = caller("POST", "/clients", json=body)
        assert problem(answer) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"

    assert caller("POST", "/clients", json=body).status_code == 201
    assert PROBLEM not in caller("GET", "/clients").headers["content-type"]
