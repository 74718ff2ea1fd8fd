"""Add Client: the form, and the page with the secret."""

from starlette.responses import Response

from hourpass.limits import MAX_PER_MINUTE
from hourpass.server.admin import scope_choices
from hourpass.server.admin.pages.client import typed_limit
from hourpass.server.admin.pages.secret import created, idempotency_key, new_nonce, shown_before
from hourpass.server.admin.refusals import words
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.clients import lifecycle
from hourpass.server.clients.idempotency import DoneBefore
from hourpass.server.clients.lifecycle import NewClient
from hourpass.server.clients.model import (
    MAX_DESCRIPTION,
    MAX_EXPIRES_IN_DAYS,
    MAX_NAME,
)
from hourpass.server.organizations.model import DEFAULT
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing
from hourpass.server.rights import CLIENTS_WRITE

router = Pages()


@router.get("/clients/new", needs=CLIENTS_WRITE)
def form(visit: Visit) -> Response:
    """The empty form."""
    return _form(visit)


@router.post("/clients/new", needs=CLIENTS_WRITE)
def create(visit: Visit) -> Response:
    """Create the client; the answer is the one page with its secret."""
    try:
        new = NewClient(
            name=visit.value("name"),
            scopes=frozenset(visit.values("scope")),
            description=visit.value("description"),
            expires_in_days=_days(visit.value("expires_in_days")),
            limit_per_minute=typed_limit(visit.value("limit_per_minute")),
            organization=visit.organization or visit.value("organization") or DEFAULT,
        )
        made = lifecycle.create(
            visit.database,
            visit.context.keyring(),
            new,
            visit.origin,
            idempotency_key=idempotency_key(
                visit,
                "create",
                [
                    new.name,
                    sorted(new.scopes),
                    new.description,
                    new.expires_in_days,
                    new.organization,
                    new.limit_per_minute,
                ],
            ),
        )
    except DoneBefore as before:
        client = lifecycle.read(visit.database, before.client_id, visit.origin)
        return shown_before(visit, client)
    except (BadInput, Missing, Forbidden, Conflict) as wrong:
        return _form(visit, wrong)
    return created(visit, made)


def _days(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadInput("expires_in_days", f"give 1 to {MAX_EXPIRES_IN_DAYS} days, or none")
    return int(text)


def _form(visit: Visit, wrong: Exception | None = None) -> Response:
    chosen = frozenset(visit.values("scope"))
    asks_where = visit.organization is None and visit.places.are_several
    organization = visit.value("organization") or visit.query.get("organization") or DEFAULT
    few = visit.places.few(CLIENTS_WRITE)
    offered = few or visit.places.lately(CLIENTS_WRITE, DEFAULT, organization)
    return visit.page(
        "clients/new.html",
        status=200 if wrong is None else 422,
        nonce=new_nonce() if wrong is None else visit.value("nonce") or new_nonce(),
        name=visit.value("name"),
        description=visit.value("description"),
        expires_in_days=visit.value("expires_in_days"),
        limit_per_minute=visit.value("limit_per_minute"),
        max_per_minute=MAX_PER_MINUTE,
        asks_where=asks_where,
        organization=organization,
        offered={each.id: each.name for each in offered},
        more=few is None,
        groups=scope_choices.groups(
            visit.context.catalogue(),
            visit.rights,
            chosen,
            organization=None if asks_where else visit.organization or DEFAULT,
        ),
        max_name=MAX_NAME,
        max_description=MAX_DESCRIPTION,
        max_days=MAX_EXPIRES_IN_DAYS,
        fault=words(wrong),
        at=wrong.member if isinstance(wrong, BadInput) else "",
    )
