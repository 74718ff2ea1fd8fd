"""Keys rotate while tokens are asked for and verified, and no verification fails."""

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from hourpass.oauth.errors import OAuthError
from hourpass.resource_server import Verifier
from hourpass.server.keys import operations, store
from support.installation import TESTER, Credentials, Server

ROTATIONS = 3


@pytest.mark.spec("threats", "9", "Keys rotate without a failed verification")
def test_a_verifier_that_caches_never_fails_during_a_rotation(server: Server) -> None:
    """A key set fetched before a rotation verifies what the key after it signs, all the while.

    Each rotation finds a next key that was published long enough: time passes by moving
    `created_at` back, the rest is real.
    """
    installation = server.installation
    credentials = installation.create_client("customers:read")

    for _ in range(ROTATIONS):
        _let_time_pass(server)
        watchers = [_Watcher(server, credentials) for _ in range(4)]
        _until(lambda: all(watcher.kids for watcher in watchers))  # noqa: B023  (called here)
        operations.rotate(installation.context.database, installation.context.policy, TESTER)
        _until(lambda: all(len(watcher.kids) == 2 for watcher in watchers))  # noqa: B023  (called here)
        for watcher in watchers:
            watcher.stop()

        assert [watcher.faults for watcher in watchers] == [[]] * 4
        assert {len(watcher.kids) for watcher in watchers} == {2}


class _Watcher:
    """Gets tokens and verifies them, with a key set of its own, until stopped."""

    def __init__(self, server: Server, credentials: Credentials) -> None:
        self.faults: list[str] = []
        self.kids: set[str] = set()
        self._server, self._credentials = server, credentials
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        verifier = Verifier(self._server.url, "https://api.example.com")
        while not self._stopped.is_set():
            answer = self._server.token(self._credentials)
            try:
                self.kids.add(verifier.verify(answer.json()["access_token"]).key_id)
            except (OAuthError, KeyError) as fault:
                self.faults.append(f"{answer.status_code} {fault!r}")


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def _let_time_pass(server: Server) -> None:
    """The next key was published ten minutes earlier than it was."""
    database = server.installation.context.database
    earlier = (
        "created_at - 600000000"
        if database.dialect.value == "sqlite"
        else "created_at - interval '10 minutes'"
    )
    with database.read() as connection:
        published = {key.kid for key in store.signing_keys(connection)}
    _until(lambda: published <= _shown(server))  # as it was, those ten minutes
    with database.write() as connection:
        connection.execute(text(f"UPDATE signing_key SET created_at = {earlier}"))
        connection.execute(text("UPDATE installation SET keys_version = keys_version + 1"))


def _shown(server: Server) -> set[str]:
    return {key["kid"] for key in server.http.get("/.well-known/jwks.json").json()["keys"]}
