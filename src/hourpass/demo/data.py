"""What the example API knows: Riverside Studio, in the spring of 2026.

Plain rows in the shape in which they are answered. `fresh()` gives every app its own copy.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Studio:
    """The tables, by ID; rows of a customer carry its `customer_id`."""

    profiles: dict[int, Row]
    bookings: dict[int, Row]
    packages: dict[int, Row]
    videos: dict[int, Row]
    mandates: dict[int, Row]
    services: dict[int, Row]
    appointments: dict[int, Row]
    availability: dict[int, list[Row]]
    notes: dict[int, Row]
    answers: dict[int, Row]
    events: dict[int, Row]
    plans: dict[int, Row]

    def customers(self) -> list[Row]:
        """The short form of every profile."""
        return [
            {
                "id": row["customer_id"],
                "name": name_of(row),
                "email": row["email"],
                "customer_since": row["customer_since"],
            }
            for row in self.profiles.values()
        ]

    def register(self, event_id: int, date_id: int) -> list[Row]:
        """Who is booked on a date of an event, in the order of booking."""
        return [
            {
                "booking_id": row["id"],
                "customer_id": row["customer_id"],
                "name": name_of(self.profiles[row["customer_id"]]),
                "status": row["status"],
            }
            for row in self.bookings.values()
            if (row["event_id"], row["date_id"]) == (event_id, date_id)
            and row["status"] != "cancelled"
        ]


def fresh() -> Studio:
    """The studio as it was in the beginning."""
    return deepcopy(_STUDIO)


def name_of(profile: Row) -> str:
    """First and last name."""
    return f"{profile['first_name']} {profile['last_name']}"


def _table(columns: str, *rows: tuple[Any, ...], key: str = "id") -> dict[int, Row]:
    names = columns.split()
    return {row[key]: row for row in (dict(zip(names, values, strict=True)) for values in rows)}


def _address(street: str, city: str, postal_code: str) -> Row:
    return {"street": street, "city": city, "postal_code": postal_code, "country": "GB"}


def _price(amount: int) -> Row:
    """Pence, so that no sum is ever rounded."""
    return {"amount": amount, "currency": "GBP"}


_STUDIO = Studio(
    profiles=_table(
        "customer_id first_name last_name email phone date_of_birth address"
        " marketing_consent customer_since",
        (
            1001,
            "Amelia",
            "Hart",
            "amelia.hart@example.com",
            "+44 7700 900101",
            "1988-04-12",
            _address("14 Mill Lane", "Bath", "BA1 5QP"),
            True,
            "2023-09-04",
        ),
        (
            1002,
            "Tomasz",
            "Nowak",
            "tomasz.nowak@example.com",
            "+44 7700 900102",
            "1979-11-30",
            _address("3 Quay Court", "Bristol", "BS1 6XN"),
            False,
            "2024-01-15",
        ),
        (
            1003,
            "Priya",
            "Raman",
            "priya.raman@example.com",
            "+44 7700 900103",
            "1994-07-02",
            _address("27 Royal Avenue", "Bath", "BA2 3JH"),
            True,
            "2024-05-21",
        ),
        (
            1004,
            "Jonas",
            "Lindqvist",
            "jonas.lindqvist@example.com",
            None,
            "1965-02-19",
            _address("8 Orchard Close", "Keynsham", "BS31 1DT"),
            False,
            "2025-02-10",
        ),
        (
            1005,
            "Grace",
            "Okafor",
            "grace.okafor@example.com",
            "+44 7700 900105",
            "2001-12-08",
            _address("52 Canal Street", "Bath", "BA2 4LE"),
            True,
            "2025-08-30",
        ),
        (
            1006,
            "Élodie",
            "Martin",
            "elodie.martin@example.com",
            "+44 7700 900106",
            "1991-03-25",
            _address("19 Vineyard Terrace", "Bradford-on-Avon", "BA15 1LF"),
            False,
            "2026-01-12",
        ),
        key="customer_id",
    ),
    bookings=_table(
        "id customer_id event_id date_id status price paid_with booked_at",
        (5001, 1001, 301, 30101, "attended", _price(0), "package", "2026-02-20T08:14:00Z"),
        (5002, 1003, 301, 30101, "attended", _price(1400), "card", "2026-02-21T17:40:00Z"),
        (5003, 1005, 301, 30101, "no_show", _price(1400), "card", "2026-02-28T21:03:00Z"),
        (5004, 1001, 301, 30102, "confirmed", _price(0), "package", "2026-03-01T07:55:00Z"),
        (5005, 1002, 302, 30201, "confirmed", _price(6500), "card", "2026-02-11T12:20:00Z"),
        (5006, 1004, 302, 30201, "confirmed", _price(6500), "invoice", "2026-02-13T09:31:00Z"),
        (5007, 1006, 302, 30201, "cancelled", _price(6500), "card", "2026-02-14T18:02:00Z"),
        (5008, 1003, 303, 30301, "confirmed", _price(0), "subscription", "2026-03-03T06:48:00Z"),
        (5009, 1005, 303, 30301, "waiting_list", _price(0), "none", "2026-03-04T10:11:00Z"),
        (5010, 1001, 303, 30302, "confirmed", _price(1800), "card", "2026-03-05T19:27:00Z"),
    ),
    packages=_table(
        "id customer_id name classes_total classes_left bought_at expires_on",
        (6001, 1001, "10 classes", 10, 6, "2026-01-08T09:00:00Z", "2026-07-08"),
        (6002, 1003, "5 classes", 5, 0, "2025-10-02T16:30:00Z", "2026-01-02"),
        (6003, 1005, "Student 10 classes", 10, 9, "2026-02-27T11:45:00Z", "2026-08-27"),
    ),
    videos=_table(
        "id customer_id title duration_minutes access watched_percent expires_on",
        (7001, 1001, "Morning flow with Maya", 32, "subscription", 100, None),
        (7002, 1001, "Pelvic floor basics", 18, "bought", 45, "2026-12-31"),
        (7003, 1002, "Back care for desk workers", 25, "bought", 0, "2026-09-30"),
        (7004, 1006, "Prenatal pilates, part 1", 40, "gift", 10, "2026-06-30"),
    ),
    mandates=_table(
        "id customer_id plan_id reference scheme account status signed_at next_charge_on",
        (
            8001,
            1001,
            401,
            "RVS-1001-01",
            "bacs",
            "****4471",
            "active",
            "2025-11-03T10:00:00Z",
            "2026-04-01",
        ),
        (
            8002,
            1003,
            402,
            "RVS-1003-01",
            "bacs",
            "****0926",
            "active",
            "2025-12-18T15:20:00Z",
            "2026-04-01",
        ),
        (
            8003,
            1004,
            401,
            "RVS-1004-01",
            "bacs",
            "****7713",
            "cancelled",
            "2025-03-01T08:05:00Z",
            None,
        ),
    ),
    services=_table(
        "id name description duration_minutes price staff",
        (
            201,
            "Physiotherapy, first visit",
            "Assessment and a treatment plan",
            60,
            _price(7200),
            ["Dr Hannah Reid"],
        ),
        (
            202,
            "Physiotherapy, follow-up",
            "Treatment by plan",
            40,
            _price(5400),
            ["Dr Hannah Reid", "Owen Price"],
        ),
        (
            203,
            "Sports massage",
            "Deep tissue, neck to heel",
            50,
            _price(5800),
            ["Owen Price", "Lucía Ferrer"],
        ),
    ),
    appointments=_table(
        "id customer_id service_id staff starts_at ends_at status",
        (
            9001,
            1002,
            201,
            "Dr Hannah Reid",
            "2026-03-10T09:00:00Z",
            "2026-03-10T10:00:00Z",
            "confirmed",
        ),
        (
            9002,
            1004,
            203,
            "Lucía Ferrer",
            "2026-03-10T13:30:00Z",
            "2026-03-10T14:20:00Z",
            "confirmed",
        ),
        (9003, 1001, 203, "Owen Price", "2026-02-17T16:00:00Z", "2026-02-17T16:50:00Z", "attended"),
        (
            9004,
            1002,
            202,
            "Owen Price",
            "2026-03-24T09:00:00Z",
            "2026-03-24T09:40:00Z",
            "confirmed",
        ),
        (
            9005,
            1006,
            201,
            "Dr Hannah Reid",
            "2026-03-12T11:00:00Z",
            "2026-03-12T12:00:00Z",
            "cancelled",
        ),
    ),
    availability={
        201: [
            {"starts_at": "2026-03-11T09:00:00Z", "staff": "Dr Hannah Reid"},
            {"starts_at": "2026-03-11T10:15:00Z", "staff": "Dr Hannah Reid"},
            {"starts_at": "2026-03-12T11:00:00Z", "staff": "Dr Hannah Reid"},
        ],
        202: [
            {"starts_at": "2026-03-11T13:00:00Z", "staff": "Owen Price"},
            {"starts_at": "2026-03-12T14:30:00Z", "staff": "Dr Hannah Reid"},
        ],
        203: [],
    },
    notes=_table(
        "id customer_id author text written_at",
        (10001, 1001, "Maya Collins", "Prefers a mat near the door.", "2025-11-06T18:12:00Z"),
        (10002, 1002, "Dr Hannah Reid", "Disc L4/L5, no loaded twists.", "2026-01-20T10:05:00Z"),
        (10003, 1002, "Front desk", "Asked for receipts by e-mail.", "2026-02-11T12:25:00Z"),
        (10004, 1005, "Maya Collins", "First class in March, say hello.", "2026-02-27T12:00:00Z"),
    ),
    answers=_table(
        "id customer_id questionnaire question answer answered_at",
        (11001, 1001, "Health check", "Any injuries?", "No", "2023-09-04T09:10:00Z"),
        (11002, 1001, "Health check", "Are you pregnant?", "No", "2023-09-04T09:10:00Z"),
        (11003, 1002, "Health check", "Any injuries?", "Lower back", "2024-01-15T17:33:00Z"),
        (11004, 1006, "Health check", "Are you pregnant?", "Yes", "2026-01-12T08:41:00Z"),
        (11005, 1005, "Welcome", "How did you find us?", "A friend", "2025-08-30T14:02:00Z"),
    ),
    events=_table(
        "id name description location price dates",
        (
            301,
            "Vinyasa flow",
            "A steady class for all levels",
            "River room",
            _price(1400),
            [
                {
                    "id": 30101,
                    "starts_at": "2026-03-02T18:00:00Z",
                    "ends_at": "2026-03-02T19:00:00Z",
                    "capacity": 14,
                    "teacher": "Maya Collins",
                },
                {
                    "id": 30102,
                    "starts_at": "2026-03-09T18:00:00Z",
                    "ends_at": "2026-03-09T19:00:00Z",
                    "capacity": 14,
                    "teacher": "Maya Collins",
                },
            ],
        ),
        (
            302,
            "Breath and cold water",
            "A Saturday workshop by the weir",
            "Boathouse",
            _price(6500),
            [
                {
                    "id": 30201,
                    "starts_at": "2026-03-14T08:30:00Z",
                    "ends_at": "2026-03-14T12:30:00Z",
                    "capacity": 8,
                    "teacher": "Owen Price",
                },
            ],
        ),
        (
            303,
            "Reformer pilates",
            "Small group on the machines",
            "Mill room",
            _price(1800),
            [
                {
                    "id": 30301,
                    "starts_at": "2026-03-11T07:00:00Z",
                    "ends_at": "2026-03-11T07:50:00Z",
                    "capacity": 6,
                    "teacher": "Lucía Ferrer",
                },
                {
                    "id": 30302,
                    "starts_at": "2026-03-18T07:00:00Z",
                    "ends_at": "2026-03-18T07:50:00Z",
                    "capacity": 6,
                    "teacher": "Lucía Ferrer",
                },
            ],
        ),
    ),
    plans=_table(
        "id name description price interval classes_per_interval is_on_sale",
        (401, "Studio monthly", "Any class, up to eight a month", _price(5900), "month", 8, True),
        (402, "Unlimited", "Any class, any day, and all videos", _price(8900), "month", None, True),
        (403, "Founders", "For those who were here first", _price(49900), "year", None, False),
    ),
)
