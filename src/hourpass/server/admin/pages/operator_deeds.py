"""What can be done to people: invite, give and take roles, a new link, remove.

Each asks who is there again. A link is in one answer only: a form that makes one says which
link it knew of, so that the same form sent twice makes no second one.
"""

from datetime import datetime

from starlette.responses import Response

from hourpass.server.admin import refusals
from hourpass.server.admin.pages.operators import (
    INSTALLATION,
    MEANING,
    key_of,
    name_of,
    person,
    places_for_role,
)
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.audit.events import rfc3339
from hourpass.server.operators import lifecycle, model, store
from hourpass.server.operators.lifecycle import Invited
from hourpass.server.operators.model import Operator, Role
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing
from hourpass.server.rights import OPERATORS_WRITE

router = Pages()
_REFUSED = (BadInput, Conflict, Forbidden)


@router.get("/operators/new", needs=OPERATORS_WRITE)
def new(visit: Visit) -> Response:
    """The form that invites."""
    return _new(visit)


@router.post("/operators/new", needs=OPERATORS_WRITE)
def invite(visit: Visit) -> Response:
    """The link for whoever is new; who has signed up before has the role at once."""
    try:
        visit.prove_again()
        organization, role = _organization(visit, visit.value("organization")), _role(visit)
        _require_new(visit, organization)
        made = lifecycle.set_role(
            visit.database, visit.value("email"), organization, role, visit.origin
        )
    except _REFUSED as refused:
        return _new(visit, refused)
    return _done(visit, made, _what(visit, role, organization))


@router.get("/operators/{operator_id}/role", needs=OPERATORS_WRITE)
def ask_role(visit: Visit) -> Response:
    """Which role, where."""
    return _ask_role(visit, person(visit))


@router.post("/operators/{operator_id}/role", needs=OPERATORS_WRITE)
def set_role(visit: Visit) -> Response:
    """That role there instead of any other."""
    operator = person(visit)
    try:
        visit.prove_again()
        organization, role = _organization(visit, visit.value("organization")), _role(visit)
        if operator.roles.get(organization) is role:
            return visit.redirect(f"/admin/operators/{operator.operator_id}")
        made = lifecycle.set_role(visit.database, operator.email, organization, role, visit.origin)
    except _REFUSED as refused:
        return _ask_role(visit, operator, refused)
    return _done(visit, made, _what(visit, role, organization))


@router.get("/operators/{operator_id}/take", needs=OPERATORS_WRITE)
def ask_take(visit: Visit) -> Response:
    """What taking a role does."""
    return _ask_take(visit, person(visit), visit.query.get("organization", ""))


@router.post("/operators/{operator_id}/take", needs=OPERATORS_WRITE)
def take_role(visit: Visit) -> Response:
    """Take it; with the last one the person goes."""
    operator, key = person(visit), visit.value("organization")
    try:
        visit.prove_again()
        left = lifecycle.take_role(
            visit.database, operator.email, _organization(visit, key), visit.origin
        )
    except _REFUSED as refused:
        return _ask_take(visit, operator, key, refused)
    if left is None or operator.roles.keys() == {_organization(visit, key)}:
        return visit.redirect("/admin/operators")
    return visit.redirect(f"/admin/operators/{operator.operator_id}")


@router.get("/operators/{operator_id}/reset", needs=OPERATORS_WRITE)
def ask_reset(visit: Visit) -> Response:
    """What a new link does."""
    return _ask("operators/reset.html", visit, person(visit))


@router.post("/operators/{operator_id}/reset", needs=OPERATORS_WRITE)
def reset(visit: Visit) -> Response:
    """A new link, unless somebody made one since the form was made."""
    operator = person(visit)
    try:
        visit.prove_again()
        link = _open_link(visit, operator)
        if visit.value("known") != _known(link):
            raise Conflict(
                "a link was made meanwhile, and shown once; another one makes that one useless"
            )
        made = lifecycle.reset(visit.database, operator.email, visit.origin)
    except _REFUSED as refused:
        return _ask("operators/reset.html", visit, operator, refused)
    return _done(visit, made, None)


@router.get("/operators/{operator_id}/remove", needs=OPERATORS_WRITE)
def ask_remove(visit: Visit) -> Response:
    """What removing does."""
    return _ask("operators/remove.html", visit, person(visit))


