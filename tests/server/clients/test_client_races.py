"""Two deeds at once leave one truth: real threads, on both databases."""

import threading
from collections.abc import Callable

import pytest
from meeting import LingeringDatabase, MeetingDatabase, at_once
from sqlalchemy import event

from hourpass.server.catalogue import apply as catalogue
from hourpass.server.catalogue import file
from hourpass.server.clients import lifecycle, store
from hourpass.server.clients.lifecycle import NewClient, NotFound, WithSecret
from hourpass.server.clients.model import Client
from hourpass.server.clients.secrets import Secret, proves
from hourpass.server.db.engine import Database
from hourpass.server.refused import BadInput, Conflict
from support.installation import CATALOGUE, TESTER, Credentials, Installation

WITHOUT_PROFILE = CATALOGUE.replace(
    """[[api.scope]]
name = "profile:write"
description = "Change a profile"
grants = ["PUT /customer/{id}/profile"]
""",
    "",
)
LINGER_S = 0.3


def meeting(home: Installation, parties: int = 2) -> Database:
    """The database, with all parties reading before any of them writes."""
    return MeetingDatabase.of(home.context.database, parties)


def is_live(home: Installation, client_id: str, secret: str) -> bool:
    """Whether this is the client's secret now."""
    client = home.stored(client_id)
    return proves(Secret(secret), client.credentials, home.context.keyring().peppers)


def deeds_on(home: Installation, made: Credentials) -> list[str]:
    """The names of its events after its creation."""
    return [event["event"] for event in home.events(client_id=made.client_id)[1:]]


@pytest.mark.spec("threats", "20", "No operator ever holds a dead secret that is shown as live.")
@pytest.mark.parametrize("parties", [2, 6])
def test_of_rotations_at_once_one_wins_and_the_others_are_told(
    home: Installation, parties: int
) -> None:
    """Exactly one new secret is shown, and it is the live one; one event."""
    made = home.create_client("customers:read")
    database, keyring = meeting(home, parties), home.context.keyring()

    results = at_once(
        *[
            lambda: lifecycle.rotate_secret(database, keyring, made.client_id, TESTER)
            for _ in range(parties)
        ]
    )

    (winner,) = [result for result in results if isinstance(result, WithSecret)]
    losers = [result for result in results if isinstance(result, Conflict)]
    assert len(losers) == parties - 1
    assert all("rotated this secret at the same moment" in str(loser) for loser in losers)
    assert is_live(home, made.client_id, winner.secret.reveal())
    assert not is_live(home, made.client_id, made.secret)
    assert deeds_on(home, made) == ["client.secret_rotated"]


