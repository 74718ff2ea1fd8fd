"""Scopes of an API that the catalogue keeps to some organizations, on both databases."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from hourpass.server.audit.events import Origin
from hourpass.server.clients import lifecycle
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.clients.model import Client
from hourpass.server.organizations import operations
from hourpass.server.refused import BadInput
from hourpass.server.rights import CLIENTS_READ, CLIENTS_WRITE, FULL, Rights
from support.installation import CATALOGUE, TESTER, Installation

KEPT = CATALOGUE.replace(
    'name = "Billing API"', 'name = "Billing API"\norganizations = ["acme", "studio-north"]'
)
INTROSPECT = "hourpass.introspect:billing"
LOCAL = replace(
    TESTER, rights=Rights(scopes=frozenset({CLIENTS_READ, CLIENTS_WRITE}), organization="default")
)  # somebody of the organization `default` only


@pytest.fixture
def kept(installation: Installation) -> Installation:
    """An installation whose Billing API is kept to two organizations; `default` is neither."""
    operations.create(installation.context.database, "acme", "Acme Ltd", TESTER)
    installation.apply_catalogue(KEPT)
    return installation


def create(installation: Installation, by: Origin, *scopes: str, place: str = "default") -> Client:
    """A new client."""
    context = installation.context
    new = NewClient(name="CRM sync", scopes=frozenset(scopes), organization=place)
    return lifecycle.create(context.database, context.keyring(), new, by).client


@pytest.mark.spec(
    "contract",
    "Who may do what",
    "API scopes may be granted by whoever may write clients in that organization, unless the "
    "catalogue keeps the API to some organizations",
)
@pytest.mark.parametrize("scope", ["invoices:read", INTROSPECT])
def test_it_is_granted_in_those_organizations_only(kept: Installation, scope: str) -> None:
    """At creation and afterwards; the other APIs and the built-in scopes are not affected."""
    database = kept.context.database
    here = create(kept, TESTER, "customers:read", "hourpass.clients:read")
    there = create(kept, TESTER, scope, "customers:read", place="acme")
    events = len(kept.events())
    doors: list[Callable[[], object]] = [
        lambda: create(kept, TESTER, scope),
        lambda: create(kept, TESTER, "bookings:read", scope),
        lambda: lifecycle.set_scopes(database, here.client_id, here.scopes | {scope}, TESTER),
        lambda: lifecycle.update(
            database, here.client_id, TESTER, name="x", scopes=here.scopes | {scope}
        ),
    ]

    for door in doors:
        with pytest.raises(BadInput) as refused:
            door()
        assert refused.value.member == "scopes"
        assert refused.value.problem == (
            f"the catalogue keeps the scope {scope} to other organizations than default"
        )

    assert len(kept.events()) == events
    assert lifecycle.read(database, here.client_id, TESTER) == here
    taken = lifecycle.set_scopes(database, there.client_id, frozenset({"customers:read"}), TESTER)
    again = lifecycle.set_scopes(database, there.client_id, there.scopes, TESTER)
    assert taken.scopes == {"customers:read"}
    assert again.scopes == there.scopes


@pytest.mark.spec("threats", "15", "no crossing of organizations (404, by API, page and CLI alike)")
@pytest.mark.parametrize("text", [KEPT, KEPT[KEPT.index('[[api]]\nkey = "billing"') :]])
def test_to_others_it_looks_like_a_scope_that_does_not_exist(kept: Installation, text: str) -> None:
    """In every word, also where no other API is; a command for one organization is such, too."""
    made = create(kept, TESTER, CLIENTS_READ).client_id
    kept.apply_catalogue(text)
    database = kept.context.database
    command = replace(TESTER, rights=replace(FULL, organization="default"))

    for by in (LOCAL, command):
        for name in ("invoices:read", INTROSPECT):
            words = []
            for scope in (name, name[:-1] + "x"):
                with pytest.raises(BadInput) as at_creation:
                    create(kept, by, scope)
                with pytest.raises(BadInput) as afterwards:
                    lifecycle.set_scopes(database, made, frozenset({scope}), by)
                assert str(at_creation.value) == str(afterwards.value)
                words.append(str(afterwards.value).replace(scope, "…"))
            assert words[0] == words[1]


@pytest.mark.spec("contract", "Catalogue", "it cannot be granted any more, its holders keep it")
def test_holders_keep_it_until_it_is_taken_away(installation: Installation) -> None:
    """As a retired scope; everything else of them can be changed meanwhile, and it comes back
    when the API is open again."""
    context, database = installation.context, installation.context.database
    made = create(installation, LOCAL, "customers:read", "invoices:read", INTROSPECT)
    it = made.client_id
    installation.apply_catalogue(KEPT)

    assert lifecycle.update(database, it, LOCAL, name="Other").scopes == made.scopes
    lifecycle.rotate_secret(database, context.keyring(), it, LOCAL)
    lifecycle.suspend(database, it, LOCAL)
    assert lifecycle.activate(database, it, LOCAL).scopes == made.scopes
    fewer = made.scopes - {"customers:read"} | {"bookings:read"}
    assert lifecycle.set_scopes(database, it, fewer, LOCAL).scopes == fewer
    without = frozenset({"bookings:read"})
    assert lifecycle.set_scopes(database, it, without, LOCAL).scopes == without
    with pytest.raises(BadInput, match="there is no scope"):
        lifecycle.set_scopes(database, it, without | {"invoices:read"}, LOCAL)

    installation.apply_catalogue(CATALOGUE)

    assert lifecycle.set_scopes(database, it, fewer, LOCAL).scopes == fewer


def test_a_retired_scope_of_it_is_told_to_nobody_else(kept: Installation) -> None:
    """Those of the API's organizations hear that it is retired, the others what they always do."""
    create(kept, TESTER, "invoices:read", place="acme")
    kept.apply_catalogue(KEPT.replace("invoices:read", "invoices:write"))
    of_acme = replace(LOCAL, rights=replace(LOCAL.rights, organization="acme"))

    with pytest.raises(BadInput, match="the scope invoices:read is retired"):
        create(kept, of_acme, "invoices:read", place="acme")
    with pytest.raises(BadInput, match="there is no scope invoices:read"):
        create(kept, LOCAL, "invoices:read")
