"""One request hurts only itself: every kind of octet in every field, beside good requests."""

import itertools
import json
import threading
from urllib.parse import quote_from_bytes

import httpx
import pytest

from support.installation import FORM, Credentials, Server

# One of each kind that has broken a parser, a driver or a database somewhere.
OCTETS = (
    b"\0", b"a\0b", b"\r\n", b"\x1b[31m", b"\x7f", b"\x80", b"\xff\xfe", b"\xc0\x80",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "\u202e".encode(), "\ufeff".encode(), "\u2028".encode(),
    "é".encode(), "日本".encode(), "\U0001f4a9".encode(), b"'", b'"', b"\\", b"%", b"%00", b"%ff",
    b"{}", b"';DROP TABLE client;--", b"<script>", b"=1+1", b"$(id)", b"../..", b"-1",
    b"9" * 400, b"a" * 4000, b" " * 50, b"null",
)  # fmt: skip
FIELDS = ("client_id", "client_secret", "scope", "resource", "grant_type", "more")
GOOD_A_SECOND = 200


def _poisons(credentials: Credentials) -> list[httpx.Request]:
    requests = []
    good = {"grant_type": "client_credentials", "client_id": credentials.client_id}
    good["client_secret"] = credentials.secret
    for octets, field in itertools.product(OCTETS, FIELDS):
        encoded = {name: value.encode() for name, value in good.items()} | {field: octets}
        body = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in encoded.items())
        raw = b"&".join(name.encode() + b"=" + value for name, value in encoded.items())
        text = {name: value.decode("utf-8", "surrogateescape") for name, value in encoded.items()}
        as_json = {"Content-Type": "application/json"}
        requests += [
            httpx.Request("POST", "http://x/token", headers=FORM, content=body),
            httpx.Request("POST", "http://x/token", headers=FORM, content=raw),
            httpx.Request("POST", "http://x/token", headers=as_json, content=json.dumps(text)),
        ]
    for octets in OCTETS:
        if octets.strip() == octets and min(octets) >= 32 and 127 not in octets:
            headers = [(b"X-Forwarded-For", octets), (b"X-Request-Id", octets)]
            headers += [(name.encode(), value.encode()) for name, value in FORM.items()]
            headers.append((b"Authorization", credentials.basic["Authorization"].encode()))
            body = "grant_type=client_credentials"
            requests.append(httpx.Request("POST", "http://x/token", headers=headers, content=body))
    return requests


@pytest.mark.spec("threats", "22", "One request hurts only itself")
def test_no_octet_in_any_field_fails_a_neighbour(shared_server: Server) -> None:
    """Good requests at 200 a second all succeed, and no bad one gets a 500."""
    installation = shared_server.installation
    credentials = installation.create_client("customers:read")
    statuses: list[int] = []
    done = threading.Event()

    def good() -> None:
        with httpx.Client(base_url=shared_server.url, trust_env=False, timeout=15) as client:
            while not done.wait(4 / GOOD_A_SECOND):
                form = {"grant_type": "client_credentials"}
                answer = client.post("/token", data=form, headers=credentials.basic)
                statuses.append(answer.status_code)

    threads = [threading.Thread(target=good) for _ in range(4)]
    for thread in threads:
        thread.start()
    bad: dict[int, int] = {}
    try:
        with httpx.Client(trust_env=False, timeout=15) as client:
            for request in _poisons(credentials):
                request.url = request.url.copy_with(host="localhost", port=installation.port)
                status = client.send(request).status_code
                bad[status] = bad.get(status, 0) + 1
    finally:
        done.set()
        for thread in threads:
            thread.join()

    assert set(statuses) == {200}
    assert len(statuses) > GOOD_A_SECOND / 4
    assert bad.keys() <= {200, 400, 401, 431}
    assert bad[400] > 50
    assert bad[401] > 50
