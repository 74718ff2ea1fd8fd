"""Settings > Operators: the list, and the page of a person."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.audit.events import printable
from hourpass.server.cursors import BadCursor, made_as_json, made_from_json
from hourpass.server.operators import lookup, model
from hourpass.server.operators.model import NotAllowed, Operator, Role
from hourpass.server.rights import OPERATORS_READ, OPERATORS_WRITE

router = Pages()
_PAGE = 50
_ROLES_IN_LIST = 5
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
    looked_at = visit.organization
    search = printable(visit.query.get("search", "").strip(), model.MAX_EMAIL)
    filters = {"search": search} if search else {}
    begin = f"/admin/operators?{urlencode(filters)}" if filters else "/admin/operators"
    about: dict[str, object] = {"page": "operators", "organization": looked_at, **filters}
    cursors = visit.context.cursors()
    before = None
    if visit.query.get("cursor"):
        try:
            before = made_from_json(cursors.read(about, visit.query["cursor"]))
        except BadCursor:  # another list is looked at now: from the beginning
            return visit.redirect(begin)
    people, more = lookup.page(
        visit.database, visit.origin, looked_at, limit=_PAGE, before=before, search=search
    )
    cursor = None if more is None else cursors.write(about, made_as_json(more))
    held = [_roles(each, looked_at)[:_ROLES_IN_LIST] for each in people]
    names = _names(visit, [place for roles in held for place, _ in roles])
    return visit.page(
        "operators/list.html",
        people=[
            (each, _memberships(visit, roles, names), len(each.roles) - len(roles))
            for each, roles in zip(people, held, strict=True)
        ],
        search=search,
        first=before is None,
        older=None if cursor is None else urlencode({**filters, "cursor": cursor}),
        meaning=MEANING,
        may_write=may_give(visit),
    )


@router.get("/operators/{operator_id}", needs=OPERATORS_READ)
def show(visit: Visit) -> Response:
    """One person, and what can be done."""
    operator = person(visit)
    after = visit.query.get("after", "")
    roles = [each for each in _roles(operator) if not after or (each[0] or "") > after]
    shown = roles[:_PAGE]
    return visit.page(
        "operators/show.html",
        operator=operator,
        memberships=_memberships(visit, shown, _names(visit, [place for place, _ in shown])),
        first=not after,
        after=shown[-1][0] if len(roles) > _PAGE else None,
        meaning=MEANING,
        may_add=may_give(visit, besides=operator),
        may_cover=_may_cover(visit, operator),
    )


def person(visit: Visit) -> Operator:
    """Whom the path names, with the roles that the visitor may know of; raises NotFound."""
    return lookup.read(visit.database, visit.names["operator_id"], visit.origin)


def places_for_role(visit: Visit, *also: str) -> tuple[dict[str, str], bool]:
    """Where the visitor may give roles, for a menu: keys and names, the installation first.

    And whether there are more: then these are the organizations chosen lately, and `also`.
    """
    few = visit.places.few(OPERATORS_WRITE)
    found = {}
    if OPERATORS_WRITE in visit.current.powers.installation:
        found[INSTALLATION] = "The installation, every organization"
    for each in visit.places.lately(OPERATORS_WRITE, *also) if few is None else few:
        found[each.id] = each.name
    return found, few is None


def may_give(visit: Visit, *, besides: Operator | None = None) -> bool:
    """Whether the visitor may give a role anywhere; `besides` where that person has one."""
    found, are_more = places_for_role(visit)
    held = set() if besides is None else {key_of(place) for place in besides.roles}
    return are_more or bool(found.keys() - held)


def key_of(organization: str | None) -> str:
    """The organization as a form names it."""
    return INSTALLATION if organization is None else organization


def name_of(visit: Visit, organization: str | None) -> str:
    """The organization for people."""
    return _names(visit, [organization])[organization]


def _names(visit: Visit, organizations: list[str | None]) -> dict[str | None, str]:
    known = visit.places.names(each for each in organizations if each is not None)
    return {
        each: "The installation" if each is None else known.get(each, each)
        for each in organizations
    }


def _roles(operator: Operator, first: str | None = None) -> list[tuple[str | None, Role]]:
    """That in the organization `first`, that in the installation, and those in organizations."""
    return sorted(
        operator.roles.items(), key=lambda each: (first is None or each[0] != first, each[0] or "")
    )


def _memberships(
    visit: Visit, roles: list[tuple[str | None, Role]], names: dict[str | None, str]
) -> list[Membership]:
    powers = visit.current.powers
    return [
        Membership(
            key=key_of(organization),
            where=names[organization],
            role=role,
            may_change=not powers.lacking(
                role.scopes(organization) | {OPERATORS_WRITE}, organization
            ),
        )
        for organization, role in roles
    ]


def _may_cover(visit: Visit, operator: Operator) -> bool:
    try:
        model.require_covers(visit.current.powers, operator)
    except NotAllowed:
        return False
    return may_give(visit)
