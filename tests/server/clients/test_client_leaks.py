"""A reported leak against what others do to the client at the same moment."""

import pytest

from hourpass.server.clients import lifecycle, store
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.clients.model import Status
from support.installation import TESTER, Installation


@pytest.mark.parametrize("meanwhile", ["rotated", "deleted"])
def test_a_secret_that_dies_between_look_and_deed_changes_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """The new secret is not the leaked one: its client must not be stopped for it."""
    context = installation.context
    database, keyring = context.database, context.keyring()
    new = NewClient(name="Sync", scopes=frozenset({"customers:read"}))
    made = lifecycle.create(database, keyring, new, TESTER)
    client_id = made.client.client_id
    find = store.holder

    def find_and_let_others_go_on(*arguments: object) -> str | None:
        found = find(*arguments)  # type: ignore[arg-type]  # as it is called
        if meanwhile == "rotated":
            lifecycle.rotate_secret(database, keyring, client_id, TESTER)
        else:
            lifecycle.delete(database, client_id, TESTER)
        return found

    monkeypatch.setattr(store, "holder", find_and_let_others_go_on)
    lifecycle.report_leak(database, keyring, made.secret, TESTER, url=None, suspend=True)

    assert installation.events(client_id=client_id, event="client.leak_reported") == []
    if meanwhile == "rotated":
        client = lifecycle.read(database, client_id, TESTER)
        assert client.leaked_at is None
        assert client.status(client.created_at) is Status.ACTIVE
