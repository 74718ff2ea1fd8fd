"""Account: the authenticator app (TOTP) and its recovery codes."""

from starlette.responses import Response

from hourpass.server.admin import qr, refusals
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.operators.credentials import totp
from hourpass.server.operators.model import NotFound
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput, Conflict, Missing

router = Pages()
_BACK = "/admin/account#authenticator"


@router.get("/account/authenticator")
def set_up(visit: Visit) -> Response:
    """Where to scan and confirm; before that, what it is and the proof of who this is."""
    if visit.needs_code:
        return visit.redirect(_BACK)
    return _set_up(visit)


@router.post("/account/authenticator")
def begin(visit: Visit) -> Response:
    """A new secret; it is shown on the page that comes next."""
    try:
        visit.prove_again()
    except refusals.NOT_PROVEN as refused:
        return _set_up(visit, refused)
    totp.begin(visit.database, visit.context.policy.master, visit.current.operator)
    return visit.redirect("/admin/account/authenticator")


@router.post("/account/authenticator/confirm")
def confirm(visit: Visit) -> Response:
    """The app works: the answer shows the recovery codes, this once."""
    if not visit.is_fresh:
        return visit.redirect("/admin/account/authenticator")
    try:
        codes = totp.confirm(
            visit.database,
            visit.context.policy.master,
            visit.current.operator,
            visit.value("app_code"),
            visit.origin,
        )
    except BadInput as wrong:
        return _set_up(visit, wrong)
    except (NotFound, Conflict):  # removed or confirmed meanwhile; a reload of this answer
        return visit.redirect(_BACK)
    return _codes(visit, codes)


@router.get("/account/authenticator/renew")
def ask_to_renew(visit: Visit) -> Response:
    """What new recovery codes mean."""
    return _ask(visit, "renew_codes.html")


@router.post("/account/authenticator/renew")
def renew(visit: Visit) -> Response:
    """New recovery codes; the answer shows them, this once."""
    try:
        visit.prove_again()
    except refusals.NOT_PROVEN as refused:
        return _ask(visit, "renew_codes.html", refused)
    try:
        codes = totp.renew_recovery_codes(visit.database, visit.current.operator, visit.origin)
    except NotFound:
        raise Missing("there is no authenticator app any more") from None
    return _codes(visit, codes)


@router.get("/account/authenticator/remove")
def ask_to_remove(visit: Visit) -> Response:
    """What removing the app means."""
    return _ask(visit, "remove_app.html")


@router.post("/account/authenticator/remove")
def remove(visit: Visit) -> Response:
    """The password alone signs in again."""
    try:
        visit.prove_again()
    except refusals.NOT_PROVEN as refused:
        return _ask(visit, "remove_app.html", refused)
    try:
        totp.remove(visit.database, visit.current.operator, visit.origin)
    except NotFound:
        raise Missing("there is no authenticator app any more") from None
    return visit.redirect(_BACK)


def _set_up(visit: Visit, refused: Exception | None = None) -> Response:
    enrolment = None
    if visit.is_fresh:  # the secret is for nobody else's eyes
        master = visit.context.policy.master
        enrolment = totp.begun(visit.database, master, visit.current.operator)
    if enrolment is None:
        return visit.page(
            "account/begin_app.html", status=refusals.status(refused), fault=refusals.words(refused)
        )
    secret, uri = enrolment.secret.reveal(), enrolment.uri.reveal()
    return visit.page(
        "account/confirm_app.html",
        status=refusals.status(refused),
        fault=refusals.words(refused),
        secret=secret,
        grouped=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        uri=uri,
        code=qr.drawn(uri),
    )


def _ask(visit: Visit, template: str, refused: Exception | None = None) -> Response:
    if not visit.needs_code:
        return visit.redirect(_BACK)
    return visit.page(
        f"account/{template}", status=refusals.status(refused), fault=refusals.words(refused)
    )


def _codes(visit: Visit, codes: list[Token]) -> Response:
    return visit.page("account/codes.html", codes=[code.reveal() for code in codes])
