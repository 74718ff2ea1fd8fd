"""What the example API answers: consistent data, real changes, refusals in one shape."""

from collections.abc import Iterator
from typing import Any

import pytest
from demo_installation import SCOPES, Installation, installation

from hourpass.demo.data import fresh

EVERYTHING = " ".join(scope["name"] for scope in SCOPES)
PROFILE: dict[str, Any] = {
    "first_name": "Amélie",
    "last_name": "Hart-O'Neill",
    "email": "amelie@example.org",
    "phone": "+44 7700 900199",
    "date_of_birth": "1988-04-13",
    "address": {
        "street": "1 New Road",
        "city": "Bath",
        "postal_code": "BA1 1AA",
        "country": "GB",
    },
    "marketing_consent": False,
}
PLAN: dict[str, Any] = {
    "name": "Studio monthly",
    "description": "Any class, up to ten a month",
    "price": {"amount": 6400, "currency": "GBP"},
    "interval": "month",
    "classes_per_interval": 10,
    "is_on_sale": True,
}


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The example API with its first data."""
    with installation(tmp_path_factory.mktemp("keys")) as api:
        yield api


def read(api: Installation, path: str) -> Any:
    """The data at `path`."""
    answer = api.request("GET", path, EVERYTHING)
    assert answer.status_code == 200
    assert set(answer.json()) == {"data"}
    return answer.json()["data"]


def test_customers_are_listed_in_short(api: Installation) -> None:
    """Each has an ID under which its profile is found."""
    customers = read(api, "/customers")

    assert len(customers) == 6
    for customer in customers:
        profile = read(api, f"/customer/{customer['id']}/profile")
        assert customer["name"] == f"{profile['first_name']} {profile['last_name']}"


def test_what_belongs_to_a_customer_is_its_own(api: Installation) -> None:
    """No list holds another customer's rows, and each row belongs to one."""
    lists = ["bookings", "packages", "videos", "subscription-mandates", "appointments", "notes"]
    for name in [*lists, "questionnaire-answers"]:
        rows = [
            (customer["id"], row["customer_id"], row["id"])
            for customer in read(api, "/customers")
            for row in read(api, f"/customer/{customer['id']}/{name}")
        ]
        assert rows
        assert all(asked == owner for asked, owner, _ in rows)
        assert len({row_id for _, _, row_id in rows}) == len(rows)


def test_bookings_and_registers_agree(api: Installation) -> None:
    """Who booked a date is in its register, unless the booking was cancelled."""
    booked = {
        (row["event_id"], row["date_id"], row["id"])
        for customer in read(api, "/customers")
        for row in read(api, f"/customer/{customer['id']}/bookings")
        if row["status"] != "cancelled"
    }
    registered = {
        (event["id"], date["id"], row["booking_id"])
        for event in read(api, "/events")
        for date in event["dates"]
        for row in read(api, f"/event/{event['id']}/dates/{date['id']}/register")
    }

    assert booked == registered


def test_every_reference_leads_somewhere(api: Installation) -> None:
    """Appointments to services, mandates to plans, services to their free times."""
    services = {service["id"] for service in read(api, "/appointments/services")}
    plans = {plan["id"] for plan in read(api, "/subscription-plans")}

    assert {row["service_id"] for row in read(api, "/appointments/bookings")} <= services
    for service in services:
        read(api, f"/appointments/availability/{service}")
        assert read(api, f"/appointments/services/{service}")["id"] == service
    for customer in read(api, "/customers"):
        for mandate in read(api, f"/customer/{customer['id']}/subscription-mandates"):
            assert mandate["plan_id"] in plans
            assert mandate["account"].startswith("****")


def test_a_profile_is_really_changed(api: Installation) -> None:
    """The answer, the profile and the list of customers all show it."""
    answer = api.request("PUT", "/customer/1001/profile", "profile:write", PROFILE)

    assert answer.status_code == 200
    changed = read(api, "/customer/1001/profile")
    assert answer.json()["data"] == changed
    assert {name: changed[name] for name in PROFILE} == PROFILE
    assert changed["customer_id"] == 1001
    assert read(api, "/customers")[0]["name"] == "Amélie Hart-O'Neill"


def test_a_subscription_plan_is_really_changed(api: Installation) -> None:
    """No number of classes means no bound."""
    unbounded = {**PLAN, "classes_per_interval": None}
    for plan in (PLAN, unbounded):
        answer = api.request("PUT", "/subscription-plan/401", "subscription-plans:write", plan)

        assert answer.status_code == 200
        assert answer.json()["data"] == {"id": 401, **plan} == read(api, "/subscription-plan/401")


