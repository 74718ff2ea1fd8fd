"""A bug of ours in the management API: a problem document, and one traceback in the log."""

import asyncio
import logging

import httpx
import pytest
from api_caller import problem
from starlette.requests import Request
from starlette.responses import Response

from hourpass.server.api.application import ManagementApi
from support.installation import Installation


def test_a_bug_is_a_problem_document_and_written_down_once(
    sqlite_installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    """With the ID under which the log has it, and nothing of the fault."""
    api = ManagementApi(sqlite_installation.context)
    api._app.add_api_route("/api/v1/broken", _broken, response_model=None)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.get("/api/v1/broken")

    with caplog.at_level(logging.WARNING):
        answer = asyncio.run(ask())

    assert problem(answer) == (500, "internal-error")
    assert "hidden" not in answer.text
    (line,) = caplog.records
    assert line.getMessage() == "GET /api/v1/broken failed"
    assert line.exc_info is not None
    assert "hidden" in str(line.exc_info[1])


def _broken(_request: Request) -> Response:
    raise RuntimeError("hidden")
