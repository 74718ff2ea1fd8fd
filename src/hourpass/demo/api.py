"""A booking system's API, opened to machines: the model of an API protected with Hourpass.

The lines marked ①–⑤ are all that protection takes; the rest is an ordinary FastAPI app.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Request

from hourpass.demo import refusals
from hourpass.demo.data import Row, Studio, fresh
from hourpass.demo.input import PlanUpdate, ProfileUpdate
from hourpass.oauth.grants import Granted
from hourpass.resource_server import Verifier  # ①
from hourpass.resource_server.asgi import BearerTokens  # ②
from hourpass.resource_server.fastapi import needs  # ③

DESCRIPTION = (
    "Riverside Studio's customers, bookings, appointments, events and subscription plans."
    " Every operation needs an access token with the scope that it lists."
)
router = APIRouter(responses=refusals.DOCUMENTED)


def create_api(
    issuer: str, audience: str, *, jwks_uri: str | None = None, grants: Granted | None = None
) -> FastAPI:
    """The app. `issuer` is the Hourpass server, `audience` this API's identifier in its catalogue.

    `jwks_uri` is where the issuer's keys are, if not where its metadata says. With `grants` the
    catalogue's are asked for as well, before those of ⑤.
    """
    app = FastAPI(
        title="Bookings API", description=DESCRIPTION, redoc_url=None, redirect_slashes=False
    )
    verifier = Verifier(issuer, audience, jwks_uri=jwks_uri)
    public = ("/docs", "/openapi.json")
    app.add_middleware(BearerTokens, verifier=verifier, public=public, grants=grants)  # ④
    app.state.studio = fresh()
    app.include_router(router)
    refusals.install(app)
    return app


def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


Data = dict[str, Any]
In = Annotated[Studio, Depends(_studio)]
Id = Annotated[int, Path(alias="id", ge=1)]


@router.get("/customers", dependencies=[needs("customers:read")])  # ⑤
async def list_customers(studio: In) -> Data:
    """All customers, in short."""
    return {"data": studio.customers()}


@router.get("/customer/{id}/profile", dependencies=[needs("profile:read")])
async def read_profile(studio: In, customer: Id) -> Data:
    """One customer's profile."""
    return {"data": _one(studio.profiles, customer, "customer")}


@router.put("/customer/{id}/profile", dependencies=[needs("profile:write")])
async def write_profile(studio: In, customer: Id, profile: ProfileUpdate) -> Data:
    """Replace what a customer's profile says; the answer is the profile as it is now."""
    row = _one(studio.profiles, customer, "customer")
    row.update(profile.model_dump(mode="json"))
    return {"data": row}


@router.get("/customer/{id}/bookings", dependencies=[needs("bookings:read")])
async def list_bookings(studio: In, customer: Id) -> Data:
    """A customer's event bookings."""
    return {"data": _of(studio, customer, studio.bookings)}


@router.get("/customer/{id}/booking/{bookingId}", dependencies=[needs("bookings:read")])
async def read_booking(
    studio: In, customer: Id, booking: Annotated[int, Path(alias="bookingId", ge=1)]
) -> Data:
    """One event booking of a customer."""
    own = {row["id"]: row for row in _of(studio, customer, studio.bookings)}
    return {"data": _one(own, booking, "booking")}


@router.get("/customer/{id}/packages", dependencies=[needs("packages:read")])
async def list_packages(studio: In, customer: Id) -> Data:
    """A customer's class packages."""
    return {"data": _of(studio, customer, studio.packages)}


@router.get("/customer/{id}/videos", dependencies=[needs("videos:read")])
async def list_videos(studio: In, customer: Id) -> Data:
    """The videos that a customer may watch."""
    return {"data": _of(studio, customer, studio.videos)}


@router.get(
    "/customer/{id}/subscription-mandates", dependencies=[needs("subscription-mandates:read")]
)
async def list_mandates(studio: In, customer: Id) -> Data:
    """A customer's direct debit mandates."""
    return {"data": _of(studio, customer, studio.mandates)}


