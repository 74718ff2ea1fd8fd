"""Applying a catalogue file, on both databases: all or nothing, and on record."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from hourpass.server.catalogue import apply, file, store
from hourpass.server.catalogue.apply import Changes
from hourpass.server.catalogue.file import CatalogueFault
from hourpass.server.catalogue.model import MANAGEMENT_SCOPES, Api
from hourpass.server.clients import lifecycle
from hourpass.server.db.schema import installation as installation_table
from support.installation import CATALOGUE, TESTER, Installation

CUSTOMERS = """[[api.scope]]
name = "customers:read"
description = "List customers"
grants = ["GET /customers"]
"""
WITHOUT_CUSTOMERS = CATALOGUE.replace(CUSTOMERS, "")
ONLY_BILLING = CATALOGUE[CATALOGUE.index('[[api]]\nkey = "billing"') :]


def apply_text(installation: Installation, text: str, *, dry_run: bool = False) -> Changes:
    """Apply a file, by the tester."""
    return apply.apply(
        installation.context.database,
        file.parse(text),
        TESTER,
        management_identifier=installation.context.management_identifier,
        dry_run=dry_run,
    )


def version(installation: Installation) -> int:
    """The catalogue's, which tells every process when to read it again."""
    with installation.context.database.read() as connection:
        found: int = connection.execute(select(installation_table.c.catalogue_version)).scalar_one()
    return found


def applied(installation: Installation) -> list[dict[str, object]]:
    """The details of the events so far."""
    return [event["detail"] for event in installation.events(event="catalogue.applied")]


def test_what_is_applied_reads_back(installation: Installation) -> None:
    """In the order of the file, grants and all."""
    assert installation.context.catalogue().apis == file.parse(CATALOGUE)


def test_the_first_file_is_all_new(installation: Installation) -> None:
    """The event names every API and scope in it, and who applied it."""
    (event,) = installation.events(event="catalogue.applied")

    assert event["actor"] == {"type": "cli", "id": "tester", "name": "Tester"}
    assert event["client_id"] is None
    assert event["detail"] == {
        "added": [
            *("api bookings", "customers:read", "bookings:read", "profile:write"),
            *("api billing", "invoices:read"),
        ],
        "changed": [],
        "retired": [],
        "removed": [],
        "revived": [],
    }


def test_a_dry_run_tells_and_changes_nothing(installation: Installation) -> None:
    """The same changes as the run that follows; no row, no version, no event before that."""
    installation.create_client("customers:read")
    before = installation.context.catalogue()

    told = apply_text(installation, ONLY_BILLING, dry_run=True)

    assert installation.context.catalogue() == before
    assert len(applied(installation)) == 1
    assert apply_text(installation, ONLY_BILLING) == told
    assert told == Changes(
        retired=("api bookings", "customers:read"), removed=("bookings:read", "profile:write")
    )


def test_a_file_that_changes_nothing_leaves_no_trace(installation: Installation) -> None:
    """No event, and no process has to read the catalogue again."""
    before = version(installation)

    assert not apply_text(installation, CATALOGUE)

    assert version(installation) == before
    assert len(applied(installation)) == 1


def test_every_change_is_a_version_and_an_event(installation: Installation) -> None:
    """Away, back, and another description: three of each."""
    before = version(installation)
    installation.create_client("customers:read")

    changes = [
        apply_text(installation, text)
        for text in (WITHOUT_CUSTOMERS, CATALOGUE, CATALOGUE.replace("List customers", "See them"))
    ]

    assert changes == [
        Changes(retired=("customers:read",)),
        Changes(revived=("customers:read",)),
        Changes(changed=("customers:read",)),
    ]
    assert version(installation) == before + 3
    assert applied(installation)[1:] == [change.as_json() for change in changes]


