"""Two workers on one node and a second node: whatever was done, each knows it at once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import pytest

from hourpass.oauth.jose import read_header
from hourpass.server.clients import lifecycle
from hourpass.server.keys import operations as keys
from hourpass.server.organizations import operations as organizations
from support.installation import CATALOGUE, TESTER, Credentials, Installation, Server
from support.postgres import Cluster
from support.worker_lines import Line, Told, a_line_to_each


@dataclass(frozen=True, slots=True)
class Nodes:
    """An installation, and a connection to each process that serves it."""

    installation: Installation
    lines: list[Line]

    def tokens(self, credentials: Credentials) -> list[Told]:
        """What each process answers to a token request."""
        return [line.token(credentials) for line in self.lines]


@pytest.fixture(scope="module")
def nodes(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Three processes: two workers of one `serve`, and another `serve`."""
    folder = tmp_path_factory.mktemp("every-worker")
    cluster.execute("create database every_worker")
    one = Installation(folder / "one", cluster.url("every_worker"))
    one.apply_catalogue()
    issuer = f"http://localhost:{one.port}"
    other = Installation(folder / "other", cluster.url("every_worker"), {"HOURPASS_ISSUER": issuer})
    with closing(one), ExitStack() as ends:
        servers = []
        for installation, workers in ((one, "2"), (other, "1")):
            servers.append(Server(installation, HOURPASS_WORKERS=workers))
            ends.callback(servers[-1].stop)
        lines = [*a_line_to_each(servers[0]).values(), Line(other.port)]
        for line in lines:
            ends.callback(line.close)
        yield Nodes(one, lines)


def rotate(nodes: Nodes, client: Credentials) -> None:
    """The old secret fails everywhere, the new one is good everywhere."""
    context = nodes.installation.context
    made = lifecycle.rotate_secret(context.database, context.keyring(), client.client_id, TESTER)
    new = Credentials(client.client_id, made.secret.reveal())

    assert refusals(nodes.tokens(client)) == [None] * 3
    assert [told.status for told in nodes.tokens(new)] == [200] * 3


def suspend(nodes: Nodes, client: Credentials) -> None:
    """No token anywhere; activated, everywhere again."""
    database = nodes.installation.context.database
    lifecycle.suspend(database, client.client_id, TESTER)
    assert refusals(nodes.tokens(client)) == ["suspended"] * 3
    lifecycle.activate(database, client.client_id, TESTER)
    assert [told.status for told in nodes.tokens(client)] == [200] * 3


def delete(nodes: Nodes, client: Credentials) -> None:
    """No token anywhere, and what was issued is refused."""
    token = a_token_seen_by_all(nodes, client)
    lifecycle.delete(nodes.installation.context.database, client.client_id, TESTER)

    assert refusals(nodes.tokens(client)) == [None] * 3
    assert [line.verify(token) for line in nodes.lines] == [401] * 3


def set_scopes(nodes: Nodes, client: Credentials) -> None:
    """The next token has the new ones, whoever issues it."""
    database = nodes.installation.context.database
    lifecycle.set_scopes(database, client.client_id, frozenset({"bookings:read"}), TESTER)

    assert [told.body["scope"] for told in nodes.tokens(client)] == ["bookings:read"] * 3


def suspend_organization(nodes: Nodes, client: Credentials) -> None:
    """No token for any of its clients, and none that was issued is good."""
    database = nodes.installation.context.database
    token = a_token_seen_by_all(nodes, client)
    organizations.suspend(database, "default", TESTER)
    try:
        assert refusals(nodes.tokens(client)) == ["organization_suspended"] * 3
        assert [line.verify(token) for line in nodes.lines] == [401] * 3
    finally:
        organizations.activate(database, "default", TESTER)
    assert [line.verify(token) for line in nodes.lines] == [200] * 3


