"""The account of whoever is signed in: what they sign in with, and where they are signed in."""

from starlette.responses import Response

from hourpass.server.admin import refusals
from hourpass.server.admin.places import MENU
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.operators.credentials import store as credentials
from hourpass.server.operators.credentials.passwords import Password
from hourpass.server.operators.model import NotFound
from hourpass.server.operators.sessions import operations, sign_in
from hourpass.server.operators.sessions.model import Method
from hourpass.server.operators.sessions.sign_in import SignInRefused, TooManyFailures
from hourpass.server.refused import BadInput, Missing

router = Pages()
_WAYS = {
    Method.PASSWORD: "Password",
    Method.TOTP: "Password and app",
    Method.RECOVERY_CODE: "Password and recovery code",
    Method.PASSKEY: "Passkey",
}


@router.get("/account")
def account(visit: Visit) -> Response:
    """Everything on one page."""
    who = visit.current
    with visit.database.read() as connection:
        app = credentials.totp(connection, who.operator.operator_id)
        codes_left = credentials.recovery_codes_left(connection, who.operator.operator_id)
    roles = sorted(who.operator.roles.items(), key=lambda each: each[0] or "")
    names = visit.places.names(where for where, _ in roles[:MENU] if where is not None)
    return visit.page(
        "account/account.html",
        roles=[
            ("the whole installation" if where is None else names.get(where, where), role.value)
            for where, role in roles[:MENU]
        ],
        more_roles=len(roles[MENU:]),
        app_since=None if app is None else app.confirmed_at,
        codes_left=codes_left,
        sessions=operations.live_sessions(visit.database, who.operator.operator_id),
        here=who.session.session_id,
        ways=_WAYS,
    )


@router.get("/account/password")
def password(visit: Visit) -> Response:
    """The form for another password."""
    return _password(visit)


@router.post("/account/password")
def change_password(visit: Visit) -> Response:
    """Another password. The one they have is asked for always, so it is the proof as well."""
    try:
        visit.prove_again()
        sign_in.change_password(
            visit.database,
            visit.site.hashing,
            visit.current,
            Password(visit.value("password")),
            Password(visit.value("new")),
            visit.origin,
        )
    except (BadInput, *refusals.NOT_PROVEN) as refused:
        return _password(visit, refused)
    return visit.redirect("/admin/account#password")


@router.post("/account/sessions/{session_id}/end")
def end_session(visit: Visit) -> Response:
    """Sign out one browser."""
    try:
        operations.end_session(
            visit.database, visit.current.operator, visit.names["session_id"], visit.origin
        )
    except NotFound:
        raise Missing("that session is over already") from None
    return visit.redirect("/admin/account#sessions")


@router.post("/account/sessions/end")
def end_others(visit: Visit) -> Response:
    """Sign out every browser but this one."""
    who = visit.current
    operations.end_every_session(
        visit.database, who.operator, visit.origin, but=who.session.session_id
    )
    return visit.redirect("/admin/account#sessions")


def _password(visit: Visit, refused: Exception | None = None) -> Response:
    fault, member = "", ""
    match refused:
        case BadInput():
            # `check_new` names the field "password"; here that is the old one's name.
            fault, member, status = f"The new password: {refused.problem}.", "new", 422
        case TooManyFailures():
            fault, status = refusals.words(refused), 429
        case SignInRefused():
            fault, status = "That is not the password you have now, or the code was wrong.", 403
        case _:
            status = 200
    return visit.page("account/password.html", status=status, fault=fault, member=member)