def test_every_app_has_its_own_data(api: Installation) -> None:
    """A change in one is not seen in the next."""
    api.request("PUT", "/customer/1001/profile", "profile:write", PROFILE)

    assert fresh().profiles[1001]["first_name"] == "Amelia"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("first_name", value) for value in ("", " ", None, 1, "x" * 101, "a\nb", "a\u0000b")),
        *(("email", value) for value in ("", "amelia", "a@b", "a@b@c.example", "a @b.example")),
        *(("phone", value) for value in ("", "call me", 447700900199, "+44" + "0" * 40)),
        *(("date_of_birth", value) for value in ("", "1988-02-30", "12/04/1988", "2999-01-01")),
        *(("address", value) for value in (None, {}, "Bath", {**PROFILE["address"], "country": 1})),
        *(("marketing_consent", value) for value in (None, "yes", 1)),
        *(("customer_id", value) for value in (1002, None)),
        ("is_admin", True),
    ],
)
def test_a_profile_is_checked_before_it_is_changed(
    api: Installation, field: str, value: object
) -> None:
    """422 names the field, and nothing was changed."""
    before = read(api, "/customer/1001/profile")

    answer = api.request(
        "PUT", "/customer/1001/profile", "profile:write", {**PROFILE, field: value}
    )

    assert answer.status_code == 422
    body = answer.json()
    assert set(body) == {"error", "error_description", "fields"}
    assert body["error"] == "validation_failed"
    assert all(fault["field"].startswith(f"body.{field}") for fault in body["fields"])
    assert read(api, "/customer/1001/profile") == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", {"amount": -1, "currency": "GBP"}),
        ("price", {"amount": 59.5, "currency": "GBP"}),
        ("price", {"amount": "5900", "currency": "GBP"}),
        ("price", {"amount": 5900, "currency": "EUR"}),
        ("price", 5900),
        ("interval", "day"),
        ("classes_per_interval", 0),
        ("classes_per_interval", 367),
        ("is_on_sale", "true"),
        ("name", ""),
        ("id", 402),
    ],
)
def test_a_plan_is_checked_before_it_is_changed(
    api: Installation, field: str, value: object
) -> None:
    """422 names the field, and nothing was changed."""
    before = read(api, "/subscription-plan/401")

    answer = api.request(
        "PUT", "/subscription-plan/401", "subscription-plans:write", {**PLAN, field: value}
    )

    assert answer.status_code == 422
    assert {fault["field"].split(".")[1] for fault in answer.json()["fields"]} == {field}
    assert read(api, "/subscription-plan/401") == before


@pytest.mark.parametrize("field", PROFILE)
def test_a_profile_is_replaced_as_a_whole(api: Installation, field: str) -> None:
    """PUT with a field left out is refused: it would be unclear what happens to it."""
    body = {name: value for name, value in PROFILE.items() if name != field}

    answer = api.request("PUT", "/customer/1001/profile", "profile:write", body)

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        *("/customer/9999/profile", "/customer/9999/bookings", "/customer/9999/notes"),
        *("/customer/1001/booking/5002", "/customer/1001/booking/1", "/event/999"),
        *("/event/301/dates/30201/register", "/event/999/dates/30101/register"),
        *("/appointments/bookings/1", "/appointments/services/1", "/appointments/availability/1"),
        *("/subscription-plan/999", "/nowhere", "/customers/", "/customer//profile", "/Customers"),
        "/customer/" + "9" * 30 + "/profile",
    ],
)
def test_what_is_not_there_is_404(api: Installation, path: str) -> None:
    """In the shape of every refusal; another customer's booking is not there either."""
    answer = api.request("GET", path, EVERYTHING)

    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"
    assert set(answer.json()) == {"error", "error_description"}


@pytest.mark.parametrize("number", ["abc", "0", "-1", "1.5", "1e3", "%00"])
def test_an_id_that_is_no_number_is_422(api: Installation, number: str) -> None:
    """It names the parameter as the documentation does."""
    answer = api.request("GET", f"/customer/{number}/profile", EVERYTHING)

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["fields"]] == ["path.id"]


def test_another_method_is_405(api: Installation) -> None:
    """And says which methods there are."""
    answer = api.request("DELETE", "/customers", EVERYTHING)

    assert answer.status_code == 405
    assert answer.json()["error"] == "method_not_allowed"
    assert answer.headers["allow"] == "GET"


def test_a_body_that_is_no_json_is_422(api: Installation) -> None:
    """An empty one too."""
    bodies: list[object] = [None, "text", [], 1]
    for body in bodies:
        answer = api.request("PUT", "/customer/1001/profile", "profile:write", body)
        assert answer.status_code == 422
        assert answer.json()["error"] == "validation_failed"
