"""Settings > Organizations: the tenants of the installation."""

from urllib.parse import urlencode

from starlette.responses import Response

from hourpass.server.admin.refusals import words
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.audit.events import printable
from hourpass.server.cursors import BadCursor, made_as_json, made_from_json
from hourpass.server.organizations import model, operations, store
from hourpass.server.organizations.model import Organization
from hourpass.server.organizations.operations import UnknownOrganization
from hourpass.server.refused import BadInput, Conflict
from hourpass.server.rights import ORGANIZATIONS_READ, ORGANIZATIONS_WRITE

router = Pages()
_PAGE = 50
_DONE = {
    "created": "Created. Add its clients, and invite somebody to look after them.",
    "renamed": "Renamed.",
    "suspended": "Suspended. Its clients get no tokens and its operators cannot sign in.",
    "activated": "Re-activated. Its clients are again what they are by themselves.",
}
_ASKS = {
    "suspend": (
        "Suspend {}?",
        "Suspend organization",
        (
            "Its clients get no more tokens, and its operators cannot sign in, until you "
            "re-activate it. Tokens already issued stay valid for up to 1 hour; where they are "
            "checked online they fail at once."
        ),
    ),
    "activate": (
        "Re-activate {}?",
        "Re-activate organization",
        (
            "Its clients can get tokens again, but for those that are suspended or expired "
            "themselves, and its operators can sign in."
        ),
    ),
}


@router.get("/organizations", needs=ORGANIZATIONS_READ)
def list_(visit: Visit) -> Response:
    """A page of organizations, newest first."""
    search = printable(visit.query.get("search", "").strip(), 100)
    filters = {"search": search} if search else {}
    begin = f"/admin/organizations?{urlencode(filters)}" if filters else "/admin/organizations"
    about: dict[str, object] = {"page": "organizations", **filters}
    cursors = visit.context.cursors()
    before = None
    if visit.query.get("cursor"):
        try:
            before = made_from_json(cursors.read(about, visit.query["cursor"]))
        except BadCursor:  # something else is searched now: from the beginning
            return visit.redirect(begin)
    with visit.database.read() as connection:
        found, more = store.page(connection, limit=_PAGE, before=before, search=search)
    cursor = None if more is None else cursors.write(about, made_as_json(more))
    return visit.page(
        "organizations/list.html",
        organizations=found,
        search=search,
        older=None if cursor is None else urlencode({**filters, "cursor": cursor}),
        first=before is None,
        done=_DONE.get(visit.query.get("done", ""), ""),
    )


@router.get("/organizations/new", needs=ORGANIZATIONS_WRITE)
def form(visit: Visit) -> Response:
    """The empty form."""
    return _new(visit)


@router.post("/organizations/new", needs=ORGANIZATIONS_WRITE)
def create(visit: Visit) -> Response:
    """Create it."""
    try:
        operations.create(
            visit.database, visit.value("id").strip(), visit.value("name"), visit.origin
        )
    except (BadInput, Conflict) as wrong:
        return _new(visit, wrong)
    return visit.redirect("/admin/organizations?done=created")


@router.get("/organizations/{organization_id}/edit", needs=ORGANIZATIONS_WRITE)
def edit_form(visit: Visit) -> Response:
    """Its name."""
    organization = _read(visit)
    return _edit(visit, organization, organization.name)


@router.post("/organizations/{organization_id}/edit", needs=ORGANIZATIONS_WRITE)
def edit(visit: Visit) -> Response:
    """Save the name."""
    organization = _read(visit)
    try:
        operations.update(visit.database, organization.id, visit.origin, name=visit.value("name"))
    except BadInput as wrong:
        return _edit(visit, organization, visit.value("name"), wrong)
    return visit.redirect("/admin/organizations?done=renamed")


@router.get("/organizations/{organization_id}/suspend", needs=ORGANIZATIONS_WRITE)
def ask_to_suspend(visit: Visit) -> Response:
    """Ask first."""
    return _ask(visit, "suspend")


@router.post("/organizations/{organization_id}/suspend", needs=ORGANIZATIONS_WRITE)
def suspend(visit: Visit) -> Response:
    """All its clients stop."""
    operations.suspend(visit.database, _read(visit).id, visit.origin)
    return visit.redirect("/admin/organizations?done=suspended")


@router.get("/organizations/{organization_id}/activate", needs=ORGANIZATIONS_WRITE)
def ask_to_activate(visit: Visit) -> Response:
    """Ask first."""
    return _ask(visit, "activate")


@router.post("/organizations/{organization_id}/activate", needs=ORGANIZATIONS_WRITE)
def activate(visit: Visit) -> Response:
    """They go on."""
    operations.activate(visit.database, _read(visit).id, visit.origin)
    return visit.redirect("/admin/organizations?done=activated")


def _read(visit: Visit) -> Organization:
    name = visit.names["organization_id"]
    found = None
    if model.is_organization_id(name):
        with visit.database.read() as connection:
            found = store.get(connection, name)
    if found is None:
        raise UnknownOrganization(name)
    return found


def _ask(visit: Visit, deed: str) -> Response:
    organization = _read(visit)
    title, button, says = _ASKS[deed]
    return visit.page(
        "organizations/ask.html",
        organization=organization,
        deed=deed,
        title=title.format(organization.name),
        button=button,
        says=says,
    )


def _new(visit: Visit, wrong: Exception | None = None) -> Response:
    return visit.page(
        "organizations/new.html",
        status=200 if wrong is None else 422,
        id=visit.value("id"),
        name=visit.value("name"),
        fault=words(wrong),
        at=wrong.member if isinstance(wrong, BadInput) else "",
    )


def _edit(
    visit: Visit, organization: Organization, name: str, wrong: Exception | None = None
) -> Response:
    return visit.page(
        "organizations/edit.html",
        status=200 if wrong is None else 422,
        organization=organization,
        name=name,
        fault=words(wrong),
    )
