"""One API client: its facts, and the forms that change its name, description and scopes."""

from starlette.responses import Response

from hourpass.limits import MAX_PER_MINUTE
from hourpass.server.admin import scope_choices
from hourpass.server.admin.pages.clients import deeds
from hourpass.server.admin.refusals import words
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.sentences import sentence
from hourpass.server.admin.visit import Visit
from hourpass.server.audit import store as audit
from hourpass.server.audit.store import EventFilter
from hourpass.server.clients import lifecycle, store, usage
from hourpass.server.clients.model import (
    KEEP,
    MAX_DESCRIPTION,
    MAX_NAME,
    Client,
    Status,
    checked_limit,
)
from hourpass.server.clients.usage import Per
from hourpass.server.refused import BadInput, Forbidden, Stale
from hourpass.server.rights import AUDIT_READ, CLIENTS_READ, CLIENTS_WRITE

router = Pages()
_EVENTS = 8
DONE = {
    "suspended": "Suspended. It gets no more tokens until you re-activate it.",
    "suspended-revoked": "Suspended, and its live tokens are revoked.",
    "activated": "Re-activated. It can get tokens again.",
    "revoked": "Its live tokens are revoked. It can get new ones.",
    "scopes": "The scopes are changed. Its next token has them.",
    "edited": "Saved.",
    "same": "Nothing was changed: it was so already.",
}


@router.get("/clients/{client_id}", needs=CLIENTS_READ)
def show(visit: Visit) -> Response:
    """All facts of a client."""
    client = lifecycle.read(visit.database, visit.names["client_id"], visit.origin)
    with visit.database.read() as connection:
        last = store.last_token_at(connection, [client.client_id]).get(client.client_id)
        events = []
        if visit.rights.may(AUDIT_READ):
            wanted = EventFilter(client_id=client.client_id, is_deed=True)
            events = audit.page(connection, wanted, limit=_EVENTS)
    per = Per.DAY if visit.query.get("per") == Per.DAY else Per.HOUR
    return visit.page(
        "clients/show.html",
        client=client,
        meaning=meaning(client.status(visit.now)),
        last=last,
        events=[(event, sentence(event)) for event in events],
        periods=usage.of(visit.database, client.client_id, per),
        is_daily=per is Per.DAY,
        deeds=deeds,
        done=DONE.get(visit.query.get("done", ""), ""),
    )


def meaning(status: Status) -> str:
    """What a status means, in a sentence."""
    return {
        Status.ACTIVE: "Can get tokens.",
        Status.SUSPENDED: "Gets no tokens until it is re-activated.",
        Status.EXPIRED: "Has expired, which is final. To restore access, add a new client.",
    }[status]


@router.get("/clients/{client_id}/edit", needs=CLIENTS_WRITE)
def edit_form(visit: Visit) -> Response:
    """Name, description and limit."""
    client = lifecycle.read(visit.database, visit.names["client_id"], visit.origin)
    return _edit(visit, client)


@router.post("/clients/{client_id}/edit", needs=CLIENTS_WRITE)
def edit(visit: Visit) -> Response:
    """Save them, unless somebody changed the client meanwhile."""
    client = lifecycle.read(visit.database, visit.names["client_id"], visit.origin)
    try:
        after = lifecycle.update(
            visit.database,
            client.client_id,
            visit.origin,
            name=visit.value("name"),
            description=visit.value("description"),
            limit_per_minute=(
                typed_limit(visit.value("limit_per_minute"))
                if "limit_per_minute" in visit.form
                else KEEP
            ),
            expected_versions=_version(visit),
        )
    except Stale:
        client = lifecycle.read(visit.database, client.client_id, visit.origin)
        return _edit(visit, client, stale=True)
    except (BadInput, Forbidden) as wrong:
        return _edit(visit, client, wrong)
    return done(visit, client, "edited" if after.version != client.version else "same")


@router.get("/clients/{client_id}/scopes", needs=CLIENTS_WRITE)
def scopes_form(visit: Visit) -> Response:
    """The scopes that the client holds and could hold."""
    client = lifecycle.read(visit.database, visit.names["client_id"], visit.origin)
    return _scopes(visit, client, client.scopes)


@router.post("/clients/{client_id}/scopes", needs=CLIENTS_WRITE)
def set_scopes(visit: Visit) -> Response:
    """Replace them, unless somebody changed the client meanwhile."""
    client = lifecycle.read(visit.database, visit.names["client_id"], visit.origin)
    wanted = frozenset(visit.values("scope"))
    try:
        after = lifecycle.update(
            visit.database,
            client.client_id,
            visit.origin,
            scopes=wanted,
            expected_versions=_version(visit),
        )
    except Stale:
        client = lifecycle.read(visit.database, client.client_id, visit.origin)
        return _scopes(visit, client, wanted, stale=True)
    except (BadInput, Forbidden) as wrong:
        return _scopes(visit, client, wanted, wrong)
    return done(visit, client, "scopes" if after.version != client.version else "same")


def done(visit: Visit, client: Client, what: str) -> Response:
    """Back to the client's page, which says what was done."""
    return visit.redirect(f"/admin/clients/{client.client_id}?done={what}")


def _version(visit: Visit) -> frozenset[int]:
    text = visit.value("version")
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    return frozenset({int(text)}) if is_number else frozenset()


def typed_limit(text: str) -> int | None:
    """What a form says of a limit; empty: the API's own. Raises BadInput."""
    text = text.strip()
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return checked_limit(int(text) if is_number else 0)


def _edit(
    visit: Visit, client: Client, wrong: Exception | None = None, *, stale: bool = False
) -> Response:
    is_typed = visit.method == "POST"
    return visit.page(
        "clients/edit.html",
        status=412 if stale else 200 if wrong is None else 422,
        client=client,
        name=visit.value("name") if is_typed else client.name,
        description=visit.value("description") if is_typed else client.description,
        limit_per_minute=(
            visit.value("limit_per_minute") if is_typed else client.limit_per_minute or ""
        ),
        max_per_minute=MAX_PER_MINUTE,
        max_name=MAX_NAME,
        max_description=MAX_DESCRIPTION,
        fault=words(wrong),
        at=wrong.member if isinstance(wrong, BadInput) else "",
        stale=stale,
    )


def _scopes(
    visit: Visit,
    client: Client,
    chosen: frozenset[str],
    wrong: Exception | None = None,
    *,
    stale: bool = False,
) -> Response:
    catalogue = visit.context.catalogue()
    return visit.page(
        "clients/scopes.html",
        status=412 if stale else 200 if wrong is None else 422,
        client=client,
        groups=scope_choices.groups(
            catalogue,
            visit.rights,
            chosen,
            organization=client.organization,
            held=client.scopes,
        ),
        fault=words(wrong),
        stale=stale,
    )
