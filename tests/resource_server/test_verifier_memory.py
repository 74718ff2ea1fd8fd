"""What a verifier remembers: bounded, exact, and never longer than its reason."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from local_issuer import NOW, Clock, LocalIssuer, settle

from hourpass.oauth.errors import InvalidToken
from hourpass.oauth.jose import Algorithm, PrivateKey
from hourpass.resource_server import Verifier, memory


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """An issuer that publishes one key."""
    with LocalIssuer() as issuer:
        yield issuer


def _size(verifier: Verifier) -> int:
    held = verifier._keys.held
    return 0 if held is None else len(held.memory)


def test_memory_has_its_bound(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens come; those used all the time stay."""
    monkeypatch.setattr(memory, "MAX_REMEMBERED", 20)
    verifier = issuer.verifier(Clock())
    favourite = issuer.token()
    first = verifier.verify(favourite)

    for number in range(100):
        verifier.verify(issuer.token(jti=str(number)))
        assert verifier.verify(favourite) is first
        assert _size(verifier) <= 20


def test_nothing_bad_is_remembered(issuer: LocalIssuer) -> None:
    """A refused token costs no memory."""
    verifier = issuer.verifier(Clock())
    verifier.verify(issuer.token())

    for number in range(10):
        with pytest.raises(InvalidToken):
            verifier.verify(issuer.token(aud=f"https://{number}.example.com"))

    assert _size(verifier) == 1


def test_a_known_token_expires_to_the_second(issuer: LocalIssuer) -> None:
    """Fractions in `exp` count."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    token = issuer.token(exp=NOW + 10.5)
    verifier.verify(token)

    clock.now = NOW + 10.4
    assert verifier.recall(f"Bearer {token}") is not None
    clock.now = NOW + 10.5
    with pytest.raises(InvalidToken, match="expired"):
        verifier.verify(token)


def test_recalling_never_waits(issuer: LocalIssuer) -> None:
    """Before the first fetch there is nothing, and later nothing but good, known credentials."""
    verifier = issuer.verifier(Clock())
    token = issuer.token()

    assert verifier.recall(f"Bearer {token}") is None
    assert issuer.requests == []
    verifier.verify(token)
    assert verifier.recall(f"Bearer {token}") is verifier.verify(token)
    for credentials in ("", token, f"bearer {token}", f"Bearer {token}, Basic YTpi", "Bearer x"):
        assert verifier.recall(credentials) is None


def test_a_late_verdict_of_old_keys_is_not_taken_for_one_of_new_keys(issuer: LocalIssuer) -> None:
    """A thread that finishes after the keys have changed must not revive a withdrawn key."""
    clock = Clock()
    verifier = issuer.verifier(clock)
    token = issuer.token()
    verifier.verify(token)
    old = verifier._keys.held
    assert old is not None
    verdict = old.memory.young[f"Bearer {token}"]
    issuer.show(PrivateKey.generate(Algorithm.ES256))
    clock.now += 301
    verifier.verify(token)
    settle()

    old.memory.put(f"Bearer {token}", verdict)

    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_many_threads_remember_the_same(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets the verdict on its own token, while the memory turns over all the time."""
    monkeypatch.setattr(memory, "MAX_REMEMBERED", 8)
    verifier = issuer.verifier(Clock())
    tokens = {str(number): issuer.token(jti=str(number)) for number in range(16)}
    verifier.verify(tokens["0"])
    start = threading.Barrier(8)

    def work(_: int) -> bool:
        start.wait()
        return all(
            verifier.verify(token).jti == jti for _ in range(20) for jti, token in tokens.items()
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert _size(verifier) <= 8
