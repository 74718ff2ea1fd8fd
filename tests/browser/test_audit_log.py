"""Records > Audit log: filters, details, live tail, export."""

import csv
import io
import json
import os
import signal
import time
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from hourpass.server.clients import lifecycle
from hourpass.server.operators.model import Role
from hourpass.server.operators.sessions import operations as sessions
from hourpass.server.operators.tokens import Token
from hourpass.server.organizations import operations
from support.desk import Desk
from support.installation import TESTER, Credentials, Server


@pytest.fixture
def acme(desk: Desk) -> str:
    """An organization, and its auditor signed in."""
    organization = f"log-{id(desk)}"
    operations.create(desk.database, organization, "Acme", TESTER)
    desk.sign_in(desk.hire(Role.AUDITOR, organization))
    return organization


def _client(desk: Desk, organization: str, name: str = "CRM sync") -> Credentials:
    create = desk.server.installation.create_client
    return create("customers:read", name=name, organization=organization)


def test_each_row_is_a_sentence_and_opens_to_its_facts(desk: Desk, acme: str) -> None:
    """What belongs to other organizations is not there; markup in a name is text."""
    _client(desk, "default", name="Of somebody else")
    made = _client(desk, acme, name="<b>Bold</b> sync")
    lifecycle.suspend(desk.database, made.client_id, TESTER)
    page = desk.open("/admin/audit")

    rows = page.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("Tester suspended <b>Bold</b> sync")
    expect(page.get_by_text("Of somebody else")).to_have_count(0)
    rows.nth(0).locator("summary").click()
    facts = rows.nth(0).locator("dl")
    expect(facts).to_contain_text("client.suspended")
    expect(facts).to_contain_text("192.0.2.1")
    expect(facts).to_contain_text(made.client_id)
    expect(facts).to_contain_text("Revoke live tokens")
    link = facts.get_by_role("link", name="<b>Bold</b> sync")
    expect(link).to_have_attribute("href", f"/admin/clients/{made.client_id}")
    lifecycle.delete(desk.database, made.client_id, TESTER)
    desk.open("/admin/audit")
    rows.nth(0).locator("summary").click()
    expect(rows.nth(0).locator("dl")).to_contain_text("client.deleted")
    expect(page.locator(f'a[href="/admin/clients/{made.client_id}"]')).to_have_count(0)


@pytest.mark.main_flow
def test_filters_are_in_the_address(desk: Desk, acme: str) -> None:
    """By event, client, person and time; a person is found by the address too."""
    first, second = _client(desk, acme), _client(desk, acme, name="Lobby display")
    page = desk.open("/admin/audit")
    rows = page.locator("tbody tr")

    page.get_by_label("Client ID").fill(second.client_id)
    expect(rows).to_have_count(1)
    expect(page).to_have_url(f"{desk.server.url}/admin/audit?client_id={second.client_id}")
    page.get_by_label("Event").select_option("client.deleted")
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    page.get_by_label("Since (UTC)").fill("2099-01-01T00:00")
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    ben = desk.hire(Role.ADMIN, acme)
    desk.open(f"/admin/audit?actor={ben.email}&event=operator.created")
    expect(rows).to_have_count(1)
    desk.open(f"/admin/audit?since=2000-01-01T00:00&client_id={first.client_id}")
    expect(rows).to_have_count(1)
    desk.open("/admin/audit?since=whenever")
    expect(page.get_by_role("alert")).to_contain_text("Give a day and a time")


def test_a_form_of_another_session_exports_nothing(desk: Desk, acme: str) -> None:
    """Nor one that asks for a format that there is not; nothing is on record of either."""
    page = desk.open("/admin/audit")
    key = page.locator("input[name=csrf]").first.input_value()
    url, headers = f"{desk.server.url}/admin/audit/export", {"Sec-Fetch-Site": "same-origin"}
    forms: list[tuple[dict[str, str | float | bool], int]] = [
        ({"csrf": "x", "format": "csv"}, 409),
        ({"csrf": key, "format": "x"}, 422),
    ]
    for form, status in forms:
        answer = desk.context.request.post(url, form=form, headers=headers)
        assert answer.status == status
    installation = desk.server.installation
    assert installation.events(event="audit.exported", organization=acme) == []


