"""`hourpass organizations`: what it prints, and what it refuses."""

import pytest

from support.installation import Installation


def test_an_organization_is_created_listed_suspended_and_activated(
    installation: Installation,
) -> None:
    """The shapes of the management API with --json, words for people without."""
    made = installation.command("organizations", "create", "acme", "--name", "Acme", "--json")
    listed = installation.command("organizations", "list", "--json").json()
    suspended = installation.command("organizations", "suspend", "acme")
    table = installation.command("organizations", "list").stdout
    activated = installation.command("organizations", "activate", "acme", "--json")

    assert made.status == 0
    assert made.json().keys() == {"id", "name", "status", "created_at", "suspended_at"}
    assert [item["id"] for item in listed["items"]] == ["acme", "default"]
    assert listed["items"][0] == made.json()
    assert listed["next_cursor"] is None
    assert suspended.status == 0
    assert "suspended" in suspended.stdout
    assert "Online checks refuse" in suspended.stderr
    assert table.splitlines()[1].split()[:3] == ["acme", "Acme", "suspended"]
    assert activated.json() == made.json()
    newest = installation.command("organizations", "list", "--limit", "1", "--json").json()
    assert newest["items"] == listed["items"][:1]
    older = installation.command(
        *("organizations", "list", "--cursor", newest["next_cursor"], "--json")
    )
    assert older.json() == {"items": listed["items"][1:], "next_cursor": None}
    assert "There are more" in installation.command("organizations", "list", "--limit", "1").stderr
    found = installation.command("organizations", "list", "--search", "ACM", "--json").json()
    assert [item["id"] for item in found["items"]] == ["acme"]
    actors = {event["actor"]["type"] for event in installation.events(organization="acme")}
    assert actors == {"cli"}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("create", "Acme", "--name", "x"), 1, "lower-case"),
        (("create", "acme", "--name", ""), 1, "name"),
        (("create", "default", "--name", "x"), 1, "already"),
        (("suspend", "never-was"), 1, "there is no organization never-was"),
        (("activate", "a\x1b[31mb"), 1, "there is no organization"),
        (("create", "acme"), 2, "--name"),
    ],
)
def test_a_refusal_is_one_clear_line(
    arguments: tuple[str, ...], status: int, words: str, installation: Installation
) -> None:
    """Exit status 1 for what is refused, 2 for usage; nothing on stdout."""
    done = installation.command("organizations", *arguments)

    assert done.status == status
    assert words in done.stderr
    assert "\x1b" not in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_clients_are_created_and_listed_by_organization(installation: Installation) -> None:
    """--organization on `clients create` and `clients list`."""
    installation.command("organizations", "create", "acme", "--name", "Acme")
    made = installation.command(
        *("clients", "create", "--name", "Sync", "--scope", "customers:read"),
        *("--organization", "acme", "--json"),
    ).json()
    installation.create_client("customers:read")

    listed = installation.command("clients", "list", "--organization", "acme", "--json").json()

    assert made["organization"] == "acme"
    assert [item["client_id"] for item in listed["items"]] == [made["client_id"]]
