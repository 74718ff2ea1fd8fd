"""Whoever fails too often is told to leave off, and learns nothing by it; nobody is locked out.

Each test has addresses of its own: every address of the loopback network is this machine.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import client_states
import httpx
import pytest
from token_answers import refused, token_in

from hourpass.oauth import secret_format
from hourpass.server.tokens.failures import PER_BLOCK, PER_CLIENT
from support.installation import Credentials, Server

FORM = {"grant_type": "client_credentials"}
_addresses = itertools.count(1)
_ids = itertools.count(1)


@contextmanager
def somewhere(server: Server) -> Iterator[httpx.Client]:
    """A caller with an address that has not failed yet."""
    number = next(_addresses)
    transport = httpx.HTTPTransport(local_address=f"127.7.{number >> 8}.{number & 255}")
    url = f"http://127.0.0.1:{server.installation.port}"
    with httpx.Client(transport=transport, base_url=url, timeout=15) as client:
        yield client


def wrong(credentials: Credentials) -> Credentials:
    """The same client with another secret of the right form."""
    return Credentials(credentials.client_id, secret_format.generate())


def made_up() -> Credentials:
    """A client that does not exist, with a secret of the right form."""
    return Credentials(f"m2m_{next(_ids):020}", secret_format.generate())


def told(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that an answer says, but for which request it was and what time it is."""
    theirs = {"x-request-id", "date"}
    return (
        answer.status_code,
        answer.content,
        [pair for pair in answer.headers.multi_items() if pair[0] not in theirs],
    )


def limited(answer: httpx.Response) -> None:
    """Assert that this is the 429 of a spent budget."""
    members = refused(answer, 429, "rate_limited")
    assert members.keys() == {"error", "error_description"}
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "www-authenticate" not in answer.headers


@pytest.mark.spec("threats", "23", "wrong secrets for client X from address A never lock X out")
@pytest.mark.spec("RFC 6585", "4", "MAY include a Retry-After header")
def test_a_spent_budget_is_429_for_wrong_secrets_only(shared_server: Server) -> None:
    """The right secret gets its token from the same address, before and after and every time."""
    client, other = (shared_server.installation.create_client("customers:read") for _ in range(2))
    with somewhere(shared_server) as here, somewhere(shared_server) as elsewhere:
        for _ in range(PER_CLIENT):
            answer = here.post("/token", data=FORM, headers=wrong(client).basic)
            refused(answer, 401, "invalid_client")
        for _ in range(3):
            limited(here.post("/token", data=FORM, headers=wrong(client).basic))
            token_in(here.post("/token", data=FORM, headers=client.basic))

        refused(here.post("/token", data=FORM, headers=wrong(other).basic), 401, "invalid_client")
        answer = elsewhere.post("/token", data=FORM, headers=wrong(client).basic)
        refused(answer, 401, "invalid_client")
        token_in(elsewhere.post("/token", data=FORM, headers=client.basic))


@pytest.mark.spec("threats", "4", "Unknown client and wrong secret … answer the same bytes")
def test_the_429_does_not_say_whether_the_client_exists(shared_server: Server) -> None:
    """It begins with the same attempt and is the same, byte for byte, deleted clients too."""
    exists, deleted = (shared_server.installation.create_client("customers:read") for _ in range(2))
    client_states.delete(shared_server.installation, deleted)
    heard = []
    for named in (exists, deleted, made_up()):
        with somewhere(shared_server) as here:
            answers = [
                here.post("/token", data=FORM, headers=wrong(named).basic)
                for _ in range(PER_CLIENT + 2)
            ]
        for answer in answers:
            if answer.status_code == 429:  # its value is a matter of when the attempts began
                answer.headers["retry-after"] = "60"
        heard.append([told(answer) for answer in answers])

    assert [status for status, _, _ in heard[0]] == [401] * PER_CLIENT + [429] * 2
    assert heard[0] == heard[1] == heard[2]


@pytest.mark.spec("threats", "23", "limiter … memory is bounded however many IDs are tried")
def test_an_address_that_tries_many_clients_has_one_budget_for_all(shared_server: Server) -> None:
    """Once it is spent every kind of failure is the same 429; right secrets go on."""
    client = shared_server.installation.create_client("customers:read")
    kinds: list[Callable[[], Credentials | None]] = [
        made_up,
        lambda: wrong(client),
        lambda: Credentials(client.client_id, "hps_guess"),
        lambda: Credentials("nobody", client.secret),
        lambda: None,
    ]
    with somewhere(shared_server) as here:
        statuses = [
            here.post("/token", data=FORM, headers=made_up().basic).status_code
            for _ in range(PER_BLOCK + 1)
        ]
        assert statuses == [401] * PER_BLOCK + [429]
        answers = []
        for kind in kinds:
            credentials = kind()
            headers = {} if credentials is None else credentials.basic
            answers.append(here.post("/token", data=FORM, headers=headers))
            limited(answers[-1])
        assert len({answer.content for answer in answers}) == 1
        token_in(here.post("/token", data=FORM, headers=client.basic))


def test_introspection_and_revocation_share_the_budget(shared_server: Server) -> None:
    """A secret can be tried at either; whoever has the right one is answered."""
    installation = shared_server.installation
    api = installation.create_client("hourpass.introspect:bookings", "customers:read")
    with somewhere(shared_server) as here:
        token = token_in(here.post("/token", data=FORM, headers=api.basic))
        for number in range(PER_CLIENT):
            route = ("/introspect", "/revoke")[number % 2]
            answer = here.post(route, data={"token": token}, headers=wrong(api).basic)
            refused(answer, 401, "invalid_client")
        for route in ("/introspect", "/revoke", "/token"):
            limited(here.post(route, data={"token": token, **FORM}, headers=wrong(api).basic))
        answer = here.post("/introspect", data={"token": token}, headers=api.basic)
        assert answer.json()["active"] is True
        assert here.post("/revoke", data={"token": token}, headers=api.basic).status_code == 200


def test_who_proves_the_secret_is_always_told_why(shared_server: Server) -> None:
    """However often a suspended client asks, it hears that it is suspended."""
    client = shared_server.installation.create_client("customers:read")
    client_states.suspend(shared_server.installation, client)
    with somewhere(shared_server) as here:
        for _ in range(PER_CLIENT + 5):
            answer = here.post("/token", data=FORM, headers=client.basic)
            assert refused(answer, 401, "invalid_client")["reason"] == "suspended"
        client_states.activate(shared_server.installation, client)
        token_in(here.post("/token", data=FORM, headers=client.basic))
