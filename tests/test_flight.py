"""One attempt that many callers wait for, where there can be none."""

import threading

import pytest

from hourpass.client import ServerUnavailable, TokenSource
from hourpass.flight import Flight
from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.resource_server import KeysUnavailable, Verifier
from support.door_tokens import AUDIENCE, Tokens
from support.token_server import CLIENT_ID, SECRET


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that gives no more of them."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_a_token_source_without_a_thread_says_so(no_threads: None) -> None:
    """In its own words, and after its patience."""
    source = TokenSource(
        token_url="http://127.0.0.1:1/token",
        client_id=CLIENT_ID,
        client_secret=SECRET,
        patience_s=0.0,
        environ={},
    )
    with pytest.raises(ServerUnavailable, match="no thread could be started"):
        source.token()


def test_a_verifier_without_a_thread_cannot_judge(no_threads: None) -> None:
    """Which is no verdict on the token."""
    issuer = "http://localhost:9"
    key = PrivateKey.generate(Algorithm.ES256)
    token = Tokens(issuer=issuer, key=key, client_id=CLIENT_ID).good
    with pytest.raises(KeysUnavailable) as refusal:
        Verifier(issuer, AUDIENCE).verify(token)
    assert refusal.value.detail == "can't start new thread"


def test_a_flight_is_over_when_its_attempt_is() -> None:
    """Whoever waits for so long and no longer sees it run on."""
    gate = threading.Event()

    def attempt() -> None:
        gate.wait(5)

    flight = Flight.begin(attempt, name="test")

    flight.wait(0.01)
    assert flight.is_running()
    gate.set()
    flight.wait(5)
    flight.thread.join(5)
    assert not flight.is_running()
