"""`hourpass operators` and `hourpass setup-link`."""

import pytest
from command_outcomes import each, json_of, refusal, wrong_usage

from hourpass.server.operators import lifecycle
from hourpass.server.operators.credentials.passwords import Password
from hourpass.server.operators.model import Role
from hourpass.server.operators.tokens import Token
from support.hashing import HASHING
from support.installation import TESTER, Installation

PASSWORD = Password("seven green lamps at noon")
MEMBERS = {
    *("operator_id", "email", "status", "memberships", "created_at", "created_by"),
    "activated_at",
}


def token_of(installation: Installation, url: str) -> Token:
    """What is in the fragment of a link of this installation."""
    start = f"http://localhost:{installation.port}/admin/invitation#"
    assert url.startswith(start)
    return Token(url.removeprefix(start))


def test_somebody_is_invited_listed_reset_and_removed(installation: Installation) -> None:
    """Each deed is audited as the OS user's; the link lets the person sign up."""
    run, database = installation.command, installation.context.database
    made = json_of(run("operators", "create", "Ana@Example.com", "--role", "owner", "--json"))
    assert made.keys() == MEMBERS | {"link", "link_expires_at"}
    assert made["email"] == "ana@example.com"
    assert made["status"] == "invited"
    assert made["memberships"] == [{"organization": None, "role": "owner"}]
    assert made["created_by"]["type"] == "cli"
    lifecycle.use_link(database, HASHING, token_of(installation, made["link"]), PASSWORD, TESTER)

    text, again, reset = each(
        installation,
        [
            (
                "operators",
                "create",
                "ben@example.com",
                "--role",
                "admin",
                "--organization",
                "default",
            ),
            ("operators", "create", "ana@example.com", "--role", "owner", "--json"),
            ("operators", "reset", "ANA@example.com"),
        ],
    )
    assert text.status == 0
    token_of(installation, text.stdout.strip())
    assert "Send it to ben@example.com. It works once, until " in text.stderr
    assert json_of(again)["link"] is None
    link = token_of(installation, reset.stdout.strip())
    assert lifecycle.look_at_link(database, link).email == "ana@example.com"

    table, listed, there, searched = each(
        installation,
        [
            ("operators", "list"),
            ("operators", "list", "--json"),
            ("operators", "list", "--organization", "default", "--json"),
            ("operators", "list", "--search", "BEN", "--json"),
        ],
    )
    assert "admin of default" in table.stdout
    items = json_of(listed)["items"]
    assert [item["email"] for item in items] == ["ben@example.com", "ana@example.com"]
    assert [item["status"] for item in items] == ["invited", "active"]
    assert all(item.keys() == MEMBERS for item in items)
    assert json_of(there)["items"] == json_of(searched)["items"] == items[:1]
    newest = json_of(run("operators", "list", "--limit", "1", "--json"))
    assert newest["items"] == items[:1]
    older = json_of(run("operators", "list", "--cursor", newest["next_cursor"], "--json"))
    assert older == {"items": items[1:], "next_cursor": None}

    removed = json_of(run("operators", "remove", "ben@example.com", "--json"))
    assert removed == {"email": "ben@example.com", "removed": True}
    with database.read() as connection:
        assert connection.exec_driver_sql("select email from operator").all() == [
            ("ana@example.com",)
        ]
    deeds = [
        event["event"]
        for event in installation.events()
        if event["event"].startswith("operator.") and event["actor"]["type"] == "cli"
    ]
    assert sorted(deeds) == sorted(
        ["operator.invited"] * 2 + ["operator.reset", "operator.removed"]
    )


def test_a_set_up_link_makes_the_first_owner_and_then_there_is_none(
    installation: Installation,
) -> None:
    """`hourpass setup-link` is for an installation without operators."""
    text = installation.command("setup-link")
    made = json_of(installation.command("setup-link", "--json"))
    assert made.keys() == {"link", "link_expires_at"}
    assert "owner of this installation" in text.stderr
    operator = lifecycle.use_link(
        installation.context.database,
        HASHING,
        token_of(installation, made["link"]),
        PASSWORD,
        TESTER,
        email="ana@example.com",
    )

    assert operator.roles == {None: Role.OWNER}
    late = installation.command("setup-link")
    assert refusal(late).startswith("there are operators already")


def test_what_cannot_be_done_is_refused_in_one_line(installation: Installation) -> None:
    """The last owner, somebody unknown, no address, no organization."""
    lifecycle.set_role(installation.context.database, "ana@example.com", None, Role.OWNER, TESTER)
    last, unknown, nobody, address, place = each(
        installation,
        [
            ("operators", "remove", "ana@example.com"),
            ("operators", "remove", "\x1b[2J@example.com"),
            ("operators", "reset", "nobody@example.com"),
            ("operators", "create", "nobody", "--role", "owner"),
            ("operators", "create", "a@b", "--role", "admin", "--organization", "no\u202e"),
        ],
    )

    assert "last owner" in refusal(last)
    assert refusal(unknown) == refusal(nobody) == "there is no such operator"
    assert refusal(address).startswith("email: ")
    assert refusal(place).startswith("organization: ")


@pytest.mark.parametrize(
    "words",
    [
        ("create", "a@b"),
        ("create", "a@b", "--role", "king"),
        ("create", "--role", "owner"),
        ("remove",),
    ],
)
def test_wrong_usage_has_status_two(
    sqlite_installation: Installation, words: tuple[str, ...]
) -> None:
    """With a word about how it is used."""
    wrong_usage(sqlite_installation.command("operators", *words))


def test_an_empty_list_says_what_to_do(sqlite_installation: Installation) -> None:
    """`setup-link`, which the help names as well."""
    listed, help_ = each(sqlite_installation, [("operators", "list"), ("--help",)])

    assert "setup-link" in listed.stdout
    assert "setup-link" in help_.stdout
    assert "operators" in help_.stdout