@pytest.mark.spec("contract", "Catalogue", "A scope that vanishes … is retired")
def test_a_retired_scope_goes_for_good_once_nobody_holds_it(installation: Installation) -> None:
    """Taken from its last holder, the next file that does not list it removes it."""
    made = installation.create_client("customers:read", "bookings:read")
    apply_text(installation, WITHOUT_CUSTOMERS)
    lifecycle.set_scopes(
        installation.context.database, made.client_id, frozenset({"bookings:read"}), TESTER
    )

    assert apply_text(installation, WITHOUT_CUSTOMERS) == Changes(removed=("customers:read",))
    assert "customers:read" not in installation.context.catalogue().audience_of


MOVES: dict[str, Callable[[str], str]] = {
    "identifiers change places": lambda text: (
        text.replace("api.example", "x.example")
        .replace("billing.example", "api.example")
        .replace("x.example", "billing.example")
    ),
    "another key": lambda text: text.replace('"bookings"', '"reservations"'),
    "keys change places": lambda text: (
        text.replace('"bookings"', '"x"')
        .replace('"billing"', '"bookings"')
        .replace('"x"', '"billing"')
    ),
    "another key and another identifier": lambda text: text.replace(
        '"bookings"', '"reservations"'
    ).replace("api.example", "x.example"),
    "a scope moves": lambda text: text.replace(CUSTOMERS, "") + CUSTOMERS,
    "another order": lambda text: ONLY_BILLING + text.replace(ONLY_BILLING, ""),
}


@pytest.mark.parametrize("move", MOVES)
def test_things_may_move(installation: Installation, move: str) -> None:
    """Keys, identifiers and scopes change places in one file; holders lose nothing."""
    held = {"customers:read", "bookings:read", "invoices:read"}
    installation.create_client(*held)
    moved = MOVES[move](CATALOGUE)
    assert file.parse(moved) != file.parse(CATALOGUE)

    changes = apply_text(installation, moved)

    catalogue = installation.context.catalogue()
    assert by_key(catalogue.apis) == by_key(file.parse(moved))
    assert held <= catalogue.grantable
    assert bool(changes) == (move != "another order")
    assert not apply_text(installation, moved)


def by_key(apis: tuple[Api, ...]) -> dict[str, Api]:
    """The APIs, whatever their order."""
    return {each.key: each for each in apis}


@pytest.mark.parametrize("dry_run", [False, True])
def test_no_api_takes_the_management_apis_identifier(
    installation: Installation, dry_run: bool
) -> None:
    """Its tokens would be tokens for the management API."""
    identifier = installation.context.management_identifier
    before = installation.context.catalogue()
    text = CATALOGUE.replace("https://billing.example.com", identifier)

    with pytest.raises(CatalogueFault, match="the management API's own identifier"):
        apply_text(installation, text, dry_run=dry_run)

    assert installation.context.catalogue() == before


def test_the_same_file_at_once_is_applied_once(installation: Installation) -> None:
    """Of several nodes that apply a new file, one makes the change and writes the event."""
    before = version(installation)

    with ThreadPoolExecutor(6) as pool:
        changes = list(pool.map(lambda _: apply_text(installation, WITHOUT_CUSTOMERS), range(6)))

    assert sorted(map(bool, changes)) == [False] * 5 + [True]
    assert version(installation) == before + 1
    assert len(applied(installation)) == 2


def test_the_built_in_scopes_need_no_file(installation: Installation) -> None:
    """They belong to the management API, and cannot be taken away."""
    catalogue = installation.context.catalogue()

    assert MANAGEMENT_SCOPES.keys() <= catalogue.grantable
    for name in MANAGEMENT_SCOPES:
        assert catalogue.audience_of[name] == installation.context.management_identifier
    assert "hourpass.introspect:bookings" in catalogue.grantable
    assert "hourpass.introspect:bookings" not in catalogue.audience_of


def test_text_of_any_script_reads_back(installation: Installation) -> None:
    """Names and descriptions are text; quotes and braces are no SQL."""
    words = "予約 'O''Brien'; drop table api; -- {} %s \\u00e9 \U0001f550"
    (api, *rest) = file.parse(CATALOGUE)
    wanted = (replace(api, name=words, scopes=(replace(api.scopes[0], description=words),)), *rest)
    with installation.context.database.write() as connection:
        store.replace(connection, wanted, installation.context.database.now(connection))

    assert installation.context.catalogue().apis == wanted
