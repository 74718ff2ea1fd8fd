"""`/api/v1/organizations`, `/keys` and the catalogue over HTTP."""

from uuid import uuid4

import pytest

from hourpass.server.catalogue.model import MANAGEMENT_SCOPES
from support.installation import Server

BODY = {"name": "Acme"}


@pytest.fixture
def headers(shared_server: Server) -> dict[str, str]:
    """A token with every management scope."""
    credentials = shared_server.installation.create_client(*MANAGEMENT_SCOPES)
    answer = shared_server.token(credentials, resource=f"{shared_server.url}/api/v1")
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_the_life_of_an_organization(shared_server: Server, headers: dict[str, str]) -> None:
    """Created, read, renamed, suspended, activated; each answer is the organization."""
    http, base = shared_server.http, "/api/v1/organizations"
    organization_id = f"acme-{uuid4().hex[:8]}"
    path = f"{base}/{organization_id}"

    made = http.post(base, json={"id": organization_id, "name": "Acme"}, headers=headers)
    again = http.post(base, json={"id": organization_id, "name": "Acme"}, headers=headers)
    renamed = http.patch(path, json={"name": "Acme Ltd"}, headers=headers)
    suspended = http.post(f"{path}/suspend", headers=headers)
    activated = http.post(f"{path}/activate", headers=headers)
    read = http.get(path, headers=headers)

    assert made.status_code == 201
    assert made.json().keys() == {"id", "name", "status", "created_at", "suspended_at"}
    assert again.status_code == 409
    assert renamed.json() == {**made.json(), "name": "Acme Ltd"}
    assert suspended.json()["status"] == "suspended"
    assert suspended.json()["suspended_at"] is not None
    assert activated.json() == read.json() == renamed.json()
    unknown = http.post(f"{base}/never-was/suspend", headers=headers)
    assert unknown.status_code == 404


def test_organizations_are_listed_newest_first(
    shared_server: Server, headers: dict[str, str]
) -> None:
    """Page by page, each once."""
    http, base = shared_server.http, "/api/v1/organizations"
    made = [f"listed-{uuid4().hex[:8]}" for _ in range(3)]
    for organization_id in made:
        http.post(base, json={"id": organization_id, "name": "x"}, headers=headers)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = http.get(base, params={"limit": "2", **cursor}, headers=headers).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert found[:3] == list(reversed(made))
    assert len(found) == len(set(found))
    assert found[-1] == "default"


@pytest.mark.parametrize(
    "body",
    [
        {"id": "Acme", "name": "Acme"},
        {"id": "a" * 41, "name": "Acme"},
        {"id": "", "name": "Acme"},
        {"id": "acme", "name": ""},
        {"id": "acme", "name": "\u202e"},
        {"id": "acme"},
        {"id": "acme", "name": "Acme", "suspended_at": None},
    ],
)
def test_what_cannot_be_an_organization(
    body: dict[str, object], shared_server: Server, headers: dict[str, str]
) -> None:
    """422, and nothing is made."""
    answer = shared_server.http.post("/api/v1/organizations", json=body, headers=headers)

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:hourpass:problem:invalid-input"


def test_the_id_cannot_be_changed(shared_server: Server, headers: dict[str, str]) -> None:
    """It is no member of a change."""
    answer = shared_server.http.patch(
        "/api/v1/organizations/default", json={"name": "x", "id": "y"}, headers=headers
    )

    assert answer.status_code == 422


def test_signing_keys_are_listed_and_rotated(
    shared_server: Server, headers: dict[str, str]
) -> None:
    """Public facts only; the next one signs once verifiers can know it."""
    http = shared_server.http
    before = http.get("/api/v1/keys", headers=headers).json()

    rotated = http.post("/api/v1/keys/rotate", headers=headers)

    assert before["next_cursor"] is None
    assert {key["state"] for key in before["items"]} >= {"active", "next"}
    assert rotated.status_code == 200
    assert rotated.json()["kid"] in {key["kid"] for key in before["items"]}
    assert rotated.json().keys() == {
        "kid",
        "algorithm",
        "state",
        "created_at",
        "activates_at",
        "retires_at",
        "revoked_at",
    }
    published = {key["kid"] for key in http.get("/.well-known/jwks.json").json()["keys"]}
    assert rotated.json()["kid"] in published


def test_the_catalogue_names_every_api_and_scope(
    shared_server: Server, headers: dict[str, str]
) -> None:
    """The management API among them, with what its tokens are for."""
    apis = shared_server.http.get("/api/v1/apis", headers=headers).json()["items"]
    scopes = shared_server.http.get("/api/v1/scopes", headers=headers).json()["items"]

    assert [api["key"] for api in apis] == ["bookings", "billing", "hourpass"]
    assert apis[-1]["identifier"] == f"{shared_server.url}/api/v1"
    by_name = {scope["name"]: scope for scope in scopes}
    assert by_name.keys() == MANAGEMENT_SCOPES.keys() | {
        "customers:read",
        "bookings:read",
        "profile:write",
        "invoices:read",
    }
    assert by_name["bookings:read"] == {
        "name": "bookings:read",
        "description": "Read bookings",
        "api": "bookings",
        "grants": ["GET /customer/{id}/bookings", "GET /customer/{id}/booking/{bookingId}"],
        "limit_per_minute": None,
        "organizations": None,
        "retired": False,
    }
    assert by_name["hourpass.keys:read"]["api"] == "hourpass"
