"""The deeds on an organization, and what its suspension does to its clients."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from hourpass.server.audit.events import SYSTEM, Origin
from hourpass.server.catalogue.model import MANAGEMENT_SCOPES
from hourpass.server.db import word_index
from hourpass.server.organizations import operations, store
from hourpass.server.organizations.model import Organization
from hourpass.server.organizations.operations import UnknownOrganization
from hourpass.server.refused import BadInput, Conflict, Forbidden
from hourpass.server.rights import ORGANIZATIONS_WRITE, Rights
from support.installation import TESTER, Installation, Server


def test_an_organization_has_clients_of_its_own(installation: Installation) -> None:
    """What was created is read back, and is on record."""
    database = installation.context.database

    made = operations.create(database, "acme-2", "  Acme Ltd ", TESTER)

    with database.read() as connection:
        assert store.get(connection, "acme-2") == made
    assert (made.name, made.status) == ("Acme Ltd", "active")
    (event,) = installation.events(organization="acme-2")
    assert event["event"] == "organization.created"
    assert event["detail"] == {"name": "Acme Ltd"}
    inside = installation.create_client("customers:read", organization="acme-2")
    (event,) = installation.events(client_id=inside.client_id)
    assert event["organization"] == "acme-2"


@pytest.mark.parametrize(
    "organization_id", ["", "A", "a b", "ä", "a" * 41, "a_b", "a\n", "a/b", "a\x00"]
)
def test_an_id_has_a_form(organization_id: str, installation: Installation) -> None:
    """1 to 40 lower-case letters, digits and hyphens; others are no organization's."""
    database = installation.context.database

    with pytest.raises(BadInput, match="id"):
        operations.create(database, organization_id, "Name", TESTER)
    with pytest.raises(UnknownOrganization):
        operations.suspend(database, organization_id, TESTER)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\u202eb", "a\x00b", "\ud800"])
def test_a_name_is_bounded_and_printable(name: str, installation: Installation) -> None:
    """For a new organization and for one that is renamed."""
    database = installation.context.database

    with pytest.raises(BadInput, match="name"):
        operations.create(database, "acme", name, TESTER)
    with pytest.raises(BadInput, match="name"):
        operations.update(database, "default", TESTER, name=name)


def test_an_id_is_taken_once(installation: Installation) -> None:
    """Also by many at once."""
    database = installation.context.database

    def create(number: int) -> Organization | None:
        try:
            return operations.create(database, "acme", f"Acme {number}", TESTER)
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [found for found in pool.map(create, range(8)) if found is not None]

    assert len(made) == 1
    with database.read() as connection:
        assert store.get(connection, "acme") == made[0]
    assert len(installation.events(organization="acme")) == 1


def test_each_change_is_on_record_and_none_that_changed_nothing(
    installation: Installation,
) -> None:
    """Suspending twice keeps the first moment, and writes one event."""
    database = installation.context.database
    operations.create(database, "acme", "Acme", TESTER)

    operations.update(database, "acme", TESTER, name="Acme Ltd")
    operations.update(database, "acme", TESTER, name="Acme Ltd")
    first = operations.suspend(database, "acme", TESTER)
    again = operations.suspend(database, "acme", TESTER)
    operations.activate(database, "acme", TESTER)
    last = operations.activate(database, "acme", TESTER)

    assert first.status == "suspended"
    assert again.suspended_at == first.suspended_at
    assert last.status == "active"
    events = installation.events(organization="acme")
    assert [event["event"] for event in events] == [
        "organization.created",
        "organization.updated",
        "organization.suspended",
        "organization.activated",
    ]
    assert events[1]["detail"] == {"name_before": "Acme", "name": "Acme Ltd"}
    assert {event["actor"]["id"] for event in events} == {"tester"}


def test_only_the_scope_for_it_opens_the_deeds(installation: Installation) -> None:
    """Every other management scope together does not."""
    database = installation.context.database
    others = frozenset(MANAGEMENT_SCOPES) - {ORGANIZATIONS_WRITE}
    weak = Origin(actor=SYSTEM, rights=Rights(scopes=others, organization="default"))
    deeds: list[Callable[[Origin], object]] = [
        lambda by: operations.create(database, "acme", "Acme", by),
        lambda by: operations.update(database, "default", by, name="Mine"),
        lambda by: operations.suspend(database, "default", by),
        lambda by: operations.activate(database, "default", by),
    ]

    for deed in deeds:
        with pytest.raises(Forbidden, match=ORGANIZATIONS_WRITE):
            deed(weak)
    just = Rights(scopes=frozenset({ORGANIZATIONS_WRITE}), organization="default")
    for deed in deeds:
        deed(Origin(actor=SYSTEM, rights=just))


