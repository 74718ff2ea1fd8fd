"""Lists: pages by keyset, filters, search, and cursors that nobody can forge."""

from pathlib import Path

import pytest
from api_caller import Caller, new_organization, problem
from bench.populate import populate

from hourpass.server.clients import lifecycle, store
from hourpass.server.db import word_index
from support.installation import TESTER, Server

SCOPES = ("hourpass.clients:read", "hourpass.clients:write", "hourpass.organizations:read")


@pytest.fixture
def caller(shared_server: Server) -> Caller:
    """A back office in an organization of its own."""
    home = new_organization(shared_server.installation)
    return Caller(shared_server, *SCOPES[:2], organization=home)


def names(caller: Caller, **query: str | int) -> list[str]:
    """The names of the clients listed, less the caller's own."""
    found = caller.every("/clients", **query)
    own = caller.credentials.client_id
    return [item["name"] for item in found if item["client_id"] != own]


def test_pages_hold_each_client_once_newest_first(caller: Caller) -> None:
    """Whatever the size of the page, also while clients come and go."""
    made = [caller.create("customers:read", name=f"Client {number}") for number in range(7)]
    newest_first = [f"Client {number}" for number in reversed(range(7))]

    for limit in (1, 2, 3, 8):
        assert names(caller, limit=limit) == newest_first
    first = caller("GET", "/clients", params={"limit": 3}).json()
    caller("DELETE", f"/clients/{made[4].client_id}")  # where the page ended
    caller.create("customers:read", name="Late")
    rest = caller("GET", "/clients", params={"cursor": first["next_cursor"]}).json()

    assert [item["name"] for item in rest["items"][:4]] == newest_first[3:]


def test_every_filter_finds_its_clients(caller: Caller) -> None:
    """Status and scope, alone and together, in pages of one."""
    database = caller.server.installation.context.database
    for name, scope in [("a", "customers:read"), ("b", "bookings:read"), ("c", "bookings:read")]:
        client_id = caller.create(scope, name=name).client_id
        if name != "b":
            lifecycle.suspend(database, client_id, TESTER)

    assert names(caller, status="suspended", limit=1) == ["c", "a"]
    assert names(caller, scope="bookings:read", limit=1) == ["c", "b"]
    assert names(caller, scope="bookings:read", status="suspended", limit=1) == ["c"]
    assert names(caller, status="active", limit=1) == ["b"]
    assert names(caller, status="expired") == []
    assert names(caller, scope="no:such") == []


NAMED = ["ERP-Sync (Acme)", "Straße nach Köln", "acme_billing", "Acme-Ersatz", "İstanbul"]
SEARCHES = [
    ("acme", ["Acme-Ersatz", "acme_billing", "ERP-Sync (Acme)"]),
    ("ACM", ["Acme-Ersatz", "acme_billing", "ERP-Sync (Acme)"]),
    ("erp-s", ["ERP-Sync (Acme)"]),
    ("sync", ["ERP-Sync (Acme)"]),
    ("(acme", ["ERP-Sync (Acme)"]),
    ("billing", ["acme_billing"]),
    ("STRASSE", ["Straße nach Köln"]),
    ("KO\u0308LN", ["Straße nach Köln"]),
    ("sync acme", ["ERP-Sync (Acme)"]),
    ("acme ers", ["Acme-Ersatz"]),
    ("ync", []),
    ("acme nach", []),
    ("%", []),
    ("_", []),
    ("a\U0010ffff", []),
    ("i\u0307stan", ["İstanbul"]),
]


