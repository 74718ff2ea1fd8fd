"""`hourpass clients`: what is refused, in which words, with which exit status."""

from datetime import UTC, datetime

import pytest
from command_outcomes import NOBODY, each, refusal, wrong_usage
from sqlalchemy import update

from hourpass.server.db.schema import client
from hourpass.server.organizations import operations
from support.installation import TESTER, Installation

_CREATE = ("clients", "create", "--scope", "customers:read", "--name")


def _untouched(installation: Installation) -> bool:
    """Whether nothing was made or done since the catalogue was applied."""
    last: str = installation.events()[-1]["event"]
    return last == "catalogue.applied"


@pytest.mark.spec("contract", "Command line", "1 refused with one clear line on stderr")
def test_a_client_that_is_not_there(sqlite_installation: Installation) -> None:
    """Every kind of command says that there is none; a made-up ID is cut and cleaned."""
    commands = {
        "set-scopes": ("--scope", "customers:read"),
        "rotate-secret": ("--revoke-live-tokens",),
        "suspend": ("--json",),
        "delete": ("--yes",),
    }
    finished = each(
        sqlite_installation,
        [("clients", name, NOBODY, *more) for name, more in commands.items()]
        + [("clients", "show", "\x1b[2J" + 100 * "x", "--json")],
    )

    for outcome in finished[:-1]:
        assert refusal(outcome) == f"there is no API client {NOBODY}"
    assert refusal(finished[-1]) == "there is no API client \ufffd[2J" + 36 * "x"
    assert _untouched(sqlite_installation)


@pytest.mark.spec("threats", "18", "Text is data")
def test_what_a_client_cannot_be_called(sqlite_installation: Installation) -> None:
    """Escape codes, direction marks, octets that are no text, too much of it."""
    names = ["\x1b[31mred", "a\u202eb", "\udcff", "x" * 101]
    descriptions = ["\x1b]0;title\x07"]

    outcomes = each(
        sqlite_installation,
        [(*_CREATE, name) for name in names]
        + [(*_CREATE, "Fine", "--description", text) for text in descriptions],
    )

    lines = [refusal(outcome) for outcome in outcomes]
    assert all(line.startswith("name: ") for line in lines[: len(names)])
    assert all(line.startswith("description: ") for line in lines[len(names) :])
    assert _untouched(sqlite_installation)


def test_scopes_expiry_and_organization_have_to_make_sense(
    sqlite_installation: Installation,
) -> None:
    """The line names what is wrong, and says what would do."""
    wanted: dict[tuple[str, ...], str] = {
        ("--scope", "Customers:\udcff"): "scopes: there is no scope Customers:\ufffd",
        ("--expires-in-days", "9" * 30): "expires_in_days: give 1 to 3650 days",
        ("--limit-per-minute", "0"): "limit_per_minute: give 1 to 1,000,000 requests a minute",
        ("--organization", "other\udcff"): "there is no organization other\ufffd",
    }

    outcomes = each(sqlite_installation, [(*_CREATE, "CRM sync", *more) for more in wanted])

    for outcome, start in zip(outcomes, wanted.values(), strict=True):
        assert refusal(outcome).startswith(start)
    assert _untouched(sqlite_installation)


@pytest.mark.spec("contract", "Command line", "2 usage or settings")
def test_wrong_usage(sqlite_installation: Installation) -> None:
    """Exit status 2: what has to be given is missing, or is not of its kind."""
    made = sqlite_installation.create_client("customers:read")
    missing, no_scope, no_number, no_limit, unsure = each(
        sqlite_installation,
        [
            ("clients", "create", "--scope", "customers:read"),
            ("clients", "set-scopes", made.client_id),
            (*_CREATE, "CRM sync", "--expires-in-days", "soon"),
            ("clients", "set-limit", made.client_id, "much"),
            ("clients", "delete", made.client_id),
        ],
    )

    assert "--name" in wrong_usage(missing)
    assert "--scope" in wrong_usage(no_scope)
    assert "--expires-in-days" in wrong_usage(no_number)
    assert refusal(no_limit, status=2) == "give 1 to 1,000,000 requests a minute, or none"
    assert refusal(unsure, status=2) == "deleting cannot be undone; say so with --yes"
    assert sqlite_installation.command("clients", "show", made.client_id).status == 0


@pytest.mark.spec("seed", "Client expiry", "To restore access, create a new client")
def test_an_expired_client_stays_expired(sqlite_installation: Installation) -> None:
    """Neither activated nor rotated: the line says to create a new client."""
    made = sqlite_installation.create_client("customers:read", expires_in_days=1)
    with sqlite_installation.context.database.write() as connection:
        connection.execute(update(client).values(expires_at=datetime(2026, 1, 1, tzinfo=UTC)))

    listed, activated, rotated = each(
        sqlite_installation,
        [
            ("clients", "list", "--status", "expired", "--json"),
            ("clients", "activate", made.client_id),
            ("clients", "rotate-secret", made.client_id),
        ],
    )

    assert [item["status"] for item in listed.json()["items"]] == ["expired"]
    for outcome in (activated, rotated):
        assert refusal(outcome) == "this API client has expired, which is final; create a new one"


@pytest.mark.spec("threats", "15", "no crossing of organizations")
def test_a_command_can_be_kept_to_one_organization(installation: Installation) -> None:
    """With `--organization`, what belongs to another is not there, whatever the command."""
    operations.create(installation.context.database, "acme", "Acme", TESTER)
    theirs = installation.create_client("customers:read", organization="acme").client_id
    commands: dict[str, tuple[str, ...]] = {
        "show": (),
        "set-scopes": ("--scope", "bookings:read"),
        "rotate-secret": (),
        "suspend": (),
        "activate": (),
        "revoke-tokens": (),
        "delete": ("--yes",),
    }

    def all_of_them(organization: str) -> list[tuple[str, ...]]:
        kept = ("--organization", organization)
        return [("clients", name, theirs, *more, *kept) for name, more in commands.items()]

    for outcome in each(installation, all_of_them("default")):
        assert refusal(outcome) == f"there is no API client {theirs}"
    assert [outcome.status for outcome in each(installation, all_of_them("acme"))] == [0] * 7