@pytest.mark.spec("contract", "HTTP", "`suspended`, `expired` or `organization_suspended`")
def test_the_clients_of_a_suspended_organization_get_no_tokens(shared_server: Server) -> None:
    """At once and with the reason; others' do; activated, they get them again."""
    database = shared_server.installation.context.database
    operations.create(database, "stopped", "Stopped", TESTER)
    inside = shared_server.installation.create_client("customers:read", organization="stopped")
    outside = shared_server.installation.create_client("customers:read")
    for _ in range(3):
        assert shared_server.token(inside).status_code == 200

        operations.suspend(database, "stopped", TESTER)
        refused = shared_server.token(inside)
        assert refused.status_code == 401
        assert refused.json()["error"] == "invalid_client"
        assert refused.json()["reason"] == "organization_suspended"
        assert shared_server.token(outside).status_code == 200

        operations.activate(database, "stopped", TESTER)
    assert shared_server.token(inside).status_code == 200


def test_pages_hold_each_organization_once(installation: Installation) -> None:
    """Newest first, also where several were made at the same moment."""
    database = installation.context.database
    with database.write() as connection:
        now = database.now(connection)
        for number in range(5):
            made = Organization(id=f"at-once-{number}", name="x", created_at=now)
            store.add(connection, made)
    found: list[str] = []
    before = None
    with database.read() as connection:
        while not found or before is not None:
            page, before = store.page(connection, limit=2, before=before)
            found += [organization.id for organization in page]

    assert found == [f"at-once-{number}" for number in reversed(range(5))] + ["default"]


def test_organizations_are_found_by_the_beginnings_of_words(installation: Installation) -> None:
    """Of all words, whatever the case and however accents are spelled; or of the ID."""
    _add(
        installation,
        {
            "doctors": "ÄRZTEKAMMER Wien",
            "street": "Lange Straße",
            "studio-north": "Studio (North)",
            "cafe": "Cafe\u0301 Central",
            "all": "100% Ltd",
        },
    )
    expected = {
        "ärzte": ["doctors"],
        "STRASSE": ["street"],
        "nor stu": ["studio-north"],
        "studio-n": ["studio-north"],
        "tudio": [],
        "rth": [],
        "café": ["cafe"],
        "100%": ["all"],
        "studio north nobody": [],
    }

    with installation.context.database.read() as connection:
        found = {text: store.page(connection, limit=5, search=text) for text in expected}

    assert {text: [each.id for each in page] for text, (page, _) in found.items()} == expected
    assert all(more is None for _, more in found.values())


def test_a_search_has_pages_and_its_bounds(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, whether few fit or many; only among those looked for; by the name of now."""
    database = installation.context.database
    _add(installation, {f"shop-{number}": f"Shop {number % 4}" for number in range(12)})
    operations.update(database, "shop-5", TESTER, name="Warehouse")
    for few in (2000, 1):
        monkeypatch.setattr(word_index, "_FEW", few)
        with database.read() as connection:
            first, more = store.page(connection, limit=2, search="shop 3")
            rest, end = store.page(connection, limit=2, search="shop 3", before=more)
            among, _ = store.page(connection, limit=5, search="3", within=["shop-3", "shop-1"])
            ones, _ = store.page(connection, limit=5, search="1")
            renamed, _ = store.page(connection, limit=5, search="ware")
            none, _ = store.page(connection, limit=5, within=[])

        assert [each.id for each in [*first, *rest]] == ["shop-11", "shop-7", "shop-3"]
        assert end is None
        assert [each.id for each in among] == ["shop-3"]
        assert [each.id for each in ones] == ["shop-9", "shop-1"]
        assert [each.id for each in renamed] == ["shop-5"]
        assert none == []


def _add(installation: Installation, names: dict[str, str]) -> None:
    """Organizations, the last one the newest."""
    database = installation.context.database
    with database.write() as connection:
        now = database.now(connection)
        for number, (organization_id, name) in enumerate(names.items()):
            made = now + timedelta(seconds=number)
            store.add(connection, Organization(id=organization_id, name=name, created_at=made))
