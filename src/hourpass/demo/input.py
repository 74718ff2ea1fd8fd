"""What the example API lets its callers write, and in which bounds."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\p{Cc}]*$"),
]


def _past(value: date) -> date:
    if value > datetime.now(UTC).date():
        raise ValueError("lies in the future")
    return value


class _Input(BaseModel):
    """An unknown member is refused: it is a typo, or a field that only the studio may set."""

    model_config = ConfigDict(extra="forbid")


class Address(_Input):
    """Where a customer lives."""

    street: Line
    city: Line
    postal_code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z -]{1,10}$")]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class ProfileUpdate(_Input):
    """The body of `PUT /customer/{id}/profile`: all that a customer may say of itself."""

    first_name: Line
    last_name: Line
    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")]
    phone: Annotated[str, StringConstraints(pattern=r"^\+[0-9 ]{6,20}$")] | None
    date_of_birth: Annotated[date, AfterValidator(_past)]
    address: Address
    marketing_consent: StrictBool


class Price(_Input):
    """An amount in pence."""

    amount: Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
    currency: Literal["GBP"]


class PlanUpdate(_Input):
    """The body of `PUT /subscription-plan/{id}`; no number of classes means no bound."""

    name: Line
    description: Line
    price: Price
    interval: Literal["month", "year"]
    classes_per_interval: Annotated[int, Field(ge=1, le=366, strict=True)] | None
    is_on_sale: StrictBool
