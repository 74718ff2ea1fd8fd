"""Every scope of the product's table opens exactly its endpoints, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_installation import AUDIENCE, CATALOGUE, SCOPES, Installation, installation

TABLE = {
    "customers:read": ["GET /customers"],
    "profile:read": ["GET /customer/{id}/profile"],
    "profile:write": ["PUT /customer/{id}/profile"],
    "bookings:read": [
        "GET /customer/{id}/bookings",
        "GET /customer/{id}/booking/{bookingId}",
    ],
    "packages:read": ["GET /customer/{id}/packages"],
    "videos:read": ["GET /customer/{id}/videos"],
    "subscription-mandates:read": ["GET /customer/{id}/subscription-mandates"],
    "appointments:read": [
        "GET /customer/{id}/appointments",
        "GET /appointments/bookings",
        "GET /appointments/bookings/{id}",
        "GET /appointments/services",
        "GET /appointments/services/{id}",
        "GET /appointments/availability/{id}",
    ],
    "notes:read": ["GET /customer/{id}/notes"],
    "questionnaire-answers:read": ["GET /customer/{id}/questionnaire-answers"],
    "events:read": ["GET /events", "GET /event/{id}"],
    "events-register:read": ["GET /event/{id}/dates/{dateId}/register"],
    "subscription-plans:read": ["GET /subscription-plans", "GET /subscription-plan/{id}"],
    "subscription-plans:write": ["PUT /subscription-plan/{id}"],
}
IDS = {
    "/customer/{id}/booking/{bookingId}": "/customer/1001/booking/5001",
    "/appointments/bookings/{id}": "/appointments/bookings/9001",
    "/appointments/services/{id}": "/appointments/services/201",
    "/appointments/availability/{id}": "/appointments/availability/201",
    "/event/{id}": "/event/301",
    "/event/{id}/dates/{dateId}/register": "/event/301/dates/30101/register",
    "/subscription-plan/{id}": "/subscription-plan/401",
}
BODIES: dict[str, object] = {
    "PUT /customer/{id}/profile": {
        "first_name": "Amelia",
        "last_name": "Hart",
        "email": "amelia@example.com",
        "phone": None,
        "date_of_birth": "1988-04-12",
        "address": {
            "street": "14 Mill Lane",
            "city": "Bath",
            "postal_code": "BA1 5QP",
            "country": "GB",
        },
        "marketing_consent": False,
    },
    "PUT /subscription-plan/{id}": {
        "name": "Studio monthly",
        "description": "Any class",
        "price": {"amount": 6100, "currency": "GBP"},
        "interval": "month",
        "classes_per_interval": 8,
        "is_on_sale": True,
    },
}
OWNERS = {grant: scope["name"] for scope in SCOPES for grant in scope["grants"]}


@pytest.fixture(scope="module", params=["scopes", "grants"])
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The example API, whose routes name their scopes; and with the catalogue's grants, too."""
    folder = tmp_path_factory.mktemp("keys")
    with installation(folder, by_grants=request.param == "grants") as api:
        yield api


def _call(grant: str, scope: str | None) -> tuple[str, str, str | None, object]:
    """Method, path, scope and body of a request that `grant` stands for."""
    method, template = grant.split(" ")
    path = IDS.get(template, template.replace("{id}", "1001"))
    return method, path, scope, BODIES.get(grant)


@pytest.mark.spec("seed", "scopes", "scopes follow resource:permission and say what they open")
def test_the_catalogue_is_the_table() -> None:
    """Fourteen scopes with exactly these grants, each described for an operator."""
    assert {scope["name"]: scope["grants"] for scope in SCOPES} == TABLE
    assert all(len(scope["description"]) > 10 for scope in SCOPES)
    assert len({scope["description"] for scope in SCOPES}) == len(SCOPES)


def test_the_catalogue_names_its_api() -> None:
    """Key, identifier, name and address, as the demo starts it."""
    (api,) = CATALOGUE["api"]

    assert {name: value for name, value in api.items() if name != "scope"} == {
        "key": "bookings",
        "identifier": AUDIENCE,
        "name": "Bookings API",
        "base_url": AUDIENCE,
    }


def test_catalogue_and_openapi_document_say_the_same(api: Installation) -> None:
    """No route without a scope, none that the catalogue does not know."""
    document = api.app.openapi()
    described = {
        f"{method.upper()} {path}": operation["security"][0]["access_token"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }

    assert described == {grant: [scope] for grant, scope in OWNERS.items()}


@pytest.mark.spec("seed", "scopes", "a client may call the endpoints of its scopes, no other")
@pytest.mark.parametrize("grant", OWNERS)
@pytest.mark.parametrize("scope", TABLE)
def test_a_scope_opens_exactly_its_endpoints(api: Installation, scope: str, grant: str) -> None:
    """200 with data for its own, 403 that names the missing scope for every other."""
    answer = api.request(*_call(grant, scope))

    if OWNERS[grant] == scope:
        assert answer.status_code == 200
        assert answer.json()["data"]
    else:
        assert answer.status_code == 403
        assert answer.json()["error"] == "insufficient_scope"
        assert f'scope="{OWNERS[grant]}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("grant", OWNERS)
def test_all_other_scopes_together_do_not_open_an_endpoint(api: Installation, grant: str) -> None:
    """Thirteen scopes are not the fourteenth."""
    others = " ".join(name for name in TABLE if name != OWNERS[grant])

    assert api.request(*_call(grant, others)).status_code == 403


@pytest.mark.parametrize("grant", OWNERS)
def test_nothing_opens_without_a_token(api: Installation, grant: str) -> None:
    """401, whether the thing exists or not."""
    method, path, _, body = _call(grant, None)

    assert api.request(method, path, None, body).status_code == 401
    assert api.request(method, f"{path}9", None, body).status_code == 401


def test_another_apis_token_opens_nothing(api: Installation) -> None:
    """Its scopes may have the same names."""
    other = api.token("customers:read", aud="https://other.example.com")
    own = api.token("customers:read")

    assert api.request("GET", "/customers", token=other).status_code == 401
    assert api.request("GET", "/customers", token=own).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_the_documentation_is_public(api: Installation, path: str) -> None:
    """An integrator reads it before there is a client."""
    assert api.request("GET", path).status_code == 200


def test_grants_judge_before_the_routes(tmp_path: Path) -> None:
    """What no scope opens is 403, and never reaches the app, which would say 404 or 405."""
    with installation(tmp_path, by_grants=True) as api:
        everything = " ".join(TABLE)

        assert api.request("GET", "/nowhere", everything).status_code == 403
        assert api.request("POST", "/customers", everything).status_code == 403
        assert api.request("GET", "/customer/1001;x/profile", everything).status_code == 403
        assert api.request("GET", "/customer/7/profile", everything).status_code == 404
