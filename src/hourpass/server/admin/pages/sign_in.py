"""Signing in and out, and what a one-time link opens: the only pages open to everybody."""

from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from hourpass.server.admin import refusals
from hourpass.server.admin.pages.passkeys import party_of
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.operators import lifecycle
from hourpass.server.operators.credentials import passkeys
from hourpass.server.operators.credentials.passkeys import PasskeyRefused
from hourpass.server.operators.credentials.passwords import Password
from hourpass.server.operators.lifecycle import DeadLink, LinkShown
from hourpass.server.operators.sessions import operations, sign_in
from hourpass.server.operators.sessions.model import Stage
from hourpass.server.operators.sessions.sign_in import SignedIn, SignInRefused
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput

router = Pages()


@router.get("/sign-in", is_open=True)
def sign_in_page(visit: Visit) -> Response:
    """For who is not signed in; others go on."""
    if visit.who is not None:
        return visit.go_on()
    return _sign_in(visit)


@router.post("/sign-in", is_open=True)
def sign_in_with_password(visit: Visit) -> Response:
    """With a password; on to the code where one is needed."""
    try:
        done = sign_in.sign_in(
            visit.database,
            visit.site.hashing,
            visit.context.policy.master,
            visit.value("email"),
            Password(visit.value("password")),
            visit.origin,
        )
    except refusals.NOT_PROVEN as refused:
        return _sign_in(visit, refused)
    if done.session.stage is Stage.CODE:
        on = f"/admin/sign-in/code?next={quote(visit.value('next'), safe='/')}"
        return visit.set_session(visit.redirect(on), done.token)
    return _signed_in(visit, done)


@router.get("/sign-in/code", is_open=True)
def code_page(visit: Visit) -> Response:
    """The second step's form."""
    return _code(visit)


@router.post("/sign-in/code", is_open=True)
def sign_in_with_code(visit: Visit) -> Response:
    """The second step."""
    try:
        done = sign_in.give_code(
            visit.database,
            visit.context.policy.master,
            visit.token,
            visit.value("code"),
            visit.origin,
        )
    except refusals.NOT_PROVEN as refused:
        return _code(visit, refused)
    return _signed_in(visit, done)


@router.post("/sign-in/passkey/options", is_open=True)
def passkey_options(visit: Visit) -> Response:
    """For the script: what `navigator.credentials.get` takes."""
    ceremony = passkeys.begin_authentication(visit.database, party_of(visit))
    return JSONResponse({"ceremony": ceremony.token.reveal(), "options": ceremony.options})


@router.post("/sign-in/passkey", is_open=True)
def sign_in_with_passkey(visit: Visit) -> Response:
    """With a passkey alone."""
    try:
        done = sign_in.sign_in_with_passkey(
            visit.database,
            party_of(visit),
            Token(visit.value("ceremony")),
            visit.value("response"),
            visit.origin,
        )
    except PasskeyRefused as refused:
        return _sign_in(visit, refused)
    return _signed_in(visit, done)


@router.post("/sign-out", is_open=True)  # also for who has a session and no access any more
def sign_out(visit: Visit) -> Response:
    """The session is over, on the server too."""
    operations.sign_out(visit.database, visit.token, visit.origin)
    return visit.end_session(visit.redirect("/admin/sign-in"))


@router.get("/invitation", is_open=True)
def invitation(visit: Visit) -> Response:
    """The link's secret is behind its #: the script puts it into the form."""
    return _invitation(visit, None)


@router.post("/invitation", is_open=True)
def use_invitation(visit: Visit) -> Response:
    """Look at a link, then use it."""
    token = Token(visit.value("token").strip().lstrip("#"))
    try:
        shown = lifecycle.look_at_link(visit.database, token)
        if visit.value("step") != "use":
            return _invitation(visit, shown)
        email, password = visit.value("email"), Password(visit.value("password"))
        operator = lifecycle.use_link(
            visit.database, visit.site.hashing, token, password, visit.origin, email=email
        )
    except DeadLink as dead:
        return _invitation(visit, None, dead)
    except BadInput as wrong:
        return _invitation(visit, shown, wrong)
    done = sign_in.sign_in(
        visit.database,
        visit.site.hashing,
        visit.context.policy.master,
        operator.email,
        password,
        visit.origin,
    )
    return _signed_in(visit, done)


def _sign_in(visit: Visit, refused: Exception | None = None) -> Response:
    return visit.page(
        "sign_in.html",
        status=refusals.status(refused),
        fault=_words(refused),
        email=visit.value("email"),
        next=visit.value("next") or visit.query.get("next", ""),
        ended=refused is None and "ended" in visit.query,
        passkeys=visit.site.party is not None,
    )


def _code(visit: Visit, refused: Exception | None = None) -> Response:
    return visit.page(
        "code.html",
        status=refusals.status(refused),
        fault=_words(refused),
        next=visit.value("next") or visit.query.get("next", ""),
    )


def _invitation(
    visit: Visit, shown: LinkShown | None, refused: Exception | None = None
) -> Response:
    return visit.page(
        "invitation.html",
        status=refusals.status(refused),
        fault=_words(refused),
        shown=shown,
        token=visit.value("token").strip().lstrip("#"),
        email=visit.value("email"),
    )


def _signed_in(visit: Visit, done: SignedIn) -> Response:
    if visit.who is not None:  # the session that this browser had is nobody's now
        operations.sign_out(visit.database, visit.token, visit.origin)
    return visit.set_session(visit.go_on(), done.token)


def _words(refused: Exception | None) -> str:
    if isinstance(refused, SignInRefused):  # who it is was not proved a first time
        return refusals.sentence(str(refused))
    return refusals.words(refused)
