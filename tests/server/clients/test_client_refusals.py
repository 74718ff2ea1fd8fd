"""What the deeds on clients refuse: unknown IDs, scopes that cannot be granted, old versions."""

from collections.abc import Callable

import pytest

from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NewClient, NotFound
from hourpass.server.clients.model import Client
from hourpass.server.organizations.operations import UnknownOrganization
from hourpass.server.refused import BadInput, Conflict
from support.installation import CATALOGUE, TESTER, Installation

WITHOUT_CUSTOMERS = CATALOGUE.replace(
    """[[api.scope]]
name = "customers:read"
description = "List customers"
grants = ["GET /customers"]
""",
    "",
)
STRANGE_IDS = {
    "unknown": "m2m_00000000000000000000",
    "empty": "",
    "short": "m2m_0",
    "capitals": "M2M_00000000000000000000",
    "blank after": "m2m_00000000000000000000 ",
    "line end after": "m2m_00000000000000000000\n",
    "NUL": "m2m_0000000000000000000\0",
    "surrogate": "m2m_0000000000000000000\ud800",
    "octet of argv": "m2m_0000000000000000000\udcff",
    "wildcard": "m2m_%",
    "SQL": "' OR 1=1 --",
    "endless": "m2m_" + "0" * 100_000,
}


@pytest.mark.parametrize("strange", STRANGE_IDS)
def test_an_id_that_nobody_has_is_not_found(home: Installation, strange: str) -> None:
    """By every deed, in the same words, whatever its form; nothing is written."""
    database, keyring, client_id = (
        home.context.database,
        home.context.keyring(),
        STRANGE_IDS[strange],
    )
    events = len(home.events())
    deeds: list[Callable[[], object]] = [
        lambda: lifecycle.update(database, client_id, TESTER, name="x"),
        lambda: lifecycle.set_scopes(database, client_id, frozenset({"customers:read"}), TESTER),
        lambda: lifecycle.rotate_secret(database, keyring, client_id, TESTER),
        lambda: lifecycle.suspend(database, client_id, TESTER),
        lambda: lifecycle.activate(database, client_id, TESTER),
        lambda: lifecycle.revoke_tokens(database, client_id, TESTER),
        lambda: lifecycle.delete(database, client_id, TESTER),
    ]
    for deed in deeds:
        with pytest.raises(NotFound) as refused:
            deed()
        assert str(refused.value).startswith("there is no API client ")
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 100
    assert len(home.events()) == events


@pytest.mark.parametrize(
    "scopes",
    [
        {"customers:write"},
        {"customers:read", "nothing:here"},
        {"Customers:read"},
        {"customers:read "},
        {"customers"},
        {"customers:*"},
        {""},
        {"a\0b"},
        {"a\ud800b"},
        {"hourpass.everything"},
        {"hourpass.introspect:"},
        {"hourpass.introspect:nothing"},
        {"x" * 100_000},
        set(),
    ],
)
@pytest.mark.spec("threats", "3", "Scopes are exact.")
def test_a_scope_that_is_not_in_the_catalogue_is_refused(
    home: Installation, scopes: set[str]
) -> None:
    """At creation and afterwards; nothing changes."""
    client_id = home.create_client("customers:read").client_id
    before, events = home.stored(client_id), len(home.events())

    with pytest.raises(BadInput) as at_creation:
        home.create_client(*scopes)
    with pytest.raises(BadInput) as afterwards:
        lifecycle.set_scopes(home.context.database, client_id, frozenset(scopes), TESTER)

    assert at_creation.value.member == afterwards.value.member == "scopes"
    assert len(str(afterwards.value)) < 200
    assert home.stored(client_id) == before
    assert len(home.events()) == events


def test_management_and_introspection_scopes_can_be_granted(home: Installation) -> None:
    """They are built in; introspection is by API."""
    scopes = {"hourpass.clients:read", "hourpass.keys:write", "hourpass.introspect:bookings"}
    client_id = home.create_client(*scopes).client_id

    assert home.stored(client_id).scopes == scopes


