"""The one page that shows a secret, and what is shown instead when the page is asked for again."""

import json
import secrets

from starlette.responses import Response

from hourpass.server.admin.snippets import snippets
from hourpass.server.admin.visit import Visit
from hourpass.server.clients.idempotency import IdempotencyKey
from hourpass.server.clients.lifecycle import WithSecret
from hourpass.server.clients.model import Client


def new_nonce() -> str:
    """What a form carries so that it is carried out once, however often it is sent."""
    return secrets.token_urlsafe(18)


def idempotency_key(visit: Visit, route: str, request: object) -> IdempotencyKey:
    """The form's nonce as an Idempotency-Key; without one each sending is another request."""
    nonce = visit.value("nonce")
    if not (nonce.isascii() and nonce.isprintable() and 1 <= len(nonce) <= 255):
        nonce = new_nonce()
    who = visit.current.operator.operator_id
    return IdempotencyKey.of(who, f"page {route}", nonce, json.dumps(request))


def created(visit: Visit, made: WithSecret) -> Response:
    """A new client and its secret."""
    return _shown(visit, made, f"{made.client.name} is ready", is_new=True)


def rotated(visit: Visit, made: WithSecret) -> Response:
    """The new secret of a client."""
    return _shown(visit, made, f"The new secret of {made.client.name}", is_new=False)


def shown_before(visit: Visit, client: Client) -> Response:
    """The form was sent before: the secret was shown then, and is not known any more."""
    return visit.page("clients/shown.html", client=client)


def _shown(visit: Visit, made: WithSecret, title: str, *, is_new: bool) -> Response:
    client = made.client
    of = visit.context.catalogue().audience_of
    wanted = {of[scope] for scope in client.scopes if scope in of}
    apis = [api for api in visit.context.catalogue().apis if api.identifier in wanted]
    token_url = f"{visit.context.settings.issuer}/token"
    return visit.page(
        "clients/secret.html",
        client=client,
        secret=made.secret.reveal(),
        title=title,
        is_new=is_new,
        apis=apis,
        token_url=token_url,
        snippets=snippets(token_url),
        env=(
            f"HOURPASS_ISSUER={visit.context.settings.issuer}\n"
            f"HOURPASS_CLIENT_ID={client.client_id}\nHOURPASS_CLIENT_SECRET="
        ),
    )
