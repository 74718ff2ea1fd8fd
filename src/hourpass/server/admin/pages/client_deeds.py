"""The action menu of a client: each deed asks first, in words that say what will happen."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from hourpass.server.admin import refusals
from hourpass.server.admin.pages.client import done
from hourpass.server.admin.pages.secret import idempotency_key, new_nonce, rotated, shown_before
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.clients import idempotency, lifecycle, store
from hourpass.server.clients.idempotency import DoneBefore, IdempotencyKey
from hourpass.server.clients.model import Client, Status
from hourpass.server.refused import Conflict, Forbidden
from hourpass.server.rights import CLIENTS_WRITE

router = Pages()
_HOUR = "Tokens already issued stay valid for up to 1 hour."


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a dialog says, and whether it takes proof of who one is."""

    title: str
    button: str
    says: str
    offers_revoking: bool = False
    is_dangerous: bool = False
    warns_of_use: str = ""
    types_name: bool = False


DEEDS = {
    "rotate": Deed(
        title="Rotate the secret of {}?",
        button="Rotate secret",
        says=f"The old secret stops working now. A new one is shown once. {_HOUR}",
        offers_revoking=True,
        is_dangerous=True,
        warns_of_use="its integration fails at its next token request until it has the new secret",
    ),
    "suspend": Deed(
        title="Suspend {}?",
        button="Suspend",
        says=f"It gets no more tokens until you re-activate it. {_HOUR}",
        offers_revoking=True,
        warns_of_use="its integration stops when its token runs out",
    ),
    "activate": Deed(
        title="Re-activate {}?",
        button="Re-activate",
        says="It can get tokens again, with the secret that it has.",
    ),
    "revoke": Deed(
        title="Revoke the live tokens of {}?",
        button="Revoke tokens",
        says=(
            "Every token issued so far is refused where it is checked online. Where it is checked "
            "offline it stays valid for up to 1 hour. The client can get new tokens."
        ),
    ),
    "delete": Deed(
        title="Delete {}?",
        button="Delete client",
        says=(
            "It is removed for good and cannot be recovered; its audit trail stays. It gets no "
            f"more tokens. {_HOUR} Where tokens are checked online they fail at once."
        ),
        is_dangerous=True,
        types_name=True,
        warns_of_use="its integration stops when its token runs out",
    ),
}


def _pages_of(name: str, deed: Deed, do: Callable[[Visit, Client], Response]) -> None:
    @router.get(f"/clients/{{client_id}}/{name}", needs=CLIENTS_WRITE)
    def ask(visit: Visit) -> Response:
        client = lifecycle.read(visit.database, visit.names["client_id"], visit.origin)
        return _ask(visit, name, client)

    @router.post(f"/clients/{{client_id}}/{name}", needs=CLIENTS_WRITE)
    def answer(visit: Visit) -> Response:
        client = lifecycle.read(visit.database, visit.names["client_id"], visit.origin)
        if not _is_as_shown(visit, name, client):
            return _ask(visit, name, client, stale=True)
        if deed.types_name and visit.value("name").strip() != client.name:
            return _ask(visit, name, client, "Type the name exactly as it is.", status=422)
        try:
            if deed.is_dangerous:
                visit.prove_again()
            return do(visit, client)
        except Forbidden as refused:  # NOT_PROVEN among them
            return _ask(
                visit, name, client, refusals.words(refused), status=refusals.status(refused)
            )
        except Conflict as fact:
            client = lifecycle.read(visit.database, client.client_id, visit.origin)
            return _ask(visit, name, client, refusals.words(fact), status=409)


def _key(visit: Visit, client: Client) -> IdempotencyKey:
    return idempotency_key(visit, "rotate", [client.client_id, visit.is_checked("revoke")])


def _rotate(visit: Visit, client: Client) -> Response:
    try:
        made = lifecycle.rotate_secret(
            visit.database,
            visit.context.keyring(),
            client.client_id,
            visit.origin,
            revoke_live_tokens=visit.is_checked("revoke"),
            idempotency_key=_key(visit, client),
        )
    except DoneBefore:
        return shown_before(visit, client)
    return rotated(visit, made)


def _suspend(visit: Visit, client: Client) -> Response:
    revoke = visit.is_checked("revoke")
    after = lifecycle.suspend(
        visit.database, client.client_id, visit.origin, revoke_live_tokens=revoke
    )
    if after.version == client.version:
        return done(visit, client, "same")
    return done(visit, client, "suspended-revoked" if revoke else "suspended")


def _activate(visit: Visit, client: Client) -> Response:
    after = lifecycle.activate(visit.database, client.client_id, visit.origin)
    return done(visit, client, "same" if after.version == client.version else "activated")


def _revoke(visit: Visit, client: Client) -> Response:
    lifecycle.revoke_tokens(visit.database, client.client_id, visit.origin)
    return done(visit, client, "revoked")


def _delete(visit: Visit, client: Client) -> Response:
    lifecycle.delete(visit.database, client.client_id, visit.origin)
    return visit.redirect("/admin/clients?done=deleted")


for _name, _do in {
    "rotate": _rotate,
    "suspend": _suspend,
    "activate": _activate,
    "revoke": _revoke,
    "delete": _delete,
}.items():
    _pages_of(_name, DEEDS[_name], _do)


def _is_as_shown(visit: Visit, name: str, client: Client) -> bool:
    """Whether the client is what the dialog showed, or what this very form made of it.

    A form that a reload sends again meets the client as it left it.
    """
    if visit.value("version") == str(client.version):
        return True
    return name == "rotate" and idempotency.was_done(visit.database, _key(visit, client))


def _ask(
    visit: Visit,
    name: str,
    client: Client,
    fault: str = "",
    *,
    stale: bool = False,
    status: int = 200,
) -> Response:
    deed = DEEDS[name]
    with visit.database.read() as connection:
        last = store.last_token_at(connection, [client.client_id]).get(client.client_id)
    recent = last is not None and (visit.now - last).total_seconds() < 2 * 3600
    return visit.page(
        "clients/ask.html",
        status=412 if stale else status,
        client=client,
        name=name,
        nonce=visit.value("nonce") or new_nonce(),
        deed=deed,
        title=deed.title.format(client.name),
        fault=fault,
        stale=stale,
        last=last if recent and deed.warns_of_use else None,
        impossible=name in ("rotate", "activate") and client.status(visit.now) is Status.EXPIRED,
    )