@pytest.mark.spec("contract", "Catalogue", "it cannot be granted any more, its holders keep it")
def test_a_retired_scope_stays_with_its_holder_and_goes_to_nobody_else(
    installation: Installation,
) -> None:
    """The holder keeps it through other changes; once taken away it does not come back."""
    database = installation.context.database
    holder = installation.create_client("customers:read", "bookings:read").client_id
    other = installation.create_client("bookings:read").client_id
    installation.apply_catalogue(WITHOUT_CUSTOMERS)

    with pytest.raises(BadInput, match=r"customers:read is retired"):
        lifecycle.set_scopes(
            database, other, frozenset({"customers:read", "bookings:read"}), TESTER
        )
    with pytest.raises(BadInput, match=r"customers:read is retired"):
        installation.create_client("customers:read")
    kept = frozenset({"customers:read", "profile:write"})
    assert lifecycle.set_scopes(database, holder, kept, TESTER).scopes == kept
    lifecycle.set_scopes(database, holder, frozenset({"profile:write"}), TESTER)
    with pytest.raises(BadInput, match=r"customers:read is retired"):
        lifecycle.set_scopes(database, holder, kept, TESTER)


@pytest.mark.parametrize("organization", ["nowhere", "", "DEFAULT", "a\0b", "a\ud800b", "x" * 5000])
def test_an_organization_that_is_not_there_is_refused(
    home: Installation, organization: str
) -> None:
    """Whatever its octets; nothing is written."""
    events = len(home.events())

    with pytest.raises(UnknownOrganization) as refused:
        home.create(
            NewClient(name="Sync", scopes=frozenset({"customers:read"}), organization=organization)
        )

    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200
    assert len(home.events()) == events


@pytest.mark.parametrize(
    ("new", "member"),
    [
        (NewClient(name="", scopes=frozenset({"customers:read"})), "name"),
        (NewClient(name="a\0b", scopes=frozenset({"customers:read"})), "name"),
        (
            NewClient(name="a", scopes=frozenset({"customers:read"}), description="\0"),
            "description",
        ),
        (
            NewClient(name="a", scopes=frozenset({"customers:read"}), expires_in_days=0),
            "expires_in_days",
        ),
        (
            NewClient(name="a", scopes=frozenset({"customers:read"}), expires_in_days=3651),
            "expires_in_days",
        ),
        (
            NewClient(name="a", scopes=frozenset({"customers:read"}), limit_per_minute=0),
            "limit_per_minute",
        ),
        (
            NewClient(name="a", scopes=frozenset({"customers:read"}), limit_per_minute=1_000_001),
            "limit_per_minute",
        ),
    ],
)
def test_a_client_that_cannot_be_is_not_made(
    home: Installation, new: NewClient, member: str
) -> None:
    """The refusal names the member; no row, no event."""
    events = len(home.events())

    with pytest.raises(BadInput) as refused:
        home.create(new)

    assert refused.value.member == member
    assert len(home.events()) == events


def test_an_old_version_is_a_conflict(home: Installation) -> None:
    """Whoever looked at an older state must look again, even if the scopes are the same."""
    database = home.context.database
    client_id = home.create_client("customers:read").client_id
    seen = home.stored(client_id).version
    wanted = frozenset({"bookings:read"})

    def change(scopes: frozenset[str], version: int) -> Client:
        expected = frozenset({version})
        return lifecycle.update(
            database, client_id, TESTER, scopes=scopes, expected_versions=expected
        )

    changed = change(wanted, seen)

    for version in (seen, changed.version + 1, 0, -1):
        for scopes in (wanted, frozenset({"customers:read"})):
            with pytest.raises(Conflict, match="look at it again"):
                change(scopes, version)
    assert home.stored(client_id) == changed
    assert changed.scopes == wanted
    assert len(home.events(client_id=client_id)) == 2
