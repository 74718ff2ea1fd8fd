"""`hourpass clients`: every deed in a client's life, and what is shown of it."""

import getpass
from datetime import datetime, timedelta

import pytest
from command_outcomes import CLIENT_MEMBERS, each, json_of, refusal

from hourpass.oauth.secret_format import is_well_formed
from support.installation import Installation

_NAME = "Reporting dashboard"


@pytest.mark.spec("contract", "Command line", "--json on every command for scripts")
@pytest.mark.spec("contract", "Command line", "the management API's shapes")
@pytest.mark.spec("seed", "Client lifecycle", "Suspended: can be re-activated")
def test_the_life_of_a_client(installation: Installation) -> None:
    """Created, narrowed, suspended, activated, revoked, rotated, deleted; each on record."""
    run = installation.command
    options = ("--description", "Ask Ann", "--expires-in-days", "30", "--limit-per-minute", "60")
    scopes = ("--scope", "customers:read", "--scope", "bookings:read")
    made = json_of(run("clients", "create", "--name", _NAME, *scopes, *options, "--json"))

    assert made.keys() == CLIENT_MEMBERS | {"client_secret"}
    assert is_well_formed(made["client_secret"])
    client_id, secret = made["client_id"], made.pop("client_secret")
    user = getpass.getuser()
    assert made["created_by"] == {"type": "cli", "id": user, "name": user}
    assert (made["name"], made["description"]) == (_NAME, "Ask Ann")
    assert made["scopes"] == ["bookings:read", "customers:read"]
    assert (made["status"], made["organization"]) == ("active", "default")
    lives = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert lives == timedelta(days=30)
    assert made["limit_per_minute"] == 60

    shown, listed = each(
        installation, [("clients", "show", client_id, "--json"), ("clients", "list", "--json")]
    )
    assert json_of(shown) == made
    assert json_of(listed) == {"items": [made], "next_cursor": None}

    narrowed = json_of(
        run("clients", "set-scopes", client_id, "--scope", "customers:read", "--json")
    )
    assert narrowed == {**made, "scopes": ["customers:read"]}

    limited = json_of(run("clients", "set-limit", client_id, "1200", "--json"))
    assert limited == {**narrowed, "limit_per_minute": 1200}
    assert (
        "Limit           the API's own\n" in run("clients", "set-limit", client_id, "none").stdout
    )
    narrowed = {**narrowed, "limit_per_minute": None}

    suspended = json_of(run("clients", "suspend", client_id, "--json"))
    assert suspended["status"] == "suspended"
    assert suspended["suspended_at"]
    assert json_of(run("clients", "activate", client_id, "--json")) == narrowed
    assert json_of(run("clients", "revoke-tokens", client_id, "--json")) == narrowed

    rotated = json_of(run("clients", "rotate-secret", client_id, "--json"))
    assert rotated.keys() == {"client_id", "client_secret"}
    assert rotated["client_id"] == client_id
    assert rotated["client_secret"] != secret

    gone = json_of(run("clients", "delete", client_id, "--yes", "--json"))
    assert gone == {"client_id": client_id, "deleted": True}

    events = installation.events(client_id=client_id)
    assert [event["event"].removeprefix("client.") for event in events] == [
        *("created", "scopes_changed", "updated", "updated"),
        *("suspended", "activated", "tokens_revoked"),
        *("secret_rotated", "deleted"),
    ]
    assert all(event["actor"] == made["created_by"] for event in events)
    assert "hps_" not in str(events)


