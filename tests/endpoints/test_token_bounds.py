"""Threat 2: every input is bounded before it costs anything."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from raw_http import Connection, form_of, token_head, token_request
from request_templates import MEMBERS, POST, form, json_of
from token_answers import refused, token_in

from support.installation import Credentials, Server

BODY = 16 * 1024
HEAD = 8 * 1024
SCOPE = 4 * 1024
PIECE = b"x" * 65_536
MIB = 1024 * 1024
ENOUGH = 64 * MIB


@pytest.fixture(scope="module")
def credentials(shared_server: Server) -> Credentials:
    """A client whose credentials are good."""
    return shared_server.installation.create_client("customers:read")


def padded(credentials: Credentials, size: int) -> bytes:
    """A good form of exactly `size` octets."""
    start = form_of(credentials) + b"&x="
    return start.ljust(size, b"y")


def in_chunks(body: bytes, size: int = 1000) -> Iterator[bytes]:
    """The body in parts, so that it is sent chunked."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


def resident(server: Server) -> int:
    """How much memory the server's process holds, in octets."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@pytest.mark.spec("threats", "2", "Body 16 KiB; over it 413.")
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_may_be_16_kib_and_not_an_octet_more(
    shared_server: Server, credentials: Credentials, *, chunked: bool
) -> None:
    """With Content-Length or in chunks."""

    def post(size: int) -> httpx.Response:
        body = padded(credentials, size)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        content = in_chunks(body) if chunked else body
        return shared_server.http.post("/token", content=content, headers=headers)

    token_in(post(BODY))
    refused(post(BODY + 1), 413, "invalid_request")
    refused(post(BODY * 20), 413, "invalid_request")
    token_in(post(BODY))


@pytest.mark.spec("threats", "2", "Body 16 KiB; over it 413.")
def test_json_has_the_same_bound(shared_server: Server, credentials: Credentials) -> None:
    """To the octet."""
    frame = len(json_of(MEMBERS + ',"x":""').body) - len("<id><secret>") + 24 + 53

    fits = json_of(f'{MEMBERS},"x":"{"y" * (BODY - frame)}"')
    over = json_of(f'{MEMBERS},"x":"{"y" * (BODY - frame + 1)}"')

    token_in(fits.send(shared_server, credentials))
    refused(over.send(shared_server, credentials), 413, "invalid_request")


@pytest.mark.spec("threats", "2", "scope 4 KiB")
def test_a_scope_may_be_4_kib_and_not_an_octet_more(
    shared_server: Server, credentials: Credentials
) -> None:
    """The client holds every name in it, so only the length can matter."""
    names = ("customers:read " * 300).strip()
    assert (SCOPE + 1) % len("customers:read ") == 2  # so 273 names are 4,094 octets

    fits = form(f"{POST}&scope={names[: SCOPE - 2]}")
    over = form(f"{POST}&scope={names}")

    assert len(names[: SCOPE - 2].split()) == 273
    token_in(fits.send(shared_server, credentials))
    refused(over.send(shared_server, credentials), 400, "invalid_scope")
    lacking = form(f"{POST}&scope={'x' * SCOPE}").send(shared_server, credentials)
    too_long = form(f"{POST}&scope={'x' * (SCOPE + 1)}").send(shared_server, credentials)
    assert "hold" in refused(lacking, 400, "invalid_scope")["error_description"]
    assert "4 KiB" in refused(too_long, 400, "invalid_scope")["error_description"]


@pytest.mark.spec("threats", "2", "header 8 KiB; over it 431")
@pytest.mark.parametrize(
    "lines",
    [
        ("X-Long: " + "x" * HEAD,),
        tuple(f"X-{number}: {'x' * 80}" for number in range(100)),
        tuple(f"X{number:03}: y" for number in range(1000)),
        ("Authorization: Basic " + "QQ" * HEAD,),
        ("Cookie: " + "x" * 100 * HEAD,),
    ],
    ids=["one long", "many", "very many", "Authorization", "huge"],
)
def test_a_head_over_8_kib_is_431(
    shared_server: Server, credentials: Credentials, lines: tuple[str, ...]
) -> None:
    """In the form of every other refusal, and the connection ends with it."""
    with Connection(shared_server) as connection:
        connection.send_until_closed([token_request(credentials, *lines)])
        answer = connection.answer()

        assert answer.status == 431
        assert answer.header("content-type") == "application/json"
        assert answer.header("cache-control") == "no-store"
        assert answer.header("connection") == "close"
        assert b'"error":"invalid_request"' in answer.body
        assert credentials.secret.encode() not in answer.body
        assert connection.is_closed()


def test_a_head_just_under_8_kib_is_served(shared_server: Server, credentials: Credentials) -> None:
    """Whole, or in pieces."""
    whole = token_request(credentials, "X-Long: " + "x" * (HEAD - 300))
    with Connection(shared_server) as connection:
        connection.send(whole)
        assert connection.answer().status == 200
        for start in range(0, len(whole), 1500):
            connection.send(whole[start : start + 1500])
        assert connection.answer().status == 200


@pytest.mark.parametrize(
    "start",
    [
        b"POST /",
        b"POST /token?",
        b"POST /token HTTP/1.1\r\nX-Endless: ",
        b"POST /token HTTP/1.1\r\nX-Endless",
        token_head()[:-2],
        b"\r\n",
    ],
    ids=["target", "query", "value", "name", "lines", "blank lines"],
)
def test_a_head_without_an_end_is_431_as_soon_as_it_is_over(
    shared_server: Server, start: bytes
) -> None:
    """Sent slowly in pieces that are each small."""
    piece = {b"\r\n": b"\r\n" * 256, token_head()[:-2]: b"X-More: yes\r\n" * 40}
    parts = itertools.chain([start], itertools.repeat(piece.get(start, b"x" * 512), 200))
    with Connection(shared_server) as connection:
        sent = 0
        for part in parts:
            sent += connection.send_until_closed([part])
            if connection.has_input(0.005):
                break

        assert HEAD <= sent <= HEAD + 2048
        assert connection.answer().status == 431
        assert connection.is_closed()


CHUNKED = token_head("Transfer-Encoding: chunked")
ENDLESS = {
    "body": (token_head(f"Content-Length: {ENOUGH * 2}"), PIECE),
    "chunked body": (CHUNKED, b"10000\r\n" + PIECE + b"\r\n"),
    "one chunk": (CHUNKED + b"7fffffff\r\n", PIECE),
    "chunk extension": (CHUNKED + b"1;x=", PIECE),
    "chunk extensions": (CHUNKED, b"1;x=" + b"y" * 60_000 + b"\r\nx\r\n"),
    "trailer": (CHUNKED + b"0\r\nX-Endless: ", PIECE),
    "trailers": (CHUNKED + b"0\r\n", b"X-More: yes\r\n" * 5000),
    "body for GET": (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n" + PIECE + b"\r\n",
    ),
    "body for nobody": (
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n",
        PIECE,
    ),
}


@pytest.mark.spec("threats", "2", "over it 413/400/431, read no further, memory flat")
@pytest.mark.parametrize(("start", "part"), ENDLESS.values(), ids=ENDLESS.keys())
def test_what_has_no_end_is_cut_off(
    shared_server: Server, credentials: Credentials, start: bytes, part: bytes
) -> None:
    """The server closes long before the sender is done, and has kept nothing of it."""
    token_in(shared_server.token(credentials))
    before = resident(shared_server)

    with Connection(shared_server) as connection:
        parts = itertools.repeat(part, ENOUGH // len(part))
        sent = connection.send_until_closed(itertools.chain([start], parts))

        assert sent < 16 * MIB
        assert resident(shared_server) - before < 8 * MIB
    token_in(shared_server.token(credentials))
