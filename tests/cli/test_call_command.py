"""`hourpass call`: one call to an API with a token, shown without anything secret."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_outcomes import refusal

from support.installation import Finished, Installation
from support.token_server import CLIENT_ID, SECRET, Asked, TokenServer, always

ANSWER = {"data": ["Ada", "Zoë"], "method": "GET"}


@pytest.fixture
def server() -> Iterator[TokenServer]:
    """A token endpoint, and an API beside it."""
    with TokenServer() as running:
        running.scripts["/api"] = lambda asked: running.api(asked)
        yield running


class Shell:
    """An integrator's shell, with the server's address and the credentials in its environment."""

    def __init__(self, folder: Path, url: str) -> None:
        self._installation = Installation(folder, "sqlite://")
        self.folder = folder
        self.environ = {
            "HOURPASS_ISSUER": url,
            "HOURPASS_CLIENT_ID": CLIENT_ID,
            "HOURPASS_CLIENT_SECRET": SECRET,
        }

    def call(self, *arguments: str) -> Finished:
        finished = self._installation.command("call", *arguments, environ=self.environ)
        assert SECRET not in finished.stdout + finished.stderr
        return finished


@pytest.fixture
def shell(server: TokenServer, tmp_path: Path) -> Shell:
    return Shell(tmp_path, server.url)


@pytest.mark.spec("contract", "Command line", "call METHOD URL")
def test_an_answer_is_printed_as_it_came(server: TokenServer, shell: Shell) -> None:
    """Octet for octet, so that it can be piped; with --json for people."""
    server.scripts["/api"] = always(200, json.dumps(ANSWER, ensure_ascii=False).encode())

    plain = shell.call("get", f"{server.url}/api?page=2")
    indented = shell.call("GET", f"{server.url}/api", "--json")

    assert (plain.status, plain.stderr) == (0, "")
    assert plain.stdout == json.dumps(ANSWER, ensure_ascii=False)
    assert indented.stdout == json.dumps(ANSWER, ensure_ascii=False, indent=2) + "\n"
    assert server.authorization[-1] == "Bearer token-2"


def test_a_body_and_headers_are_sent(server: TokenServer, shell: Shell) -> None:
    """From the command line and from a file; JSON unless a header says otherwise."""
    seen: list[tuple[str, str | None, str | None, bytes]] = []

    def remember(asked: Asked) -> None:
        headers = asked.headers
        seen.append((asked.command, headers["Content-Type"], headers["X-Tenant"], asked.body))
        asked.answer(201)

    server.scripts["/api"] = remember
    (shell.folder / "body.csv").write_bytes(b"\xff,1\n")

    made = shell.call("POST", f"{server.url}/api", "-d", '{"a": 1}', "-H", "X-Tenant: seven")
    put = shell.call(
        "PUT", f"{server.url}/api", "--data", "@body.csv", "-H", "content-type: text/csv"
    )

    assert [made.status, put.status] == [0, 0]
    assert seen == [
        ("POST", "application/json", "seven", b'{"a": 1}'),
        ("PUT", "text/csv", None, b"\xff,1\n"),
    ]


def test_verbose_shows_both_sides_and_no_secret(server: TokenServer, shell: Shell) -> None:
    """Nor a whole token, nor what its own headers say that look confidential."""

    def gossip(asked: Asked) -> None:
        asked.answer(200, b"{}", X_Echo=asked.headers["Authorization"], Set_Cookie="session=hidden")

    server.scripts["/api"] = gossip

    shown = shell.call("GET", f"{server.url}/api", "-v", "-H", "X-Api-Key: hidden", "-H", "X-A: b")

    assert (shown.status, shown.stdout) == (0, "{}")
    lines = shown.stderr.splitlines()
    assert lines[:4] == [
        f"> GET {server.url}/api",
        "> Authorization: Bearer tok… (scope customers:read)",
        "> X-Api-Key: …",
        "> X-A: b",
    ]
    assert "< 200 OK" in lines
    assert "< X-Echo: Bearer …" in lines
    assert "< Set-Cookie: …" in lines
    assert "token-1" not in shown.stderr
    assert "hidden" not in shown.stderr


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (
            403,
            {"error": "insufficient_scope", "error_description": "this needs a:read"},
            "403 insufficient_scope: this needs a:read",
        ),
        (422, {"type": "urn:x", "title": "Bad input", "detail": "page"}, "422 Bad input: page"),
        (404, {"detail": "there is no such customer"}, "404 there is no such customer"),
        (500, b"<h1>oops</h1>", "500 Internal Server Error"),
        (418, {"error": {"code": 7}}, "418 I'm a Teapot"),
        (400, {"message": "a\x1b[2J\r\nb token-1 " + "x" * 9999}, "400 a\ufffd[2J b … xxx"),
    ],
)
def test_an_error_is_one_line(
    server: TokenServer, shell: Shell, status: int, body: bytes | dict[str, str], line: str
) -> None:
    """In the API's words, whatever form it has; exit status 1."""
    server.scripts["/api"] = always(status, body)

    said = refusal(shell.call("GET", f"{server.url}/api"))

    assert said[: len(line)] == line
    assert len(said) <= 500


