"""`hourpass audit`: the trail, narrowed and exported."""

import getpass
import json

import pytest
from command_outcomes import EVENT_MEMBERS, each, json_of, refusal, wrong_usage

from support.installation import Installation


def test_the_trail_is_listed_and_narrowed(installation: Installation) -> None:
    """Newest first; by client, event, actor and time; `until` is exclusive, `since` is not."""
    first = installation.create_client("customers:read").client_id
    second = installation.create_client("bookings:read").client_id
    assert installation.command("clients", "suspend", first).status == 0
    created = installation.events(client_id=second)[0]["time"]
    user = getpass.getuser()

    everything, of_first, of_actor, since, until = (
        json_of(finished)["items"]
        for finished in each(
            installation,
            [
                ("audit", "list", "--json", *options)
                for options in (
                    (),
                    ("--client-id", first, "--limit", "1"),
                    ("--actor", user),
                    ("--since", created),
                    ("--until", created, "--event", "client.created"),
                )
            ],
        )
    )

    assert all(event.keys() == EVENT_MEMBERS for event in everything)
    assert [event["id"] for event in everything] == [
        event["id"] for event in reversed(installation.events())
    ]
    assert [event["event"] for event in of_first] == ["client.suspended"]
    assert of_actor == [e for e in everything if e["actor"]["id"] == user]
    assert of_first[0] in of_actor
    assert [event["event"] for event in since] == ["client.suspended", "client.created"]
    assert [event["client_id"] for event in until] == [first]


def test_a_part_of_the_trail_leads_to_the_next(installation: Installation) -> None:
    """A script gets a cursor, good for these filters alone; a person is told that there is more."""
    installation.create_client("customers:read")
    installation.create_client("bookings:read")
    whole = json_of(installation.command("audit", "list", "--json"))
    words = ("audit", "list", "--since", "2026-01-01", "--limit", "2")

    found: list[dict[str, object]] = []
    after: tuple[str, ...] = ()
    while True:
        page = json_of(installation.command(*words, *after, "--json"))
        found += page["items"]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 2
        after = ("--cursor", page["next_cursor"])
    cut, otherwise, of_clients = each(
        installation,
        [words, ("audit", "list", *after), ("clients", "list", *after)],
    )

    assert found == whole["items"]
    assert whole["next_cursor"] is None
    assert cut.stderr == "Shown: 2. There are more: --limit N shows more.\n"
    for refused in (otherwise, of_clients):
        assert refusal(refused).startswith("cursor: use next_cursor of the page before")


def test_the_trail_of_one_organization(installation: Installation) -> None:
    """Listed and exported alone; what was exported is on record."""
    assert installation.command("organizations", "create", "acme", "--name", "Acme").status == 0
    made = installation.create_client("customers:read", organization="acme")
    installation.create_client("customers:read")
    theirs = installation.events(organization="acme")

    listed, exported = each(
        installation,
        [
            ("audit", "list", "--organization", "acme", "--json"),
            ("audit", "export", "--organization", "acme"),
        ],
    )

    assert json_of(listed)["items"] == theirs[::-1]
    assert theirs[-1]["client_id"] == made.client_id
    assert [json.loads(line) for line in exported.stdout.splitlines()] == theirs
    (event,) = installation.events(event="audit.exported")
    assert event["detail"] == {"organization": "acme"}


@pytest.mark.spec("contract", "Audit events", "audit.exported")
def test_the_trail_is_exported(installation: Installation) -> None:
    """JSON lines, oldest first; that it was exported, and which part, is on record itself."""
    made = installation.create_client("customers:read", name="Küche ☕")
    before = installation.events()

    everything, part = each(
        installation,
        [
            ("audit", "export"),
            ("audit", "export", "--client-id", made.client_id, "--since", "2026-01-01", "--json"),
        ],
        PYTHONIOENCODING="ascii",  # whatever the terminal speaks: what is exported is UTF-8
    )

    assert everything.status == part.status == 0
    assert everything.stderr == part.stderr == ""
    exported = [json.loads(line) for line in everything.stdout.splitlines()]
    assert exported[: len(before)] == before
    assert exported[len(before)]["event"] == "audit.exported"
    assert "Küche ☕" in part.stdout
    assert [json.loads(line) for line in part.stdout.splitlines()] == before[-1:]
    details = [event["detail"] for event in installation.events(event="audit.exported")]
    assert {"client_id": made.client_id, "since": "2026-01-01T00:00:00.000000Z"} in details
    assert {} in details


def test_what_the_trail_cannot_be_narrowed_by(sqlite_installation: Installation) -> None:
    """Exit status 2; a time or an event that is none is answered with what would do."""
    event, far, limit = each(
        sqlite_installation,
        [
            ("audit", "list", "--event", "client.\x1b[2J"),
            ("audit", "export", "--until", "9999-12-31T23:59:59-10:00"),
            ("audit", "list", "--limit", "0"),
        ],
    )

    assert (
        "there are audit.exported, audit.pruned, backup.restored, catalogue.applied, "
        in refusal(event, 2)
    )
    assert refusal(far, 2) == "--until: give a time such as 2026-01-31T08:00Z or a date"
    assert "--limit" in wrong_usage(limit)
    assert not sqlite_installation.events(event="audit.exported")


def test_a_person_reads_the_trail(sqlite_installation: Installation) -> None:
    """One line an event: when, what, by whom, on which client, with which detail."""
    made = sqlite_installation.create_client("customers:read", name="CRM sync")

    table, empty = each(
        sqlite_installation,
        [("audit", "list", "--limit", "1"), ("audit", "list", "--event", "key.revoked")],
    )

    heading, line = table.stdout.splitlines()
    assert heading.split() == ["Time", "Event", "By", "Client", "Client", "ID", "Detail"]
    assert line.split("  ")[1:5] == ["client.created", "Tester", "CRM sync", made.client_id]
    assert line.rstrip().endswith("scopes=customers:read")
    assert empty.stdout == "No events fit.\n"
