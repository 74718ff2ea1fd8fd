"""`hourpass scopes`: the catalogue's file is applied whole or not at all."""

from pathlib import Path

import pytest
from command_outcomes import each, json_of, lines_of_refusal, refusal, wrong_usage

from hourpass.server.organizations import operations
from support.installation import CATALOGUE, TESTER, Installation

# As the test catalogue, with customers:read and profile:write gone, bookings:read reworded and
# bookings:write new; the Billing API is gone too.
_NEXT = """
[[api]]
key = "bookings"
identifier = "https://api.example.com"
name = "Bookings API"
[[api.scope]]
name = "bookings:read"
description = "Read a customer's event bookings"
grants = ["GET /customer/{id}/bookings"]
[[api.scope]]
name = "bookings:write"
description = "Book for a customer"
"""
_CHANGES = {
    "added": ["bookings:write"],
    "changed": ["bookings:read"],
    "retired": ["customers:read"],
    "removed": ["profile:write", "api billing", "invoices:read"],
    "revived": [],
}
_FINE = '[[api]]\nkey = "a"\nidentifier = "https://a.example"\nname = "A"\n'
_SCOPE = '[[api.scope]]\nname = "a:read"\ndescription = "Read"\n'


@pytest.mark.spec("contract", "Catalogue", "it prints what is added, changed, retired")
@pytest.mark.spec("contract", "Catalogue", "applying it again revives it")
def test_a_catalogue_is_applied(installation: Installation, tmp_path: Path) -> None:
    """A dry run only tells; a scope that a client holds is retired, not lost; back it comes."""
    holder = installation.create_client("customers:read")
    file = tmp_path / "next.toml"
    file.write_text(_NEXT)
    run, before = installation.command, installation.context.catalogue()

    rehearsal = run("scopes", "apply", str(file), "--dry-run")
    assert rehearsal.status == 0
    assert "This was a dry run: nothing was changed." in rehearsal.stderr
    told = [tuple(line.split(maxsplit=1)) for line in rehearsal.stdout.splitlines()[1:]]
    expected = [(word, name) for word, names in _CHANGES.items() for name in names]
    assert [(word, name.strip()) for word, name in told] == expected
    assert installation.context.catalogue() == before

    applied = json_of(run("scopes", "apply", str(file), "--json"))
    assert applied == {"dry_run": False, **_CHANGES}
    again, as_json, table, denied, shown = each(
        installation,
        [
            ("scopes", "apply", str(file)),
            ("scopes", "list", "--json"),
            ("scopes", "list"),
            ("clients", "create", "--name", "Late", "--scope", "customers:read"),
            ("clients", "show", holder.client_id, "--json"),
        ],
    )
    assert again.stdout == "Nothing to change: the catalogue says this already.\n"
    assert json_of(as_json).keys() == {"items", "next_cursor"}
    listed = json_of(as_json)["items"]
    assert [api["key"] for api in listed] == ["bookings"]
    assert listed[0].keys() == {
        *("key", "identifier", "name", "base_url", "limit_per_minute", "organizations"),
        *("retired", "scopes"),
    }
    assert listed[0]["scopes"][0] == {
        "name": "bookings:read",
        "description": "Read a customer's event bookings",
        "grants": ["GET /customer/{id}/bookings"],
        "limit_per_minute": None,
        "retired": False,
    }
    retired = [scope["name"] for scope in listed[0]["scopes"] if scope["retired"]]
    assert retired == json_of(shown)["scopes"] == ["customers:read"]
    assert "customers:read (retired)" in table.stdout
    assert refusal(denied) == (
        "scopes: the scope customers:read is retired and cannot be granted any more"
    )
    file.write_text(CATALOGUE)
    assert json_of(run("scopes", "apply", str(file), "--json"))["revived"] == ["customers:read"]
    by_command = installation.events(event="catalogue.applied")[1:]
    assert [event["actor"]["type"] for event in by_command] == ["cli", "cli"]
    assert by_command[0]["detail"] == _CHANGES


def test_limits_are_applied_and_shown(sqlite_installation: Installation, tmp_path: Path) -> None:
    """A dry run names what another limit changes; the list has them once there is one."""
    run, file = sqlite_installation.command, tmp_path / "next.toml"
    unlimited = CATALOGUE.replace('name = "Bookings API"', 'name = "Bookings API"\n{}', 1)
    file.write_text(unlimited.replace("{}", "limit_per_minute = 600", 1))
    assert "Requests a minute" not in run("scopes", "list").stdout

    rehearsal = json_of(run("scopes", "apply", str(file), "--dry-run", "--json"))
    assert rehearsal["changed"] == ["api bookings"]
    run("scopes", "apply", str(file))
    file.write_text(file.read_text() + "limit_per_minute = 1000000\n")
    assert json_of(run("scopes", "apply", str(file), "--json"))["changed"] == ["invoices:read"]

    bookings, billing = json_of(run("scopes", "list", "--json"))["items"]
    assert (bookings["limit_per_minute"], billing["limit_per_minute"]) == (600, None)
    assert billing["scopes"][0]["limit_per_minute"] == 1_000_000
    heading, *rows = run("scopes", "list").stdout.splitlines()
    assert "Requests a minute" in heading
    assert "600 (API)" in rows[0]
    assert "1,000,000 (scope)" in rows[-1]


