"""Account: passkeys, to add and to remove."""

import binascii
from base64 import urlsafe_b64decode

from starlette.responses import JSONResponse, Response

from hourpass.server.admin import refusals
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.operators.credentials import passkeys
from hourpass.server.operators.credentials.passkeys import PasskeyRefused, RelyingParty
from hourpass.server.operators.credentials.store import Passkey
from hourpass.server.operators.model import NotFound
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing

router = Pages()
_BACK = "/admin/account#passkeys"


@router.get("/account/passkeys/new")
def new(visit: Visit) -> Response:
    """Its name; before that, the proof of who this is."""
    return _new(visit)


@router.post("/account/passkeys/prove")
def prove(visit: Visit) -> Response:
    """The proof alone: the browser makes the passkey on the page that comes next."""
    try:
        visit.prove_again()
    except refusals.NOT_PROVEN as refused:
        return _new(visit, refused)
    return visit.redirect("/admin/account/passkeys/new")


@router.post("/account/passkeys/options")
def options(visit: Visit) -> Response:
    """For the script: what `navigator.credentials.create` takes."""
    _require_fresh(visit)
    ceremony = passkeys.begin_registration(visit.database, party_of(visit), visit.current.operator)
    return JSONResponse({"ceremony": ceremony.token.reveal(), "options": ceremony.options})


@router.post("/account/passkeys/new")
def add(visit: Visit) -> Response:
    """What the authenticator made."""
    _require_fresh(visit)
    try:
        passkeys.finish_registration(
            visit.database,
            party_of(visit),
            visit.current.operator,
            Token(visit.value("ceremony")),
            visit.value("response"),
            visit.value("name"),
            visit.origin,
        )
    except (BadInput, Conflict, PasskeyRefused) as refused:
        return _new(visit, refused)
    return visit.redirect(_BACK)


@router.get("/account/passkeys/{key}/remove")
def ask_to_remove(visit: Visit) -> Response:
    """What removing it means."""
    return _remove(visit, _key(visit))


@router.post("/account/passkeys/{key}/remove")
def remove(visit: Visit) -> Response:
    """It signs nobody in any more."""
    key = _key(visit)
    try:
        visit.prove_again()
    except refusals.NOT_PROVEN as refused:
        return _remove(visit, key, refused)
    try:
        passkeys.remove(visit.database, visit.current.operator, key.credential_id, visit.origin)
    except NotFound:
        raise Missing("this passkey was removed meanwhile") from None
    return visit.redirect(_BACK)


def party_of(visit: Visit) -> RelyingParty:
    """Whom passkeys are for; raises Missing where they cannot be used."""
    if visit.site.party is None:
        raise Missing("passkeys need a host name in HOURPASS_ISSUER, not an address")
    return visit.site.party


def _require_fresh(visit: Visit) -> None:
    if not visit.is_fresh:
        raise Forbidden("you signed in a while ago; open the page again and prove that it is you")


def _key(visit: Visit) -> Passkey:
    """One of the person's own, by what stands in the path."""
    name = visit.names["key"]
    try:
        wanted = urlsafe_b64decode(name + "=" * (-len(name) % 4))
    except (binascii.Error, ValueError):
        wanted = b""
    found = next((key for key in visit.passkeys if key.credential_id == wanted), None)
    if found is None:
        raise Missing("you have no such passkey")
    return found


def _new(visit: Visit, refused: Exception | None = None) -> Response:
    return visit.page(
        "account/new_passkey.html",
        status=refusals.status(refused),
        fault=refusals.words(refused),
        name=visit.value("name"),
        possible=visit.site.party is not None,
    )


def _remove(visit: Visit, key: Passkey, refused: Exception | None = None) -> Response:
    return visit.page(
        "account/remove_passkey.html",
        status=refusals.status(refused),
        fault=refusals.words(refused),
        key=key,
    )