@router.get("/customer/{id}/appointments", dependencies=[needs("appointments:read")])
async def list_customer_appointments(studio: In, customer: Id) -> Data:
    """A customer's appointments."""
    return {"data": _of(studio, customer, studio.appointments)}


@router.get("/customer/{id}/notes", dependencies=[needs("notes:read")])
async def list_notes(studio: In, customer: Id) -> Data:
    """What the staff noted about a customer."""
    return {"data": _of(studio, customer, studio.notes)}


@router.get(
    "/customer/{id}/questionnaire-answers", dependencies=[needs("questionnaire-answers:read")]
)
async def list_answers(studio: In, customer: Id) -> Data:
    """A customer's answers to questionnaires."""
    return {"data": _of(studio, customer, studio.answers)}


@router.get("/appointments/bookings", dependencies=[needs("appointments:read")])
async def list_appointments(studio: In) -> Data:
    """All appointments."""
    return {"data": list(studio.appointments.values())}


@router.get("/appointments/bookings/{id}", dependencies=[needs("appointments:read")])
async def read_appointment(studio: In, appointment: Id) -> Data:
    """One appointment."""
    return {"data": _one(studio.appointments, appointment, "appointment")}


@router.get("/appointments/services", dependencies=[needs("appointments:read")])
async def list_services(studio: In) -> Data:
    """The services that can be booked as an appointment."""
    return {"data": list(studio.services.values())}


@router.get("/appointments/services/{id}", dependencies=[needs("appointments:read")])
async def read_service(studio: In, service: Id) -> Data:
    """One service."""
    return {"data": _one(studio.services, service, "service")}


@router.get("/appointments/availability/{id}", dependencies=[needs("appointments:read")])
async def read_availability(studio: In, service: Id) -> Data:
    """The free times of a service."""
    _one(studio.services, service, "service")
    return {"data": studio.availability[service]}


@router.get("/events", dependencies=[needs("events:read")])
async def list_events(studio: In) -> Data:
    """All events with their dates."""
    return {"data": list(studio.events.values())}


@router.get("/event/{id}", dependencies=[needs("events:read")])
async def read_event(studio: In, event: Id) -> Data:
    """One event with its dates."""
    return {"data": _one(studio.events, event, "event")}


@router.get("/event/{id}/dates/{dateId}/register", dependencies=[needs("events-register:read")])
async def read_register(
    studio: In, event: Id, date: Annotated[int, Path(alias="dateId", ge=1)]
) -> Data:
    """Who is booked on a date of an event, and who came."""
    dates = {row["id"]: row for row in _one(studio.events, event, "event")["dates"]}
    _one(dates, date, "date of this event")
    return {"data": studio.register(event, date)}


@router.get("/subscription-plans", dependencies=[needs("subscription-plans:read")])
async def list_plans(studio: In) -> Data:
    """All subscription plans."""
    return {"data": list(studio.plans.values())}


@router.get("/subscription-plan/{id}", dependencies=[needs("subscription-plans:read")])
async def read_plan(studio: In, plan: Id) -> Data:
    """One subscription plan."""
    return {"data": _one(studio.plans, plan, "subscription plan")}


@router.put("/subscription-plan/{id}", dependencies=[needs("subscription-plans:write")])
async def write_plan(studio: In, plan: Id, update: PlanUpdate) -> Data:
    """Replace what a subscription plan offers; the answer is the plan as it is now."""
    row = _one(studio.plans, plan, "subscription plan")
    row.update(update.model_dump(mode="json"))
    return {"data": row}


def _one(table: dict[int, Row], key: int, noun: str) -> Row:
    row = table.get(key)
    if row is None:
        raise HTTPException(404, f"there is no {noun} {key}")
    return row


def _of(studio: Studio, customer: int, table: dict[int, Row]) -> list[Row]:
    """The rows of a customer, which must exist."""
    _one(studio.profiles, customer, "customer")
    return [row for row in table.values() if row["customer_id"] == customer]
