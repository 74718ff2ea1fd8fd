"""`hourpass keys`: the timetable, leaks, and a master key that changes."""

import base64
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from command_outcomes import each, json_of, refusal

from hourpass.server.keys import store
from hourpass.server.keys.master import generate
from support.installation import MASTER_KEY, Installation

_MEMBERS = {
    *("kid", "algorithm", "state", "created_at", "activates_at", "retires_at", "revoked_at"),
}


@pytest.fixture
def new_keys(backend: str, request: pytest.FixtureRequest) -> Installation:
    """An installation of this moment: a copy of an older one would have keys known for long."""
    name = "sqlite_installation" if backend == "sqlite" else "postgres_installation"
    made: Installation = request.getfixturevalue(name)
    return made


@pytest.mark.spec("threats", "9", "The next key is published at least the JWKS max-age before use")
def test_signing_keys_are_rotated_and_revoked(new_keys: Installation) -> None:
    """A rotation waits until verifiers can know the key; a revocation does not wait."""
    run = new_keys.command
    listed = json_of(run("keys", "list", "--json"))
    assert listed.keys() == {"items", "next_cursor"}
    active, coming = listed["items"]
    assert active.keys() == coming.keys() == _MEMBERS
    assert (active["state"], coming["state"]) == ("active", "next")
    assert (active["algorithm"], active["retires_at"]) == ("ES256", coming["activates_at"])

    rotated = json_of(run("keys", "rotate", "--json"))
    assert (rotated["kid"], rotated["state"]) == (coming["kid"], "next")
    notice = datetime.fromisoformat(rotated["activates_at"]) - datetime.fromisoformat(
        coming["created_at"]
    )
    assert notice == timedelta(minutes=6)
    again = run("keys", "rotate")
    assert again.stderr.startswith(f"{coming['kid']} signs from ")

    revoked = json_of(run("keys", "revoke", active["kid"], "--json"))
    assert revoked == {"kid": active["kid"], "revoked": True}
    twice, unknown, table = each(
        new_keys,
        [
            ("keys", "revoke", active["kid"]),
            ("keys", "revoke", "\x1b[2J"),
            ("keys", "list"),
        ],
    )
    assert refusal(twice) == refusal(unknown)
    assert refusal(twice).startswith("there is no such key, or it was revoked before")
    states = {line.split()[0]: line.split()[1] for line in table.stdout.splitlines()[1:]}
    assert (states[active["kid"]], states[coming["kid"]]) == ("revoked", "active")
    assert list(states.values()).count("next") == 1
    by_command = [e for e in new_keys.events() if e["actor"]["type"] == "cli"]
    assert [e["event"] for e in by_command if e["detail"].get("kid") == active["kid"]] == [
        "key.revoked"
    ]


@pytest.mark.spec("contract", "Credentials", "a master key changes without touching one client")
def test_a_master_key_is_changed(sqlite_installation: Installation, tmp_path: Path) -> None:
    """With both lines all opens; once everything is sealed anew, the old line can go."""
    installation = sqlite_installation
    made = installation.create_client("customers:read")
    new_key = generate()
    both, new = tmp_path / "both", tmp_path / "new"
    both.write_text(f"{new_key}\n{MASTER_KEY}\n")
    new.write_text(f"{new_key}\n")

    def with_key(*command: str, file: Path, master: str = "") -> object:
        names = {"HOURPASS_MASTER_KEY": master, "HOURPASS_MASTER_KEY_FILE": str(file)}
        return json_of(installation.command(*command, "--json", environ=names))

    too_early = installation.command("clients", "list", environ={"HOURPASS_MASTER_KEY": new_key})
    wrong = "the master key does not open this database's keys; set the one it was made with"
    assert refusal(too_early) == wrong
    rewrapped = with_key("keys", "rewrap", file=both)
    assert isinstance(rewrapped, dict)
    assert rewrapped.keys() == {"rewrapped", "master_key"}
    assert rewrapped["rewrapped"] >= 4  # pepper, cursor key, two signing keys
    assert len(rewrapped["master_key"]) == 8
    shown = with_key("clients", "show", made.client_id, file=new)
    assert isinstance(shown, dict)
    assert shown["client_id"] == made.client_id
    too_late = installation.command("clients", "list")
    assert refusal(too_late) == wrong


def test_a_key_that_no_master_key_opens_is_told(installation: Installation) -> None:
    """Also one that is not needed to open the installation."""
    with installation.context.database.write() as connection:
        store.reseal(connection, store.CURSOR, "1", bytes(60))

    line = refusal(installation.command("keys", "rewrap"))

    assert line.endswith("; set the one it was made with")


@pytest.mark.spec("contract", "Credentials", "HOURPASS_MASTER_KEY is 32 random bytes in base64")
def test_a_new_master_key_touches_nothing(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """32 random bytes, another each time; no installation is looked at or made."""
    folder = tmp_path / "never made"
    lines = each(
        sqlite_installation,
        [("keys", "new-master"), ("keys", "new-master", "--json")],
        HOURPASS_DATA_DIR=str(folder),
        HOURPASS_DATABASE_URL="",
        HOURPASS_MASTER_KEY="",
    )

    keys = [lines[0].stdout.strip(), json_of(lines[1])["master_key"]]
    assert [len(base64.b64decode(key, validate=True)) for key in keys] == [32, 32]
    assert keys[0] != keys[1]
    assert not folder.exists()


def test_a_key_id_that_begins_with_a_dash_is_no_option(installation: Installation) -> None:
    """Base64url has dashes, and a leak cannot wait."""
    for kid in ("-WxJ_k3", "--abc", "-h"):
        said = refusal(installation.command("keys", "revoke", kid))
        assert said.startswith("there is no such key")
