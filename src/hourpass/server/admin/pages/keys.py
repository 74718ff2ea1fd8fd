"""Settings > Signing keys: where each stands, and rotating them."""

from starlette.responses import Response

from hourpass.server.admin import refusals
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.keys import model, operations, store
from hourpass.server.keys.model import KeyState
from hourpass.server.rights import KEYS_READ, KEYS_WRITE

router = Pages()
MEANING = {
    KeyState.NEXT: "Published already, so that every verifier knows it when it begins to sign.",
    KeyState.ACTIVE: "Signs every new token.",
    KeyState.RETIRING: "Signs no more; tokens that it signed are still good.",
    KeyState.GONE: "No token that it signed is good any more.",
    KeyState.REVOKED: "Was revoked: tokens that it signed are refused.",
}


@router.get("/keys", needs=KEYS_READ)
def list_(visit: Visit) -> Response:
    """Every key, the youngest first."""
    with visit.database.read() as connection:
        keys = store.signing_keys(connection)
    return visit.page(
        "keys/list.html",
        keys=sorted(keys, key=lambda key: key.activates_at, reverse=True),
        meaning=MEANING,
        period=visit.context.settings.key_period_days,
        done=visit.query.get("done") == "rotated",
    )


@router.get("/keys/rotate", needs=KEYS_WRITE)
def ask(visit: Visit) -> Response:
    """Ask first."""
    return _ask(visit)


@router.post("/keys/rotate", needs=KEYS_WRITE)
def rotate(visit: Visit) -> Response:
    """Let the next key sign, as soon as every verifier can know it.

    The form names the key that was next when it was made: two people at once, or one form sent
    twice, rotate once.
    """
    try:
        visit.prove_again()
    except refusals.NOT_PROVEN as refused:
        return _ask(visit, refusals.words(refused), status=refusals.status(refused))
    if visit.value("coming") != _coming(visit):
        meanwhile = "The keys were rotated meanwhile, so nothing more was done."
        return _ask(visit, meanwhile, status=409)
    operations.rotate(visit.database, visit.context.policy, visit.origin)
    return visit.redirect("/admin/keys?done=rotated")


def _ask(visit: Visit, fault: str = "", *, status: int = 200) -> Response:
    minutes = int(model.PUBLISHED_BEFORE_USE.total_seconds() // 60)
    return visit.page(
        "keys/rotate.html", status=status, fault=fault, minutes=minutes, coming=_coming(visit)
    )


def _coming(visit: Visit) -> str:
    """The ID of the key that is next; empty while there is none."""
    with visit.database.read() as connection:
        keys = store.signing_keys(connection)
    return next((key.kid for key in keys if key.state(visit.now) is KeyState.NEXT), "")