@pytest.mark.spec("seed", "Understanding your credentials", "Shown once only on creation")
@pytest.mark.spec("threats", "14", "A secret appears in one answer only")
def test_what_a_person_sees_of_a_client(sqlite_installation: Installation) -> None:
    """The secret stands alone on its line, once; next to it, where to take it."""
    run = sqlite_installation.command
    made = run("clients", "create", "--name", "CRM sync", "--scope", "profile:write")
    first, second = made.stdout.splitlines()
    client_id = first.removeprefix("Client ID      ")
    secret = second.removeprefix("Client secret  ")
    rotated = run("clients", "rotate-secret", client_id, "--revoke-live-tokens")
    new_secret = rotated.stdout.split()[-1]
    shown, listed, suspended, audit = each(
        sqlite_installation,
        [
            ("clients", "show", client_id),
            ("clients", "list"),
            ("clients", "suspend", client_id),
            ("audit", "list"),
        ],
    )

    assert is_well_formed(secret)
    assert is_well_formed(new_secret)
    assert "shown this once" in made.stderr
    assert f"POST http://localhost:{sqlite_installation.port}/token" in made.stderr
    assert "Bookings API: https://api.example.com" in made.stderr
    assert "Billing API" not in made.stderr
    assert "old secret stopped working" in rotated.stderr
    assert "Online checks refuse its live tokens from now on" in rotated.stderr
    assert "valid for up to 1 hour" in suspended.stderr
    facts = dict(line.split("  ", 1) for line in shown.stdout.splitlines())
    assert facts["Name"].strip() == "CRM sync"
    assert facts["Scopes"].strip() == "profile:write"
    assert facts["Expires"].strip() == "never"
    assert listed.stdout.splitlines()[0].split()[:3] == ["Name", "Client", "ID"]
    assert client_id in listed.stdout.splitlines()[1]
    for later in (shown, listed, suspended, audit):
        assert later.status == 0
        assert "hps_" not in later.stdout + later.stderr


def test_a_list_can_be_narrowed(installation: Installation) -> None:
    """By status, scope, organization and search, newest first; a limit takes the newest."""
    first = installation.create_client("customers:read", name="First").client_id
    second = installation.create_client("bookings:read", name="Second").client_id
    third = installation.create_client("customers:read", "bookings:read", name="Third").client_id
    assert installation.command("clients", "suspend", first).status == 0

    filters: dict[tuple[str, ...], list[str]] = {
        ("--scope", "customers:read", "--organization", "default"): [third, first],
        ("--status", "suspended", "--limit", "1"): [first],
        ("--status", "active"): [third, second],
        ("--search", "SEC"): [second],
        ("--search", third[:12]): [third],
        ("--scope", "\udcff"): [],
    }
    lists = each(installation, [("clients", "list", "--json", *options) for options in filters])

    for finished, expected in zip(lists, filters.values(), strict=True):
        assert [client["client_id"] for client in json_of(finished)["items"]] == expected


@pytest.mark.spec("contract", "Command line", "the management API's shapes")
def test_a_list_that_is_cut_says_so(installation: Installation) -> None:
    """A script gets a cursor, which leads through the list; a person is told how to see more."""
    made = [
        installation.create_client("customers:read", name=f"Client {number}").client_id
        for number in range(5)
    ]
    words = ("clients", "list", "--scope", "customers:read", "--limit", "2")

    found: list[str] = []
    after: tuple[str, ...] = ()
    while True:
        page = json_of(installation.command(*words, *after, "--json"))
        found += [client["client_id"] for client in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 2
        after = ("--cursor", page["next_cursor"])
    cut, whole, otherwise, spoiled = each(
        installation,
        [
            words,
            (*words[:-1], "5"),
            ("clients", "list", *after),
            (*words, "--cursor", "AAAA"),
        ],
    )

    assert found == made[::-1]
    assert cut.stderr == "Shown: 2. There are more: --limit N shows more.\n"
    assert (cut.status, len(cut.stdout.splitlines())) == (0, 3)
    assert (whole.stderr, len(whole.stdout.splitlines())) == ("", 6)
    for refused in (otherwise, spoiled):
        assert refusal(refused).startswith("cursor: use next_cursor of the page before")


def test_an_empty_list_says_what_to_do(sqlite_installation: Installation) -> None:
    """A person is told how to make a client; a script gets no items."""
    for_people, for_scripts = each(
        sqlite_installation, [("clients", "list"), ("clients", "list", "--json")]
    )

    assert for_people.stdout == "No API clients fit; `hourpass clients create` makes one.\n"
    assert json_of(for_scripts) == {"items": [], "next_cursor": None}