@pytest.mark.spec(
    "contract", "Who may do what", "unless the catalogue keeps the API to some organizations"
)
def test_an_api_is_kept_to_some_organizations(installation: Installation, tmp_path: Path) -> None:
    """A dry run names the API, an ID that nobody has is warned of, and the list says it."""
    run, file = installation.command, tmp_path / "next.toml"
    operations.create(installation.context.database, "acme", "Acme Ltd", TESTER)
    operations.create(installation.context.database, "studio-north", "Studio", TESTER)
    kept = CATALOGUE.replace(
        'name = "Billing API"', 'name = "Billing API"\norganizations = ["studio-nrth", "acme"]'
    )
    file.write_text(kept)
    assert "Kept to" not in run("scopes", "list").stdout

    rehearsal = run("scopes", "apply", str(file), "--dry-run", "--json")
    applied = run("scopes", "apply", str(file))

    warning = "Warning: an API is kept to studio-nrth, and there is no such organization yet."
    assert rehearsal.json()["changed"] == ["api billing"]
    assert applied.stdout.split()[-3:] == ["changed", "api", "billing"]
    assert rehearsal.stderr.splitlines() == applied.stderr.splitlines() == [warning]
    file.write_text(kept.replace("nrth", "north"))
    assert json_of(run("scopes", "apply", str(file), "--json"))["changed"] == ["api billing"]

    create = ("clients", "create", "--name", "CRM sync", "--scope", "invoices:read")
    listed, table, here, there = each(
        installation,
        [
            ("scopes", "list", "--json"),
            ("scopes", "list"),
            (*create, "--json"),
            (*create, "--organization", "acme", "--json"),
        ],
    )
    assert [api["organizations"] for api in json_of(listed)["items"]] == [
        None,
        ["acme", "studio-north"],
    ]
    heading, *rows = table.stdout.splitlines()
    assert "Kept to" in heading
    assert "acme, studio-north" in rows[-1]
    assert refusal(here) == (
        "scopes: the catalogue keeps the scope invoices:read to other organizations than default"
    )
    assert json_of(there)["scopes"] == ["invoices:read"]
    made = installation.create_client("customers:read")
    set_scopes = ("clients", "set-scopes", made.client_id, "--scope", "invoices:read")
    assert refusal(run(*set_scopes)) == refusal(here)
    assert refusal(run(*set_scopes, "--organization", "default")) == (
        "scopes: there is no scope invoices:read; `hourpass scopes list` shows them"
    )


@pytest.mark.spec("contract", "Catalogue", "a file without any [[api]] is refused")
@pytest.mark.spec("contract", "Credentials", "a catalogue that gives it to two is refused")
def test_a_bad_catalogue_changes_nothing(sqlite_installation: Installation, tmp_path: Path) -> None:
    """Whatever is wrong with the file, there is a line for it, and all stays as it was."""
    management = f'identifier = "http://localhost:{sqlite_installation.port}/api/v1"'
    bad = {
        b"[[api": "not TOML: ",
        b"": "there is no [[api]] in it",
        b"\xff": "is not UTF-8 text",
        (_FINE + _SCOPE + _SCOPE).encode(): "scope a:read stands there twice; it belongs to one",
        (_FINE + _SCOPE)
        .replace('identifier = "https://a.example"', management)
        .encode(): "is the management API's own identifier",
    }
    files = []
    for number, content in enumerate(bad):
        files.append(tmp_path / f"{number}.toml")
        files[-1].write_bytes(content)
    missing = tmp_path / "missing.toml"
    before = sqlite_installation.context.catalogue()

    outcomes = each(sqlite_installation, [("scopes", "apply", str(f)) for f in [*files, missing]])

    for file, outcome, words in zip(files, outcomes, bad.values(), strict=False):
        assert words in refusal(outcome)
        assert refusal(outcome).startswith(str(file))
    assert refusal(outcomes[-1]) == f"cannot read {missing}: No such file or directory"
    assert sqlite_installation.context.catalogue() == before
    assert len(sqlite_installation.events(event="catalogue.applied")) == 1


@pytest.mark.spec("threats", "18", "Text is data")
def test_every_fault_in_a_catalogue_is_listed(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """One line each; a word of the file cannot steer the terminal."""
    file = tmp_path / "faulty.toml"
    file.write_text(
        '[[api]]\nkey = "A"\nidentifier = "a"\n"\\u001b[2J" = 1\n'
        '[[api.scope]]\nname = "hourpass.clients:read"\n'
        '[[api.scope]]\nname = "Read"\ndescription = "Read"\n'
        "[surplus]\n"
    )

    lines = lines_of_refusal(sqlite_installation.command("scopes", "apply", str(file)))

    for words in (
        "surplus: unknown",
        "key is 1-40 of a-z",
        "identifier has to be an absolute URI",
        "name is missing",
        "\ufffd[2J is unknown",
        "names that begin hourpass. are Hourpass's own",
        "scope hourpass.clients:read: description is missing",
        "a scope is named resource:permission, in lower case",
    ):
        assert any(words in line for line in lines), (words, lines)
    assert len(lines) == 8
    assert "FILE" in wrong_usage(sqlite_installation.command("scopes", "apply"))