@router.post("/operators/{operator_id}/remove", needs=OPERATORS_WRITE)
def remove(visit: Visit) -> Response:
    """The person, with every role, session and credential."""
    operator = person(visit)
    try:
        visit.prove_again()
        lifecycle.remove(visit.database, operator.email, visit.origin)
    except _REFUSED as refused:
        return _ask("operators/remove.html", visit, operator, refused)
    return visit.redirect("/admin/operators")


def _organization(visit: Visit, key: str) -> str | None:
    """From a form; raises BadInput when nothing was chosen, Missing for what is not there."""
    if not key:
        raise BadInput("organization", "choose where the role counts")
    if key == INSTALLATION:
        return None
    if visit.places.find(key) is None:
        raise Missing("there is no such organization")
    return key


def _role(visit: Visit) -> Role:
    try:
        return Role(visit.value("role"))
    except ValueError:
        raise BadInput("role", "choose a role") from None


def _require_new(visit: Visit, organization: str | None) -> None:
    """Whom the visitor knows already is not invited once more; raises Conflict."""
    with visit.database.read() as connection:
        known = store.by_email(connection, model.normal_email(visit.value("email")))
    seen = None if known is None else model.seen_by(visit.current.powers, known)
    if seen is not None and organization in seen.roles:
        raise Conflict(
            f"{seen.email} has a role there already, so nothing was done. "
            "Find this person in the list to change the role or to make a new link"
        )


def _open_link(visit: Visit, operator: Operator) -> store.Link | None:
    with visit.database.read() as connection:
        return store.open_link(connection, operator.operator_id, visit.now)


def _known(link: store.Link | None) -> str:
    return "" if link is None else rfc3339(link.expires_at)


def _done(visit: Visit, made: Invited, what: str | None) -> Response:
    """The page with the link, or the person's page when there is none."""
    if made.link is None:
        return visit.redirect(f"/admin/operators/{made.operator.operator_id}")
    return visit.page(
        "operators/link.html",
        operator=made.operator,
        url=made.link.url(visit.context.settings.issuer),
        expires_at=made.link.expires_at,
        what=what,
    )


def _new(visit: Visit, refused: Exception | None = None) -> Response:
    key = _key(visit) or key_of(visit.organization)
    places, more = places_for_role(visit, key)
    return visit.page(
        "operators/new.html",
        status=refusals.status(refused),
        fault=refusals.words(refused),
        wrong=refused.member if isinstance(refused, BadInput) else "",
        given={"email": visit.value("email"), "organization": key, "role": visit.value("role")},
        places=places,
        more=more,
        roles=MEANING,
    )


def _ask_role(visit: Visit, operator: Operator, refused: Exception | None = None) -> Response:
    key = _key(visit)
    held = {key_of(organization): role.value for organization, role in operator.roles.items()}
    places, more = places_for_role(visit, key)
    return visit.page(
        "operators/role.html",
        status=refusals.status(refused),
        fault=refusals.words(refused),
        operator=operator,
        fixed=key if key in held else "",
        where=name_of(visit, key) if key in held and key != INSTALLATION else "",
        given={"organization": key, "role": visit.value("role") or held.get(key, "")},
        places={each: name for each, name in places.items() if each not in held},
        more=more,
        roles=MEANING,
    )


def _key(visit: Visit) -> str:
    """The organization that a form or an address names; empty: none."""
    return visit.value("organization") or visit.query.get("organization", "")


def _ask_take(
    visit: Visit, operator: Operator, key: str, refused: Exception | None = None
) -> Response:
    organization = _organization(visit, key)
    if organization not in operator.roles:
        raise Missing("this person has no role there any more")
    return _ask(
        "operators/take.html",
        visit,
        operator,
        refused,
        key=key,
        where=name_of(visit, organization),
        role=operator.roles[organization],
        last=len(operator.roles) == 1,
    )


def _ask(
    template: str,
    visit: Visit,
    operator: Operator,
    refused: Exception | None = None,
    **more: object,
) -> Response:
    link = _open_link(visit, operator)
    return visit.page(
        template,
        status=refusals.status(refused),
        fault=refusals.words(refused),
        operator=operator,
        is_self=operator.operator_id == visit.current.operator.operator_id,
        link=link,
        known=_known(link),
        hours=_hours(operator.activated_at),
        **more,
    )


def _hours(activated_at: datetime | None) -> int:
    purpose = store.LinkPurpose.RESET if activated_at else store.LinkPurpose.INVITE
    return int(lifecycle.LIFETIMES[purpose].total_seconds() // 3600)


def _what(visit: Visit, role: Role, organization: str | None) -> str:
    where = "the installation" if organization is None else name_of(visit, organization)
    return f"{role.value} of {where}"
