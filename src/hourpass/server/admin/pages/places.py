"""Choosing an organization where a menu cannot hold them all: to look at it, or for a form."""

from urllib.parse import urlencode

from starlette.responses import Response

from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import ORGANIZATION_COOKIE, Visit, is_ours
from hourpass.server.audit.events import printable
from hourpass.server.cursors import BadCursor, made_as_json, made_from_json
from hourpass.server.rights import CLIENTS_WRITE, OPERATORS_WRITE

router = Pages()
# For what: the question, the scope that it takes there, and the form that the answer goes to.
_PURPOSES = {
    "": ("Which organization do you want to look at?", None, "/admin/"),
    "client": ("Whose API client is it?", CLIENTS_WRITE, "/admin/clients/new"),
    "role": ("Where does the role count?", OPERATORS_WRITE, "/admin/operators/new"),
}


@router.get("/organization")
def ask(visit: Visit) -> Response:
    """Those chosen lately, and a page of those that a search finds."""
    purpose, after = visit.query.get("for", ""), visit.query.get("next", "")
    if purpose not in _PURPOSES:
        return visit.redirect("/admin/organization")
    question, needs, form = _PURPOSES[purpose]
    after = after if is_ours(after) else form
    search = printable(visit.query.get("search", "").strip(), 100)
    kept = {"for": purpose, "next": after}
    about: dict[str, object] = {"page": "organization", "for": purpose, "search": search}
    cursors, before = visit.context.cursors(), None
    if visit.query.get("cursor"):
        try:
            before = made_from_json(cursors.read(about, visit.query["cursor"]))
        except BadCursor:
            return visit.redirect(f"/admin/organization?{urlencode(kept)}")
    found, more = visit.places.search(search, before, needs=needs)
    is_begin = before is None and not search
    lately = visit.places.lately(needs) if is_begin else []
    older = None if more is None else cursors.write(about, made_as_json(more))
    return visit.page(
        "organizations/choose.html",
        question=question,
        is_for_form=bool(purpose),
        kept=kept,
        search=search,
        lately=lately,
        found=[each for each in found if each not in lately],
        is_begin=is_begin,
        older=None if older is None else urlencode({**kept, "search": search, "cursor": older}),
    )


@router.post("/organization")
def choose(visit: Visit) -> Response:
    """Look at that one; it is remembered in the browser."""
    response = visit.go_on()
    response.set_cookie(
        ORGANIZATION_COOKIE,
        visit.places.remember(visit.value("organization")),
        path="/",
        secure=visit.site.secure,
        httponly=True,
        samesite="lax",
        max_age=365 * 86400,
    )
    return response
