"""Settings > Operators: the list, and the page of a person."""

from dataclasses import dataclass

from starlette.responses import Response

from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.operators import lookup, model
from hourpass.server.operators.model import NotAllowed, Operator, Role
from hourpass.server.rights import OPERATORS_READ, OPERATORS_WRITE

router = Pages()
MEANING = {
    Role.OWNER: "Everything there, people included.",
    Role.ADMIN: "Everything about API clients; sees the rest.",
    Role.AUDITOR: "Sees everything there, changes nothing.",
}
INSTALLATION = "*"
"""How forms and addresses name the installation: no organization has such an ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A role of a person as a page shows it."""

    key: str
    place: str
    role: Role
    may_change: bool


@router.get("/operators", needs=OPERATORS_READ)
def list_(visit: Visit) -> Response:
    """The people that the visitor may know of, by address."""
    people = lookup.listed(visit.database, visit.origin, visit.place)
    return visit.page(
        "operators/list.html",
        people=[(each, memberships(visit, each)) for each in people],
        meaning=MEANING,
        may_write=bool(places(visit)),
    )


@router.get("/operators/{operator_id}", needs=OPERATORS_READ)
def show(visit: Visit) -> Response:
    """One person, and what can be done."""
    operator = person(visit)
    return visit.page(
        "operators/show.html",
        operator=operator,
        memberships=memberships(visit, operator),
        meaning=MEANING,
        may_add=bool(places(visit).keys() - {key_of(place) for place in operator.roles}),
        may_cover=_may_cover(visit, operator),
    )


def person(visit: Visit) -> Operator:
    """Whom the path names, with the roles that the visitor may know of; raises NotFound."""
    return lookup.read(visit.database, visit.names["operator_id"], visit.origin)


def places(visit: Visit) -> dict[str, str]:
    """Where the visitor may give roles: keys and names, the installation first."""
    powers = visit.current.powers
    found = {}
    if OPERATORS_WRITE in powers.installation:
        found[INSTALLATION] = "The installation, every organization"
    for place in visit.places:
        if OPERATORS_WRITE in powers.within(place.id):
            found[place.id] = place.name
    return found


def key_of(place: str | None) -> str:
    """The place as a form names it."""
    return INSTALLATION if place is None else place


def name_of(visit: Visit, place: str | None) -> str:
    """The place for people."""
    names = {each.id: each.name for each in visit.places}
    return "The installation" if place is None else names.get(place, place)


def memberships(visit: Visit, operator: Operator) -> list[Membership]:
    """The roles, that in the installation first."""
    powers = visit.current.powers
    return [
        Membership(
            key=key_of(place),
            place=name_of(visit, place),
            role=role,
            may_change=not powers.lacking(role.scopes(place) | {OPERATORS_WRITE}, place),
        )
        for place, role in sorted(operator.roles.items(), key=lambda each: each[0] or "")
    ]


def _may_cover(visit: Visit, operator: Operator) -> bool:
    try:
        model.require_covers(visit.current.powers, operator)
    except NotAllowed:
        return False
    return bool(places(visit))
