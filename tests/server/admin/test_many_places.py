"""Pages where there are more organizations, and people, than a menu or a page holds."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from hourpass.server.admin.places import MENU, Places
from hourpass.server.operators import lifecycle
from hourpass.server.operators.model import Operator, Powers, Role
from hourpass.server.organizations import operations
from hourpass.server.rights import CLIENTS_READ, OPERATORS_WRITE
from support.desk import hire, visitor
from support.installation import TESTER, Installation, Server

HERE = {"Sec-Fetch-Site": "same-origin"}
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def shops(shared_server: Server) -> list[str]:
    """One organization more than a menu holds."""
    database, mark = shared_server.installation.context.database, uuid4().hex[:8]
    names = [f"{mark}-{number:02}" for number in range(MENU + 1)]
    for number, name in enumerate(names):
        operations.create(database, name, f"Shop {number:02} {mark}", TESTER)
    return names


@pytest.fixture
def http(shared_server: Server, shops: list[str]) -> Iterator[httpx.Client]:
    """An owner of the installation; without a browser, as where no scripts run."""
    with visitor(shared_server) as client:
        yield client


def send(http: httpx.Client, page: str, path: str, **fields: str) -> httpx.Response:
    """A form of that page, filled in."""
    csrf = re.search(r'name="csrf" value="([^"]*)"', http.get(page).text)
    assert csrf is not None
    return http.post(path, data={"csrf": csrf[1], **fields}, headers=HERE)


def options(html: str) -> list[str]:
    """The values of the menu of organizations in a form."""
    menu = re.search(r'<select id="where".*?</select>', html, re.DOTALL)
    assert menu is not None
    return re.findall(r'<option value="([^"]*)"', menu[0])


def test_no_page_names_all_and_one_is_searched_and_chosen(
    http: httpx.Client, shops: list[str]
) -> None:
    """Then its name is at the top of each page; the list is a page or less."""
    for path in ("", "clients", "clients/new", "operators", "operators/new", "audit", "account"):
        html = http.get(f"/admin/{path}").text
        assert sum(html.count(f'"{shop}"') for shop in shops) == 0, path
        assert "All organizations" in html

    found = http.get("/admin/organization", params={"search": f"03 {shops[0][:8]}"}).text
    assert re.findall(r'name="organization" value="([^"]+)"', found) == [shops[3]]
    first = http.get("/admin/organization", params={"search": shops[0][:8]}).text
    assert len(re.findall(r'name="organization" value="([^"]+)"', first)) == MENU
    older = re.search(r'rel="next" href="([^"]*)"', first)
    assert older is not None
    assert f'value="{shops[0]}"' in http.get(older[1].replace("&amp;", "&")).text

    chosen = send(
        http,
        "/admin/organization",
        "/admin/organization",
        organization=shops[3],
        next="/admin/clients",
    )
    assert chosen.headers["location"] == "/admin/clients"
    assert f"<span>Shop 03 {shops[0][:8]}</span>" in http.get("/admin/clients").text
    nowhere = send(http, "/admin/clients", "/admin/organization", organization="no-such-place")
    assert nowhere.status_code == 303
    assert "<span>All organizations</span>" in http.get("/admin/clients").text


def test_forms_offer_those_chosen_lately_and_the_one_searched(
    http: httpx.Client, shops: list[str]
) -> None:
    """The search leads back to the form, and the form takes what was found."""
    send(http, "/admin/clients", "/admin/organization", organization=shops[5])
    send(http, "/admin/clients", "/admin/organization", organization="")
    for form, purpose, always in (
        ("/admin/clients/new", "client", "default"),
        ("/admin/operators/new", "role", "*"),
    ):
        assert sorted(options(http.get(form).text)) == sorted([always, shops[5]])
        picker = http.get("/admin/organization", params={"for": purpose, "search": shops[7]}).text
        link = re.search(r'href="([^"]*)" data-pick="([^"]*)"', picker)
        assert link is not None
        assert link.groups() == (f"{form}?organization={shops[7]}", shops[7])
        html = http.get(link[1]).text
        assert f'<option value="{shops[7]}" selected>' in html
    email = f"{shops[7]}@example.com"
    fields = {"email": email, "organization": shops[7], "role": "admin"}
    invited = send(http, "/admin/operators/new", "/admin/operators/new", **fields)
    assert f"admin of Shop 07 {shops[0][:8]}" in invited.text


def test_a_search_leads_nowhere_else(http: httpx.Client) -> None:
    """Neither to another site nor for a purpose that there is not."""
    page = http.get("/admin/organization", params={"for": "client", "next": "//evil.example/x"})
    assert "evil" not in page.text
    assert http.get("/admin/organization?for=other").headers["location"] == "/admin/organization"
    for cursor in ("x", "9" * 300):
        assert http.get(f"/admin/organization?cursor={cursor}").status_code == 303


def test_people_are_found_by_a_part_of_their_address(
    shared_server: Server, http: httpx.Client, shops: list[str]
) -> None:
    """Whatever the case; of many roles the first ones are told."""
    installation, mark = shared_server.installation, shops[0][:8]
    person = hire(installation, Role.AUDITOR, shops[0], email=f"ana.smith@{mark}.example")
    hire(installation, Role.AUDITOR, shops[0], email=f"ben_smith@{mark}.example")
    for shop in shops[1:]:
        lifecycle.set_role(installation.context.database, person.email, shop, Role.AUDITOR, TESTER)

    def found(search: str) -> list[str]:
        html = http.get("/admin/operators", params={"search": search}).text
        return re.findall(r'class="name address" [^>]*>([^<]*)<', html)

    assert found(f"SMITH {mark}") == [f"ben_smith@{mark}.example", person.email]
    assert found(f"ana {mark}") == found(person.operator_id) == [person.email]
    assert found(f"n_s {mark}") == [f"ben_smith@{mark}.example"]
    assert found(f"a_s {mark}") == []  # no wildcard
    listed = http.get("/admin/operators", params={"search": f"ana {mark}"}).text
    assert f"and in {len(shops) - 5} other places" in listed
    page = http.get(f"/admin/operators/{person.operator_id}").text
    assert len(re.findall("Take the role away", page)) == len(shops)


def test_who_has_many_roles_looks_at_one_of_those_places(
    shared_server: Server, shops: list[str]
) -> None:
    """And gives roles in those alone where they own; others cannot be searched, nor chosen."""
    installation = shared_server.installation
    person = hire(installation, Role.AUDITOR, shops[0])
    for shop in shops[1:]:
        role = Role.OWNER if shop == shops[9] else Role.AUDITOR
        lifecycle.set_role(installation.context.database, person.email, shop, role, TESTER)
    with visitor(shared_server, person) as http:
        assert f"<span>Shop 00 {shops[0][:8]}</span>" in http.get("/admin/clients").text
        assert (
            "default"
            not in http.get("/admin/organization?search=default").text.partition(
                'id="organizations"'
            )[2]
        )
        send(http, "/admin/clients", "/admin/organization", organization="default")
        assert f"<span>Shop 00 {shops[0][:8]}</span>" in http.get("/admin/clients").text
        send(http, "/admin/clients", "/admin/organization", organization=shops[9])
        assert options(http.get("/admin/operators/new").text) == [shops[9]]
        account = http.get("/admin/account").text
        assert "and in 1 other organization<" in account


def test_no_more_is_read_than_a_menu_holds(installation: Installation) -> None:
    """Where a few are, all of them by name; where there are more, those chosen lately."""
    database = installation.context.database
    for number in range(MENU - 1):
        operations.create(database, f"o-{number:02}", f"name {MENU - number:02}", TESTER)
    auditor = Powers.of(_operator(None, Role.AUDITOR))
    owner = _operator("o-03", Role.OWNER).with_role("o-04", Role.AUDITOR)

    few = Places(database, auditor, "").few()
    assert few is not None
    assert [each.name for each in few][:2] == ["Default organization", "name 02"]
    assert len(few) == MENU
    operations.create(database, "last", "Last", TESTER)

    places = Places(database, auditor, "o-05.o-06.never-was")
    assert places.few() is None
    assert places.are_several
    assert places.current is not None
    assert places.current.id == "o-05"
    assert [each.id for each in places.lately()] == ["o-06", "o-05"]
    assert places.remember("o-07") == "o-07.o-05.o-06.never-was"
    assert places.remember("o-06") == "o-06.o-05.never-was"
    assert places.remember("") == places.remember("none") == ".o-05.o-06.never-was"
    assert places.few(OPERATORS_WRITE) == []
    own = Places(database, Powers.of(owner), "o-05")
    assert own.current is not None
    assert own.current.id == "o-04"  # the first by name
    assert [each.id for each in own.few(OPERATORS_WRITE) or []] == ["o-03"]
    assert len(own.few(CLIENTS_READ) or []) == 2
    assert own.find("o-05") is None
    assert own.names(["o-03", "o-05"]) == {"o-03": f"name {MENU - 3:02}"}


def _operator(organization: str | None, role: Role) -> Operator:
    return Operator(
        operator_id="opr_00000000000000000000",
        email="ana@example.com",
        roles={organization: role},
        created_at=SINCE,
        created_by=TESTER.actor,
    )
