"""A proxy with what is before and behind it, as a test sees it; fixtures that start them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from support.door_tokens import AUDIENCE, SCOPES, Tokens
from support.installation import Credentials, Installation, Server
from support.proxies.neighbours import Answer, Received, Upstream, Way, ask
from support.proxies.process import ProxyProcess
from support.proxies.shipped import ASKING, OFFLINE

REALM = f'realm="{AUDIENCE}"'


@dataclass(frozen=True, slots=True)
class Issuer:
    """A server, a client that holds every scope, and the tokens that it got."""

    server: Server
    client: Credentials
    tokens: Tokens = field(repr=False)
    """Makes tokens with the server's own key, good ones and others."""
    _issued: dict[str, str] = field(default_factory=dict, repr=False)

    def bearer(self, *scopes: str) -> str:
        """An Authorization line with an issued token that has exactly these scopes."""
        names = " ".join(scopes)
        if names not in self._issued:
            answer = self.server.token(self.client, scope=names)
            self._issued[names] = answer.json()["access_token"]
        return f"Authorization: Bearer {self._issued[names]}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a request, the questions it led to, and what of it reached the API."""

    answer: Answer
    asked: list[Received]
    reached: list[Received]

    @property
    def status(self) -> int:
        """The answer's status."""
        return self.answer.status

    @property
    def challenge(self) -> str:
        """The one challenge of a refusal."""
        (challenge,) = self.answer.values("www-authenticate")
        return challenge


@dataclass(frozen=True, slots=True)
class Door:
    """A running proxy; nothing is ever asked on the `way` of one that checks offline."""

    name: str
    proxy: ProxyProcess
    way: Way
    api: Upstream

    def ask(self, request: str, *lines: str, body: bytes = b"") -> Outcome:
        """What comes of a request (`GET /path`), sent as it is written, each line a header."""
        asked, reached = len(self.way.requests), len(self.api.requests)
        if body:
            lines = (*lines, f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{request} HTTP/1.1", *lines, ""]).encode("latin-1")
        answer = ask(self.proxy.port, head, body)
        return Outcome(answer, self.way.requests[asked:], self.api.requests[reached:])


def is_refused(outcome: Outcome, status: int, error: str | None) -> None:
    """Nothing reached the API; the answer is JSON, with the challenge."""
    assert outcome.status == status
    assert outcome.reached == []
    assert outcome.challenge.startswith(f"Bearer {REALM}")
    if error is None:
        assert "error" not in outcome.challenge
    else:
        assert f'error="{error}"' in outcome.challenge
    assert outcome.answer.values("content-type")[0].startswith("application/json")
    assert json.loads(outcome.answer.body)["error"] == (error or "invalid_token")
    assert "no-store" in outcome.answer.values("cache-control")


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """One for all proxies, on SQLite: what they ask is the same whatever the database."""
    folder = tmp_path_factory.mktemp("hourpass")
    made = Installation(folder, f"sqlite:///{folder}/hourpass.db")
    made.apply_catalogue()
    server = Server(made)
    client = made.create_client(*SCOPES, "invoices:read")
    context = made.context
    with context.database.read() as connection:
        key = context.keyring().signer(context.database.now(connection))
    assert key is not None
    tokens = Tokens(issuer=server.url, key=key, client_id=client.client_id, gen=1)
    yield Issuer(server, client, tokens)
    server.stop()
    made.close()


def _open(name: str, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    api, way = Upstream(), Way(issuer.server.installation.port)
    folder = tmp_path_factory.mktemp(name)
    if name in ASKING:
        proxy = ASKING[name](folder, way.port, api.port)
    else:
        proxy = OFFLINE[name](folder, issuer.server.url, api.port)
    yield Door(name, proxy, way, api)
    proxy.stop()
    way.close()
    api.close()


def _params(names: list[str]) -> list[object]:
    """Each proxy in one worker, whatever the number of its tests."""
    return [pytest.param(n, marks=pytest.mark.xdist_group(f"proxies-{n}")) for n in names]


@pytest.fixture(scope="module", params=_params([*ASKING, *OFFLINE]))
def any_door(
    request: pytest.FixtureRequest, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    """Every proxy, started once a module."""
    yield from _open(request.param, issuer, tmp_path_factory)


@pytest.fixture(scope="module", params=_params([*ASKING]))
def asking_door(
    request: pytest.FixtureRequest, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    """The proxies that ask the server about each request, started once a module."""
    yield from _open(request.param, issuer, tmp_path_factory)


@pytest.fixture(scope="module", params=_params([*OFFLINE]))
def offline_door(
    request: pytest.FixtureRequest, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    """The proxies that check tokens themselves, started once a module."""
    yield from _open(request.param, issuer, tmp_path_factory)
