"""What an operator meets first: no API yet, and a session that ended while a form was filled in."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx

from hourpass.server.admin.application import AdminPages
from support.desk import hire, session_of
from support.installation import Installation, Server

HERE = {"Sec-Fetch-Site": "same-origin"}


def _ask(installation: Installation, method: str, path: str, **more: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(AdminPages(installation.context))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.request(method, path, **{"headers": HERE, **more})

    return asyncio.run(main())


def test_without_an_api_add_client_says_what_comes_first(tmp_path: Path) -> None:
    """Else there would be nothing to tick but rights in Hourpass itself."""
    installation = Installation(tmp_path, f"sqlite:///{tmp_path}/hourpass.db")
    here = cast("Server", SimpleNamespace(installation=installation))
    signed_in = {**HERE, "Cookie": f"hourpass={session_of(here, hire(installation))}"}
    try:
        before = _ask(installation, "GET", "/admin/clients/new", headers=signed_in).text
        scopes = _ask(installation, "GET", "/admin/scopes", headers=signed_in).text
        installation.apply_catalogue()
        after = _ask(installation, "GET", "/admin/clients/new", headers=signed_in).text
    finally:
        installation.close()

    assert "There is no API yet" in before
    assert "[[api.scope]]" in scopes
    assert "There is no API yet" not in after


def test_a_form_whose_session_has_ended_is_said_to_be_undone(installation: Installation) -> None:
    """And signing in leads back to it, where it has a page."""
    form = _ask(installation, "POST", "/admin/clients/new", data={"name": "CRM sync"})
    ended = _ask(installation, "POST", "/admin/audit/export", data={"format": "csv"})

    assert form.headers["location"] == "/admin/sign-in?ended=1&next=/admin/clients/new"
    assert ended.headers["location"] == "/admin/sign-in?ended=1&next="
    page = _ask(installation, "GET", form.headers["location"]).text
    assert "what you sent was not done" in page
    assert 'name="next" value="/admin/clients/new"' in page
    assert "was not done" not in _ask(installation, "GET", "/admin/sign-in").text
