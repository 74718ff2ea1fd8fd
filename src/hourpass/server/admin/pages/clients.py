"""Settings > API Clients: the list."""

from datetime import timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.audit.events import printable
from hourpass.server.clients import store
from hourpass.server.clients.model import Client, Status
from hourpass.server.clients.store import ClientFilter
from hourpass.server.cursors import BadCursor
from hourpass.server.rights import CLIENTS_READ, CLIENTS_WRITE

router = Pages()
SOON = timedelta(days=30)
_EXPIRING = "expiring"  # no status, but found where the statuses are
_PAGE = 40  # of 2 kB each: with its style and scripts the page stays under 150 kB


@router.get("/clients", needs=CLIENTS_READ)
def list_(visit: Visit) -> Response:
    """A page of clients, newest first."""
    status, scope, search = (visit.query.get(name, "") for name in ("status", "scope", "search"))
    search = printable(search.strip(), 100)
    wanted = ClientFilter(
        status=Status(status) if status in list(Status) else None,
        scope=printable(scope, 200) or None,
        organization=visit.organization,
        search=search or None,
        expires_before=visit.now + SOON if status == _EXPIRING else None,
    )
    filters = {"status": status, "scope": scope, "search": search}
    about: dict[str, object] = {"page": "clients", "organization": visit.organization, **filters}
    cursors = visit.context.cursors()
    before = None
    if visit.query.get("cursor"):
        try:
            before = int(str(cursors.read(about, visit.query["cursor"])))
        except BadCursor:  # the filters are others now: from the beginning
            return visit.redirect(f"/admin/clients?{_query(filters)}")
    with visit.database.read() as connection:
        found, more = store.page(connection, wanted, visit.now, limit=_PAGE, before=before)
        last = store.last_token_at(connection, [client.client_id for client in found])
    cursor = None if more is None else cursors.write(about, more)
    return visit.page(
        "clients/list.html",
        clients=found,
        last=last,
        statuses=[
            *((status.value, status.value.capitalize()) for status in Status),
            (_EXPIRING, f"Expiring within {SOON.days} days"),
        ],
        scopes=visit.catalogue,
        filters=filters,
        filtered=any(filters.values()),
        first=before is None,
        older=None if cursor is None else _query({**filters, "cursor": cursor}),
        deeds=deeds,
        done="Deleted. Its audit trail stays." if visit.query.get("done") == "deleted" else "",
        several=visit.organization is None and visit.places.are_several,
    )


def deeds(visit: Visit, client: Client) -> list[tuple[str, str]]:
    """What the action menu offers: path and words of what would not be refused.

    Suspending and revoking are free for all who may change clients; the rest takes the scopes of
    the client.
    """
    rights = visit.rights
    if not rights.may(CLIENTS_WRITE) or not rights.changes(client.organization):
        return []
    status = client.status(visit.now)
    suspend = [("suspend", "Suspend")] if status is Status.ACTIVE else []
    revoke = [("revoke", "Revoke Live Tokens")]
    if rights.lacking(client.scopes):
        return [*suspend, *revoke]
    activate = [("activate", "Re-activate")] if status is Status.SUSPENDED else []
    rotate = [] if status is Status.EXPIRED else [("rotate", "Rotate Secret")]
    return [
        *rotate,
        *suspend,
        *activate,
        *revoke,
        ("scopes", "Update Scopes"),
        ("edit", "Edit"),
        ("delete", "Delete"),
    ]


def _query(parameters: dict[str, str]) -> str:
    return urlencode({name: value for name, value in parameters.items() if value})