def test_a_rotation_in_the_middle_of_anothers_reading_is_told_as_well(home: Installation) -> None:
    """The other has read the row from before and would read the credentials from after."""
    made = home.create_client("customers:read")
    database, keyring = home.context.database, home.context.keyring()
    faster: list[object] = []

    def rotate() -> WithSecret:
        return lifecycle.rotate_secret(database, keyring, made.client_id, TESTER)

    def overtake(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM client_credential" in statement and not faster:
            faster.append(None)
            faster[:] = at_once(rotate)

    event.listen(database.engine, "before_cursor_execute", overtake)
    with pytest.raises(Conflict, match="rotated this secret at the same moment"):
        rotate()

    (winner,) = faster
    assert isinstance(winner, WithSecret)
    assert is_live(home, made.client_id, winner.secret.reveal())


@pytest.mark.spec("threats", "20", "delete against rotate")
@pytest.mark.parametrize("again", range(5))
def test_rotating_against_deleting_leaves_no_client(home: Installation, again: int) -> None:
    """Either the rotation came first, or it is told that there is no client."""
    made = home.create_client("customers:read")
    database, keyring = meeting(home), home.context.keyring()

    rotated, deleted = at_once(
        lambda: lifecycle.rotate_secret(database, keyring, made.client_id, TESTER),
        lambda: lifecycle.delete(database, made.client_id, TESTER),
    )

    assert deleted is None
    with pytest.raises(LookupError):
        home.stored(made.client_id)
    if isinstance(rotated, WithSecret):
        assert deeds_on(home, made) == ["client.secret_rotated", "client.deleted"]
    else:
        assert isinstance(rotated, NotFound)
        assert deeds_on(home, made) == ["client.deleted"]


@pytest.mark.parametrize("again", range(5))
def test_the_trail_tells_what_was_deleted(home: Installation, again: int) -> None:
    """Renamed at the same moment: the event has the name and the scopes of the row that went."""
    made = home.create_client("customers:read")
    database = meeting(home, 3)

    renamed, changed, _ = at_once(
        lambda: lifecycle.update(database, made.client_id, TESTER, name="Renamed"),
        lambda: lifecycle.set_scopes(
            database, made.client_id, frozenset({"bookings:read"}), TESTER
        ),
        lambda: lifecycle.delete(database, made.client_id, TESTER),
    )

    *_, last = home.events(client_id=made.client_id)
    assert last["event"] == "client.deleted"
    assert last["client_name"] == ("Renamed" if isinstance(renamed, Client) else "Test client")
    scope = "bookings:read" if isinstance(changed, Client) else "customers:read"
    assert last["detail"] == {"scopes": [scope]}


def test_deleting_twice_at_once_is_deleting_once(home: Installation) -> None:
    """The slower one is told that there is no client; one event."""
    made = home.create_client("customers:read")
    database = meeting(home)

    results = at_once(*[lambda: lifecycle.delete(database, made.client_id, TESTER)] * 2)

    assert sorted(map(type, results), key=str) == sorted([type(None), NotFound], key=str)
    assert deeds_on(home, made) == ["client.deleted"]


@pytest.mark.parametrize("starts_suspended", [False, True])
def test_suspending_against_activating_ends_as_the_last_event_says(
    home: Installation, starts_suspended: bool
) -> None:
    """One of them changes nothing or comes first; state and trail agree."""
    made = home.create_client("customers:read")
    if starts_suspended:
        lifecycle.suspend(home.context.database, made.client_id, TESTER)
    database = meeting(home)

    results = at_once(
        lambda: lifecycle.suspend(database, made.client_id, TESTER),
        lambda: lifecycle.activate(database, made.client_id, TESTER),
    )

    assert all(isinstance(result, Client) for result in results)
    client, deeds = home.stored(made.client_id), deeds_on(home, made)
    assert (client.suspended_at is not None) == (deeds[-1] == "client.suspended")
    assert client.version == 1 + len(deeds)


def test_two_updates_at_once_both_land(home: Installation) -> None:
    """Another name by one, another description by the other."""
    made = home.create_client("customers:read")
    database = meeting(home)

    at_once(
        lambda: lifecycle.update(database, made.client_id, TESTER, name="Renamed"),
        lambda: lifecycle.update(database, made.client_id, TESTER, description="Described"),
    )

    client = home.stored(made.client_id)
    assert (client.name, client.description, client.version) == ("Renamed", "Described", 3)
    assert deeds_on(home, made) == ["client.updated"] * 2


def test_every_kind_of_deed_at_once_lands(home: Installation) -> None:
    """They change different things: nobody is told to try again, and nothing is lost."""
    made = home.create_client("customers:read")
    database, keyring = meeting(home, 5), home.context.keyring()

    results = at_once(
        lambda: lifecycle.update(database, made.client_id, TESTER, name="Renamed"),
        lambda: lifecycle.set_scopes(
            database, made.client_id, frozenset({"bookings:read"}), TESTER
        ),
        lambda: lifecycle.rotate_secret(database, keyring, made.client_id, TESTER),
        lambda: lifecycle.suspend(database, made.client_id, TESTER),
        lambda: lifecycle.revoke_tokens(database, made.client_id, TESTER),
    )

    client, rotated = home.stored(made.client_id), results[2]
    assert isinstance(rotated, WithSecret)
    assert is_live(home, made.client_id, rotated.secret.reveal())
    assert client.name == "Renamed"
    assert client.scopes == {"bookings:read"}
    assert client.suspended_at is not None
    assert (client.token_generation, client.version) == (2, 6)
    assert len(deeds_on(home, made)) == 5


def test_of_two_scope_changes_on_the_same_version_one_lands(home: Installation) -> None:
    """The other is told to look again, and its scopes are nowhere."""
    made = home.create_client("customers:read")
    database = meeting(home)

    def change(scope: str) -> Client:
        return lifecycle.update(
            database,
            made.client_id,
            TESTER,
            scopes=frozenset({scope}),
            expected_versions=frozenset({1}),
        )

    results = at_once(lambda: change("bookings:read"), lambda: change("invoices:read"))

    (winner,) = [result for result in results if isinstance(result, Client)]
    assert len([result for result in results if isinstance(result, Conflict)]) == 1
    assert home.stored(made.client_id) == winner
    assert deeds_on(home, made) == ["client.scopes_changed"]


def test_a_storm_of_deeds_keeps_row_and_trail_together(home: Installation) -> None:
    """Eight threads, five deeds each: as many versions as events, and one live secret."""
    made = home.create_client("customers:read")
    database, keyring = home.context.database, home.context.keyring()
    shown: list[str] = []

    def deeds(number: int) -> None:
        for turn in range(5):
            try:
                match (number + turn) % 4:
                    case 0:
                        done = lifecycle.rotate_secret(database, keyring, made.client_id, TESTER)
                        shown.append(done.secret.reveal())
                    case 1:
                        lifecycle.update(database, made.client_id, TESTER, name=f"{number}.{turn}")
                    case 2:
                        lifecycle.suspend(database, made.client_id, TESTER)
                    case _:
                        lifecycle.activate(database, made.client_id, TESTER)
            except Conflict:
                pass  # told so: nothing happened

    assert at_once(*[lambda number=number: deeds(number) for number in range(8)]) == [None] * 8

    client = home.stored(made.client_id)
    assert client.version == 1 + len(deeds_on(home, made))
    assert sum(is_live(home, made.client_id, secret) for secret in [made.secret, *shown]) == 1
    assert len(shown) == deeds_on(home, made).count("client.secret_rotated")


def grants(home: Installation, database: Database, made: Credentials) -> list[Callable[[], object]]:
    """The two ways to be given `profile:write`."""
    wanted = frozenset({"customers:read", "profile:write"})
    return [
        lambda: lifecycle.set_scopes(database, made.client_id, wanted, TESTER),
        lambda: lifecycle.create(
            database, home.context.keyring(), NewClient(name="New", scopes=wanted), TESTER
        ),
    ]


def retire(home: Installation, database: Database) -> object:
    """Apply a file that does not list `profile:write`."""
    wanted = file.parse(WITHOUT_PROFILE)
    identifier = home.context.management_identifier
    return catalogue.apply(database, wanted, TESTER, management_identifier=identifier)


def check_that_holders_hold_something(home: Installation, granted: object) -> None:
    """Whoever was granted the scope holds one that is listed or retired."""
    scopes = {
        scope.name: scope.retired for api in home.context.catalogue().apis for scope in api.scopes
    }
    if isinstance(granted, BadInput):
        assert "profile:write" not in scopes
    else:
        assert isinstance(granted, Client | WithSecret)
        assert scopes["profile:write"] is True


@pytest.mark.spec(
    "contract", "Catalogue", "A scope that vanishes … while clients hold it is retired"
)
@pytest.mark.parametrize("way", [0, 1])
def test_a_scope_granted_while_it_is_being_retired_is_retired(
    installation: Installation, way: int
) -> None:
    """The grant is about to commit: the catalogue waits for it, and then sees its holder."""
    made = installation.create_client("customers:read")
    granting, applied = threading.Event(), threading.Event()

    def linger() -> None:
        granting.set()
        applied.wait(LINGER_S)

    lingering = LingeringDatabase.of(installation.context.database, linger)

    def apply_meanwhile() -> None:
        assert granting.wait(30)
        retire(installation, installation.context.database)
        applied.set()

    granted, _ = at_once(grants(installation, lingering, made)[way], apply_meanwhile)

    assert not isinstance(granted, BadInput)
    check_that_holders_hold_something(installation, granted)


@pytest.mark.parametrize("way", [0, 1])
def test_a_scope_is_not_granted_while_it_is_being_removed(
    installation: Installation, way: int
) -> None:
    """The catalogue is about to commit: the grant waits for it, and then is refused."""
    made = installation.create_client("customers:read")
    applying, granted_already = threading.Event(), threading.Event()

    def linger() -> None:
        applying.set()
        granted_already.wait(LINGER_S)

    lingering = LingeringDatabase.of(installation.context.database, linger)

    def grant_meanwhile() -> object:
        assert applying.wait(30)
        try:
            return grants(installation, installation.context.database, made)[way]()
        finally:
            granted_already.set()

    _, granted = at_once(lambda: retire(installation, lingering), grant_meanwhile)

    assert isinstance(granted, BadInput)
    check_that_holders_hold_something(installation, granted)


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("again", range(8))
def test_granting_against_retiring_never_leaves_a_dangling_scope(
    home: Installation, way: int, again: int
) -> None:
    """Both begin at the same moment: whoever is first, holders hold something."""
    home.apply_catalogue()
    made = home.create_client("customers:read")
    database = meeting(home)

    granted, changes = at_once(grants(home, database, made)[way], lambda: retire(home, database))

    assert isinstance(changes, catalogue.Changes)
    check_that_holders_hold_something(home, granted)
    for client_id in holders(home):
        lifecycle.delete(home.context.database, client_id, TESTER)


def holders(home: Installation) -> list[str]:
    """Who holds `profile:write` now."""
    database = home.context.database
    with database.read() as connection:
        wanted = store.ClientFilter(scope="profile:write")
        found, _ = store.page(connection, wanted, database.now(connection), limit=100)
    return [client.client_id for client in found]
