"""Settings > Operators: the list, and the page of a person."""

from dataclasses import dataclass

from starlette.responses import Response

from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.cursors import BadCursor, made_as_json, made_from_json
from hourpass.server.operators import lookup, model
from hourpass.server.operators.model import NotAllowed, Operator, Role
from hourpass.server.rights import OPERATORS_READ, OPERATORS_WRITE

router = Pages()
_PAGE = 50
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
    where: str
    role: Role
    may_change: bool


@router.get("/operators", needs=OPERATORS_READ)
def list_(visit: Visit) -> Response:
    """A page of the people that the visitor may know of, newest first."""
    about: dict[str, object] = {"page": "operators", "organization": visit.organization}
    cursors = visit.context.cursors()
    before = None
    if visit.query.get("cursor"):
        try:
            before = made_from_json(cursors.read(about, visit.query["cursor"]))
        except BadCursor:  # another organization is looked at now: from the beginning
            return visit.redirect("/admin/operators")
    people, more = lookup.page(
        visit.database, visit.origin, visit.organization, limit=_PAGE, before=before
    )
    return visit.page(
        "operators/list.html",
        people=[(each, memberships(visit, each)) for each in people],
        first=before is None,
        older=None if more is None else cursors.write(about, made_as_json(more)),
        meaning=MEANING,
        may_write=bool(may_give_in(visit)),
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
        may_add=bool(
            may_give_in(visit).keys() - {key_of(organization) for organization in operator.roles}
        ),
        may_cover=_may_cover(visit, operator),
    )


def person(visit: Visit) -> Operator:
    """Whom the path names, with the roles that the visitor may know of; raises NotFound."""
    return lookup.read(visit.database, visit.names["operator_id"], visit.origin)


def may_give_in(visit: Visit) -> dict[str, str]:
    """Where the visitor may give roles: keys and names, the installation first."""
    powers = visit.current.powers
    found = {}
    if OPERATORS_WRITE in powers.installation:
        found[INSTALLATION] = "The installation, every organization"
    for each in visit.organizations:
        if OPERATORS_WRITE in powers.within(each.id):
            found[each.id] = each.name
    return found


def key_of(organization: str | None) -> str:
    """The organization as a form names it."""
    return INSTALLATION if organization is None else organization


def name_of(visit: Visit, organization: str | None) -> str:
    """The organization for people."""
    names = {each.id: each.name for each in visit.organizations}
    return "The installation" if organization is None else names.get(organization, organization)


def memberships(visit: Visit, operator: Operator) -> list[Membership]:
    """The roles, that in the installation first."""
    powers = visit.current.powers
    return [
        Membership(
            key=key_of(organization),
            where=name_of(visit, organization),
            role=role,
            may_change=not powers.lacking(
                role.scopes(organization) | {OPERATORS_WRITE}, organization
            ),
        )
        for organization, role in sorted(operator.roles.items(), key=lambda each: each[0] or "")
    ]


def _may_cover(visit: Visit, operator: Operator) -> bool:
    try:
        model.require_covers(visit.current.powers, operator)
    except NotAllowed:
        return False
    return bool(may_give_in(visit))