@pytest.mark.spec("contract", "HTTP", "`search` matches, ignoring case, the start of any word")
def test_a_search_finds_the_beginnings_of_words(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all words, whatever their case, accents and punctuation; by both ways of looking."""
    for name in NAMED:
        caller.create("customers:read", name=name)

    for text, found in SEARCHES:
        assert names(caller, search=text, limit=1) == found, text
    database = caller.server.installation.context.database
    monkeypatch.setattr(word_index, "_FEW", 0)  # as if the words were too many to collect
    for text, found in SEARCHES:
        wanted = store.ClientFilter(organization=caller.organization, search=text)
        with database.read() as connection:
            page, _ = store.page(connection, wanted, database.now(connection), limit=50)
        assert [client.name for client in page] == found, text


def test_a_search_finds_the_beginning_of_an_id(caller: Caller) -> None:
    """Whole, in part, in capitals; no other part of it."""
    made = caller.create("customers:read", name="This one")
    caller.create("customers:read", name="Another")

    for text in (made.client_id, made.client_id[:12], made.client_id.upper()):
        assert names(caller, search=text) == ["This one"]
    assert names(caller, search="m2m") == ["Another", "This one"]
    assert names(caller, search=made.client_id[4:16]) == []


def test_a_search_follows_a_renamed_client(caller: Caller) -> None:
    """The old name finds nothing any more; nothing of a deleted client is left."""
    made = caller.create("customers:read", name="Former")
    caller("PATCH", f"/clients/{made.client_id}", json={"name": "Present"})

    assert names(caller, search="former") == []
    assert names(caller, search="present") == ["Present"]
    caller("DELETE", f"/clients/{made.client_id}")
    assert names(caller, search="present") == []


def test_a_cursor_is_good_for_its_list_and_filters_only(caller: Caller) -> None:
    """Changed by a character, or brought to another list, it is refused; so is any other text."""
    for _ in range(3):
        caller.create("customers:read")
    cursor = caller("GET", "/clients", params={"limit": 1}).json()["next_cursor"]
    elsewhere = Caller(caller.server, *SCOPES, organization=caller.organization)
    bad = [
        *(
            cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
            for at in (0, 9, 20)
        ),
        cursor[:-1],
        cursor + "A",
        "",
        "x",
        "ä",
        "1",
        "null",
        "A" * 300,
    ]

    for text in bad:
        answer = caller("GET", "/clients", params={"cursor": text})
        assert answer.status_code in (400, 422), text
        assert problem(answer)[1] in ("invalid-cursor", "invalid-input")
    for query in ({"status": "active"}, {"search": "c"}, {"scope": "customers:read"}):
        answer = caller("GET", "/clients", params={**query, "cursor": cursor})
        assert problem(answer) == (400, "invalid-cursor")
    assert problem(elsewhere("GET", "/clients", params={"cursor": cursor})) == (
        400,
        "invalid-cursor",
    )
    assert problem(elsewhere("GET", "/organizations", params={"cursor": cursor})) == (
        400,
        "invalid-cursor",
    )
    assert caller("GET", "/clients", params={"cursor": cursor}).status_code == 200


def test_a_cursor_tells_nothing(caller: Caller) -> None:
    """Two for the same place differ: no count and no ID can be read from them."""
    for _ in range(3):
        caller.create("customers:read")
    first, second = (
        caller("GET", "/clients", params={"limit": 2}).json()["next_cursor"] for _ in range(2)
    )

    assert first != second
    pages = [
        caller("GET", "/clients", params={"limit": 2, "cursor": cursor}).json()["items"]
        for cursor in (first, second)
    ]
    assert pages[0] == pages[1] != []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "x"},
        {"status": "deleted"},
        {"organization": "A"},
        {"search": ""},
        {"search": "x" * 101},
        {"unknown": "1"},
    ],
)
def test_a_filter_that_cannot_be_is_refused(query: dict[str, str], caller: Caller) -> None:
    """422, rather than a list of something else."""
    assert problem(caller("GET", "/clients", params=query)) == (422, "invalid-input")


def test_ten_thousand_clients_are_paged_through(server: Server, tmp_path: Path) -> None:
    """Every client once, the newest first, in fifty pages."""
    populate(server.installation.context, 10_000, tmp_path / "credentials", keep=1)

    listed = Caller(server, *SCOPES[:2]).every("/clients", limit=200)

    names = [item["name"] for item in listed]
    assert names[0] == "Back office"
    assert names[1:] == [f"Integration {number}" for number in reversed(range(10_000))]
