"""The deeds of `faults/run`: what the journal says of them is what an integration was told."""

from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults import deeds, journal, judge
from faults.deeds import Caller, Deeds
from faults.judge import Verdict

from hourpass.server.rights import CLIENTS_READ, CLIENTS_WRITE
from support.installation import Installation, Server

_STEPS = 60


@pytest.fixture
def server(sqlite_installation: Installation) -> Iterator[Server]:
    running = Server(sqlite_installation)
    yield running
    running.stop()


def test_answers_that_are_lost_lose_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each three one never arrives, and one request never leaves: the judge is content, every
    creation made one client, and the secret that was shown for it is its own."""
    whole = httpx.HTTPTransport.handle_request
    fates = cycle(("answered", "never sent", "answer lost"))

    def lossy(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if "/api/v1/" not in str(request.url) or request.method == "GET":
            return whole(transport, request)
        fate = next(fates)
        if fate == "never sent":
            raise httpx.ConnectError("nobody there")
        answer = whole(transport, request)
        if fate == "answer lost":
            raise httpx.ReadTimeout("nothing came")
        return answer

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lossy)
    back_office = server.installation.create_client(CLIENTS_READ, CLIENTS_WRITE)
    path = tmp_path / "deeds.jsonl"
    with closing(Caller(server.url, back_office.client_id, back_office.secret)) as caller:
        doing = Deeds(journal.Journal(path), caller)
        done = sum(doing.step() for _ in range(_STEPS))
    monkeypatch.undo()

    entries = list(journal.read(path))
    assert 0 < done < _STEPS
    assert sum("unknown" in entry for entry in entries) > _STEPS / 2
    verdict = Verdict()
    judge.check(server.installation, server, [path], [], verdict)
    assert verdict.losses == []
    assert verdict.odd == set()
    assert verdict.deeds == sum("done" in entry for entry in entries)
    origins = [entry["origin"] for entry in entries if "begins" in entry]
    assert len(set(origins)) == len(origins)
    made = [entry for entry in entries if entry.get("done") == "create"]
    assert any(not entry["secret"] for entry in made), "no creation was answered to its repetition"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (httpx.Response(200, json={}), None),
        (httpx.Response(204), None),
        (httpx.Response(503), deeds.Unknown),
        (httpx.Response(500), deeds.Unknown),
        (httpx.ReadTimeout(""), deeds.Unknown),
        (httpx.ConnectError(""), deeds.Unknown),
        (httpx.Response(401), deeds.NotDone),
        (httpx.Response(412), deeds.NotDone),
        (httpx.Response(404), deeds.Absent),
    ],
)
def test_only_an_answer_that_says_so_is_a_success(
    answer: httpx.Response | httpx.TransportError,
    fault: type[Exception] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No answer and 5xx are unknown; a refusal was not done."""

    def handle(_transport: Any, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "t"})
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    raised: type[Exception] | None = None
    with closing(Caller("http://localhost:1", "m2m_x", "secret")) as caller:
        try:
            caller.do("suspend", {"client_id": "m2m_y"}, "127.0.0.2")
        except (deeds.Unknown, deeds.Absent) as problem:
            raised = type(problem)

    assert raised is fault


def test_a_deed_that_could_not_be_asked_for_was_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token nothing is sent."""

    def handle(_transport: Any, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/token"
        return httpx.Response(503)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    caller = Caller("http://localhost:1", "m2m_x", "secret")
    with closing(caller), pytest.raises(deeds.NotDone, match="503"):
        caller.do("delete", {"client_id": "m2m_y"}, "127.0.0.2")