def revoke_tokens(nodes: Nodes, client: Credentials) -> None:
    """What was issued is refused; new tokens are good."""
    token = a_token_seen_by_all(nodes, client)
    lifecycle.revoke_tokens(nodes.installation.context.database, client.client_id, TESTER)

    assert [line.verify(token) for line in nodes.lines] == [401] * 3
    a_token_seen_by_all(nodes, client)


def revoke_key(nodes: Nodes, client: Credentials) -> None:
    """What it signed is refused, and no process signs with it any more."""
    context = nodes.installation.context
    token = a_token_seen_by_all(nodes, client)
    _, kid = read_header(token)
    assert kid is not None
    keys.revoke(context.database, context.policy, kid, TESTER)

    assert [line.verify(token) for line in nodes.lines] == [401] * 3
    made = [told.body["access_token"] for told in nodes.tokens(client)]
    assert len({read_header(token)[1] for token in made} - {kid}) == 1
    for token in made:
        assert [line.verify(token) for line in nodes.lines] == [200] * 3


def apply_catalogue(nodes: Nodes, client: Credentials) -> None:
    """What a scope opens, opens at once and everywhere; what is gone is closed."""
    token = a_token_seen_by_all(nodes, client)
    nodes.installation.apply_catalogue(CATALOGUE.replace('"GET /customers"', '"GET /people"'))

    assert [line.verify(token) for line in nodes.lines] == [403] * 3
    assert [line.verify(token, uri="/people") for line in nodes.lines] == [200] * 3


DEEDS: list[Callable[[Nodes, Credentials], None]] = [
    *(rotate, suspend, delete, set_scopes, suspend_organization, revoke_tokens, revoke_key),
    apply_catalogue,  # the last: it changes what the others ask for
]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: str(deed.__name__))
@pytest.mark.spec("contract", "Lifecycle", "sees it, on every node")
def test_each_process_knows_at_once(
    nodes: Nodes, deed: Callable[[Nodes, Credentials], None]
) -> None:
    """The first request after the deed was answered, to whichever process."""
    client = nodes.installation.create_client("customers:read")
    for _ in range(2):  # so that each remembers it
        assert [told.status for told in nodes.tokens(client)] == [200] * 3

    deed(nodes, client)


def test_what_is_done_through_one_worker_is_known_to_the_others(nodes: Nodes) -> None:
    """The management API of one process, token requests to the rest."""
    manager = nodes.installation.create_client("hourpass.clients:read", "hourpass.clients:write")
    client = nodes.installation.create_client("bookings:read")
    one, *others = nodes.lines
    management = {"Authorization": f"Bearer {one.token(manager).body['access_token']}"}
    for deed, expected in {"suspend": 401, "activate": 200}.items():
        path = f"/api/v1/clients/{client.client_id}/{deed}"

        assert one.ask("POST", path, headers=management).status == 200
        assert [other.token(client).status for other in others] == [expected] * 2


def test_no_two_processes_give_out_the_same(nodes: Nodes) -> None:
    """Request IDs, token IDs and the numbers that an ES256 signature must never use twice.

    Workers are forks of one process: whatever that one had drawn beforehand they would share.
    """
    client = nodes.installation.create_client("bookings:read")
    made = [told.body["access_token"] for _ in range(8) for told in nodes.tokens(client)]
    events = nodes.installation.events(client_id=client.client_id, event="token.issued")

    assert len({token.split(".")[2][:43] for token in made}) == len(made)
    assert len({event["request_id"] for event in events}) == len(made)
    assert len({event["detail"]["jti"] for event in events}) == len(made)


def a_token_seen_by_all(nodes: Nodes, client: Credentials) -> str:
    """A token that every process finds good."""
    token: str = nodes.tokens(client)[0].body["access_token"]
    assert [line.verify(token) for line in nodes.lines] == [200] * 3
    return token


def refusals(told: list[Told]) -> list[Any]:
    """Assert that all are refused as RFC 6749 says; the reasons, where one is told."""
    assert {(one.status, one.body["error"]) for one in told} == {(401, "invalid_client")}
    return [one.body.get("reason") for one in told]