def test_older_events_are_a_page_further(desk: Desk, acme: str) -> None:
    """Fifty a page, none twice."""
    for number in range(52):
        _client(desk, acme, name=f"Client {number}")
    page = desk.open("/admin/audit?event=client.created")
    rows = page.locator("tbody tr")

    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("Client 0")
    page.get_by_role("link", name="Newest").click()
    expect(rows.nth(0)).to_contain_text("Client 51")


@pytest.mark.main_flow
def test_live_shows_what_happens_until_the_person_signs_out(desk: Desk, acme: str) -> None:
    """New rows come in at the top; to look at them is no use of the session."""
    page = desk.open("/admin/audit")
    page.get_by_role("button", name="Live").click()
    rows = page.locator("tbody tr")

    _client(desk, acme, name="Just now")
    _client(desk, "default", name="Of somebody else")

    expect(rows.nth(0)).to_contain_text("created Just now")
    expect(page.get_by_text("Of somebody else")).to_have_count(0)
    cookies = {cookie["name"]: cookie["value"] for cookie in desk.context.cookies()}
    sessions.sign_out(desk.database, Token(cookies["hourpass"]), TESTER)
    expect(page.get_by_text("You are signed out")).to_be_visible()


@pytest.mark.main_flow
def test_export_is_a_file_of_what_is_filtered(desk: Desk, acme: str) -> None:
    """As CSV and as JSON lines, one after the other; that it was exported is an event."""
    made = _client(desk, acme, name="=1+1")
    _client(desk, acme)
    page = desk.open(f"/admin/audit?client_id={made.client_id}")

    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    read = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [row["client_name"] for row in read] == ["'=1+1"]
    assert download.value.suggested_filename == "audit-log.csv"
    with page.expect_download() as download:
        page.get_by_role("button", name="Export JSON lines").click()
    lines = download.value.path().read_text().splitlines()
    assert [json.loads(line)["client_id"] for line in lines] == [made.client_id]
    exported = desk.server.installation.events(event="audit.exported", organization=acme)
    assert [event["detail"] for event in exported] == [{"client_id": made.client_id}] * 2


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"color_scheme": "dark"},
        {"viewport": {"width": 320, "height": 700}},
        {"java_script_enabled": False},
    ],
)
def test_the_log_keeps_nobody_out(
    new_desk: Callable[..., Desk], context: dict[str, object]
) -> None:
    """axe finds nothing with a row open; nothing sticks out; without scripts it is a form."""
    desk = new_desk(**context)
    _client(desk, "default", name="A name that is rather long and goes on for a while")
    desk.sign_in()
    page = desk.open("/admin/audit?event=client.created")
    page.locator("summary").first.click()

    expect(page.locator("dl").first).to_be_visible()
    if context.get("java_script_enabled") is False:
        page.get_by_label("Event").select_option("client.deleted")
        page.get_by_role("button", name="Filter").click()
        expect(page).to_have_url(
            f"{desk.server.url}/admin/audit?event=client.deleted&client_id=&actor=&since=&until="
        )
        expect(page.get_by_role("button", name="Live")).to_have_count(0)
    else:
        desk.axe()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_live_streams_are_limited_and_end_with_the_server(
    new_desk: Callable[..., Desk], server: Server
) -> None:
    """The fifty-first is told to come later; SIGTERM does not wait for who looks on."""
    desk = new_desk(server)
    assert httpx.get(f"{server.url}/admin/audit/live", trust_env=False).status_code == 303
    desk.sign_in()
    cookies = {"hourpass": desk.context.cookies()[0]["value"]}
    limits = httpx.Limits(max_connections=100)
    assert server.process is not None
    with httpx.Client(
        base_url=server.url, cookies=cookies, trust_env=False, timeout=10, limits=limits
    ) as http:
        open_streams = [
            http.send(http.build_request("GET", "/admin/audit/live"), stream=True)
            for _ in range(50)
        ]
        assert {stream.status_code for stream in open_streams} == {200}
        assert open_streams[0].headers["content-type"].startswith("text/event-stream")
        assert open_streams[0].headers["cache-control"] == "no-store"
        late = http.get("/admin/audit/live")
        assert late.status_code == 503
        assert late.headers["retry-after"] == "60"
        open_streams.pop().close()
        deadline = time.monotonic() + 5
        while (again := http.send(late.request, stream=True)).status_code != 200:
            again.close()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        begun = time.monotonic()
        os.killpg(server.process.pid, signal.SIGTERM)
        assert server.process.wait(15) == 0
        assert time.monotonic() - begun < 8  # two seconds for a balancer, not ten for the streams
        assert again.read().startswith(b"retry: ")