def test_a_redirect_is_told_not_followed(server: TokenServer, shell: Shell) -> None:
    server.scripts["/api"] = always(302, Location="https://elsewhere.example/")

    said = refusal(shell.call("GET", f"{server.url}/api"))

    assert said == "302: it redirects to https://elsewhere.example/"


def test_a_kept_token_that_died_is_replaced(server: TokenServer, shell: Shell) -> None:
    """Calls share a token through the cache file; the one that finds it dead gets another."""
    cached = ("GET", f"{server.url}/api", "--cache", "tokens.json")
    assert [shell.call(*cached).status for _ in range(2)] == [0, 0]
    assert server.token_requests == 1
    server.good.clear()

    assert shell.call(*cached).status == 0
    assert server.token_requests == 2


def test_credentials_may_be_in_a_file(server: TokenServer, shell: Shell) -> None:
    """As `hourpass clients create --json` prints them; it is refused when others can read it."""
    del shell.environ["HOURPASS_CLIENT_ID"], shell.environ["HOURPASS_CLIENT_SECRET"]
    file = shell.folder / "crm.json"
    file.write_text(json.dumps({"name": "CRM", "client_id": CLIENT_ID, "client_secret": SECRET}))
    call = ("GET", f"{server.url}/api", "--credentials", "crm.json")

    file.chmod(0o644)
    refused = refusal(shell.call(*call), status=2)
    file.chmod(0o600)

    assert refused == "crm.json can be used by others than its owner: chmod 600 crm.json"
    assert shell.call(*call).status == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("G T", "https://api.example.com/"), "the method is a word such as GET or POST"),
        (("GET", "api.example.com"), "this is no http or https URL: 'api.example.com'"),
        (("GET", "http://api.example.com"), "the token would travel in clear: use https, or "),
        (("GET", "https://a.example", "-H", "nonsense"), "a header is written 'Name: value'"),
        (("GET", "https://a.example", "-H", "X: a\nY: b"), "a header is written 'Name: value'"),
        (
            ("GET", "https://a.example", "-H", "authorization: Bearer x"),
            "the header authorization is set by this command",
        ),
        (("PUT", "https://a.example", "-d", "@none"), "none cannot be read: No such file"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    server: TokenServer, shell: Shell, arguments: tuple[str, ...], line: str
) -> None:
    assert refusal(shell.call(*arguments), status=2).startswith(line)
    assert server.asked == []


def test_an_api_that_is_not_there_is_told(server: TokenServer, shell: Shell) -> None:
    """Nobody there; an answer that does not come."""
    server.scripts["/api"] = lambda asked: None

    away = refusal(shell.call("GET", "http://127.0.0.1:1/api"))
    slow = refusal(shell.call("GET", f"{server.url}/api", "--timeout", "0.5"))

    assert away.startswith("http://127.0.0.1:1/api cannot be reached (Connection refused)")
    assert slow.startswith(f"{server.url}/api cannot be reached (no answer in time)")
