"""`hourpass scopes import-openapi`: a catalogue out of an API's own document."""

import json
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from command_outcomes import each, json_of, refusal

from hourpass.demo.api import create_api
from support.installation import Installation

_AUDIENCE = "http://localhost:8081"
_YAML = """
openapi: 3.1.0
info: {title: Billing API}
servers: [{url: "https://billing.example.com/v1"}]
paths:
  /invoices:
    get: {security: [{oauth: ["invoices:read"]}]}
    post: {security: [{oauth: ["invoices:read", "invoices:write"]}]}
"""


@pytest.mark.spec("contract", "Catalogue", "import-openapi makes a catalogue")
def test_the_demos_document_makes_the_demos_catalogue(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    """The same scopes grant the same requests; what is printed can be applied as it is."""
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(create_api("http://localhost:8080", _AUDIENCE).openapi()))
    shipped = resources.files("hourpass.demo").joinpath("hourpass.toml").read_text("utf-8")
    expected = {s["name"]: set(s["grants"]) for s in tomllib.loads(shipped)["api"][0]["scope"]}

    printed = sqlite_installation.command(
        "scopes", "import-openapi", str(document), "--key", "demo", "--identifier", _AUDIENCE
    )

    assert printed.status == 0
    assert "hourpass scopes apply hourpass.toml" in printed.stderr
    (api,) = tomllib.loads(printed.stdout)["api"]
    assert (api["key"], api["identifier"], api["name"]) == ("demo", _AUDIENCE, "Bookings API")
    assert {scope["name"]: set(scope["grants"]) for scope in api["scope"]} == expected
    catalogue = tmp_path / "hourpass.toml"
    catalogue.write_text(printed.stdout)
    applied = json_of(sqlite_installation.command("scopes", "apply", str(catalogue), "--json"))
    assert "api demo" in applied["added"]


def test_a_document_in_yaml(sqlite_installation: Installation, tmp_path: Path) -> None:
    """What a catalogue cannot say (two scopes for one request) is left out, and told."""
    document = tmp_path / "openapi.yaml"
    document.write_text(_YAML)

    printed, as_json = each(
        sqlite_installation,
        [
            ("scopes", "import-openapi", str(document)),
            ("scopes", "import-openapi", str(document), "--json"),
        ],
    )

    assert printed.status == 0
    (line,) = [line for line in printed.stderr.splitlines() if line.startswith("Left out: ")]
    assert "POST /v1/invoices" in line
    answer = json_of(as_json)
    assert answer.keys() == {"items", "left_out"}
    assert answer["left_out"] == [line.removeprefix("Left out: ")]
    assert answer["items"][0]["identifier"] == "https://billing.example.com/v1"
    assert answer["items"][0]["scopes"][0]["grants"] == ["GET /v1/invoices"]


def test_documents_that_are_refused(sqlite_installation: Installation, tmp_path: Path) -> None:
    """One line each: no YAML, no OpenAPI 3, no address, no scope."""
    documents = {
        "{": "is neither JSON nor YAML",
        "swagger: '2.0'": "this is no OpenAPI 3 document",
        "openapi: 3.0.0": "give --identifier",
        "{openapi: 3.0.0, servers: [{url: 'https://a.example'}]}": "has to name 1 to 1000 scopes",
        "{openapi: 3.0.0, servers: [{url: 'http://['}]}": "names no absolute server URL",
    }
    files = [tmp_path / f"{number}.yaml" for number in range(len(documents))]
    for file, text in zip(files, documents, strict=True):
        file.write_text(text)

    outcomes = each(sqlite_installation, [("scopes", "import-openapi", str(f)) for f in files])

    for file, outcome, words in zip(files, outcomes, documents.values(), strict=True):
        assert words in refusal(outcome)
        assert refusal(outcome).startswith(str(file))
