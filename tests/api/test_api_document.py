"""The OpenAPI document: what it promises is what the server does, for programs and people."""

import asyncio
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from api_caller import EVERY_SCOPE, Caller
from hypothesis import settings
from schemathesis import AuthContext, Case

from hourpass.server.api.application import with_routes
from hourpass.server.api.document import openapi
from hourpass.server.api.problems import KINDS, PREFIX
from hourpass.server.organizations import operations as organizations
from support.installation import TESTER, Installation, Server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def own_server(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for requests that may suspend whatever they find."""
    made = new_installation(tmp_path_factory.mktemp("described"))
    made.context  # noqa: B018  (migrates)
    running = Server(made)
    yield running
    running.stop()
    made.close()


@pytest.fixture(scope="module")
def document(own_server: Server) -> dict[str, Any]:
    """The document, as anybody gets it."""
    answer = own_server.http.get("/api/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


ISSUER = "http://localhost:8080"
DESCRIBED = openapi(with_routes(), issuer=ISSUER, identifier=f"{ISSUER}/api/v1")
any_request = schemathesis.openapi.from_dict(DESCRIBED)


@any_request.auth()
class Bearer:
    """Says where the token goes; which it is, is known once there is a server."""

    def get(self, _case: Case[Any], _context: AuthContext) -> str:
        """A place for it."""
        return "placeholder"

    def set(self, case: Case[Any], data: str, _context: AuthContext) -> None:
        """As the API wants it."""
        case.headers["Authorization"] = f"Bearer {data}"


class SignedIn:
    """A caller that no made-up request has suspended yet."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._caller = Caller(server, *EVERY_SCOPE)

    @property
    def bearer(self) -> str:
        """An Authorization that is good now."""
        if self._caller("GET", "/apis").status_code != 200:
            database = self.server.installation.context.database
            organizations.activate(database, "default", TESTER)
            self._caller = Caller(self.server, *EVERY_SCOPE)
        return f"Bearer {self._caller.token}"


@pytest.fixture(scope="module")
def signed_in(own_server: Server) -> SignedIn:
    """A caller on the server."""
    return SignedIn(own_server)


def _say_what_no_schema_can(case: Case[Any]) -> None:
    """Which scopes there are, which cursor and which key were used, which version is the last.

    Only where the value fits its schema: what does not has to be refused as it is.
    """
    body = case.body if isinstance(case.body, dict) else {}
    scopes = body.get("scopes")
    if (
        isinstance(scopes, list)
        and 1 <= len(scopes) <= 500
        and all(isinstance(name, str) and 1 <= len(name) <= 200 for name in scopes)
    ):
        case.body = {**body, "scopes": ["customers:read"]}
    if isinstance(case.query.get("cursor"), str) and 1 <= len(case.query["cursor"]) <= 300:
        del case.query["cursor"]
    if re.fullmatch("[ -~]{1,255}", str(case.headers.get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = uuid4().hex
    if case.operation.label.startswith("PATCH"):
        case.headers["If-Match"] = "*"


@any_request.parametrize()
@settings(max_examples=15, deadline=None, database=None, derandomize=True)
def test_schemathesis_finds_nothing(case: Case[Any], signed_in: SignedIn) -> None:
    """Every answer to made-up requests has a documented status and shape; none is a 500."""
    if case.headers.get("Authorization") == "Bearer placeholder":
        case.headers["Authorization"] = signed_in.bearer
    _say_what_no_schema_can(case)
    case.call_and_validate(base_url=signed_in.server.url)


def test_the_document_is_the_same_everywhere(document: dict[str, Any], own_server: Server) -> None:
    """But for the issuer in it."""
    assert json.dumps(document).replace(own_server.url, ISSUER) == json.dumps(DESCRIBED)


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """An ID, words, a scope, the refusals that any may answer with, and examples of bodies."""
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) > 20
    assert document["openapi"].startswith("3.1")
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["security"][0]["bearer"], path
        assert {"401", "403", "503"} <= operation["responses"].keys(), path
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                (content,) = answer["content"].items()
                assert content[0] == "application/problem+json"
                assert content[1]["examples"], path
    schemas = document["components"]["schemas"]
    for name in ("NewClient", "ClientChange", "NewOrganization", "Client", "CreatedClient"):
        assert schemas[name]["examples"], name
    assert "HTTPValidationError" not in json.dumps(document)


def test_every_problem_is_explained(document: dict[str, Any]) -> None:
    """On a page of its own, with its status; and none that does not exist."""
    page = (ROOT / "docs/problems.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d{3}) \| `urn:hourpass:problem:([a-z-]+)` \|", page, re.MULTILINE)
    explained = {name: int(status) for status, name in rows}

    assert explained == {kind.name: kind.status for kind in KINDS}
    named = set(re.findall(re.escape(PREFIX) + "([a-z-]+)", json.dumps(document)))
    assert named <= explained.keys()


class Assets(HTMLParser):
    """What a page loads and runs."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember addresses and inline code."""
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(name)


@pytest.mark.spec("threats", "16", "strict CSP without unsafe-inline")
def test_the_page_has_no_script_and_no_asset_from_outside(own_server: Server) -> None:
    """Its own style sheet and nothing else; the policy allows no more."""
    answer = own_server.http.get("/api/v1/docs")
    policy = answer.headers["content-security-policy"]
    page = Assets()
    page.feed(answer.text)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert not page.tags & {"script", "style", "iframe", "object", "img", "form"}
    assert not page.inline
    assert sorted(page.addresses) == ["docs/style.css", "openapi.json"]
    style = own_server.http.get("/api/v1/docs/style.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_the_page_lists_every_operation(own_server: Server, document: dict[str, Any]) -> None:
    """With its method, path and scope."""
    page = own_server.http.get("/api/v1/docs").text
    for method, path, operation in operations(document):
        assert f"<code>{method.upper()} {path}</code>" in page
        assert f'id="{operation["operationId"]}"' in page
        assert operation["security"][0]["bearer"][0] in page


def test_a_generated_client_works(
    own_server: Server, document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It creates a client, lists it, and understands a refusal."""
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(document))
    package = tmp_path / "generated_client"
    subprocess.run(
        [
            *(str(Path(sys.executable).with_name("openapi-python-client")), "generate"),
            *("--path", str(described), "--meta", "none", "--output-path", str(package)),
            *("--overwrite", "--fail-on-warning"),
        ],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    generated = importlib.import_module("generated_client")
    api = "generated_client.api.api_clients"
    create_client = importlib.import_module(f"{api}.create_client")
    list_clients = importlib.import_module(f"{api}.list_clients")
    models = importlib.import_module("generated_client.models")
    caller = Caller(own_server, "hourpass.clients:read", "hourpass.clients:write")
    new = models.NewClient(name="Generated", scopes=["customers:read"])

    async def use() -> None:
        async with generated.AuthenticatedClient(
            base_url=own_server.url, token=caller.token
        ) as client:
            made = await create_client.asyncio_detailed(client=client, body=new)
            assert made.status_code == 201
            assert isinstance(made.parsed, models.CreatedClient)
            assert made.parsed.client_secret.startswith("hps_")
            listed = await list_clients.asyncio(client=client, search="generated")
            assert [item.client_id for item in listed.items] == [made.parsed.client_id]
            bad = models.NewClient(name="Generated", scopes=["no:such"])
            refused = await create_client.asyncio(client=client, body=bad)
            assert isinstance(refused, models.ProblemDocument)
            assert refused.type_ == "urn:hourpass:problem:invalid-input"

    asyncio.run(use())
    for name in [name for name in sys.modules if name.startswith("generated_client")]:
        del sys.modules[name]
