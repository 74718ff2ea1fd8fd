"""One visit of a page: who it is, what they may do where they look, and how to answer."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response

from hourpass.server.admin.places import Places
from hourpass.server.admin.render import Templates
from hourpass.server.audit.events import SYSTEM, Origin
from hourpass.server.catalogue.model import Catalogue
from hourpass.server.clients.usage import Period
from hourpass.server.context import Context
from hourpass.server.db.engine import Database
from hourpass.server.operators.credentials import store as credentials
from hourpass.server.operators.credentials.passkeys import PasskeyRefused, RelyingParty
from hourpass.server.operators.credentials.passwords import Password, Passwords
from hourpass.server.operators.credentials.store import Passkey
from hourpass.server.operators.sessions import operations as sessions
from hourpass.server.operators.sessions import sign_in
from hourpass.server.operators.sessions.operations import Current
from hourpass.server.operators.sessions.sign_in import SignInRefused
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import Forbidden
from hourpass.server.rights import NONE, Rights

ORGANIZATION_COOKIE = "hourpass-organization"
_NEXT = re.compile(r"/admin/[A-Za-z0-9/_.~?&=%+*:-]{0,500}")


class Site:
    """What all visits of a process share."""

    def __init__(self, context: Context) -> None:
        self.context = context
        issuer = urlsplit(context.settings.issuer)
        self.root = issuer.path
        self.secure = issuer.scheme == "https"
        # As browsers spell it: in lower case, and without the port that the scheme has anyway.
        host = issuer.netloc.lower().removesuffix(":443" if self.secure else ":80")
        self.origin = f"{issuer.scheme}://{host}"
        # Plain http is only for a loopback host, where not every browser takes Secure cookies.
        self.cookie = "__Host-hourpass" if self.secure else "hourpass"
        self.party = RelyingParty.of(context.settings.issuer)
        self.hashing = Passwords()
        self.templates = Templates(self.root)
        self.hours: dict[tuple[str | None, datetime], Period] = {}
        """What was done in hours that are over, by organization: it does not change any more."""


@dataclass(slots=True, kw_only=True)
class Visit:
    """A request for a page. `form` has the fields of a POST, `names` the parts of the path."""

    site: Site = field(repr=False)
    method: str
    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, list[str]] = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)
    request_id: str
    ip: str | None
    browser: str | None
    """What it calls itself, in our words."""
    who: Current | None = None
    now: datetime
    route: str | None = None
    """The template of the path, once the page is found."""
    _places: Places | None = None

    @property
    def context(self) -> Context:
        """The installation."""
        return self.site.context

    @property
    def database(self) -> Database:
        """The installation's."""
        return self.site.context.database

    @property
    def token(self) -> Token:
        """The session's; of a visitor who has none, one that opens nothing."""
        return Token(self.cookies.get(self.site.cookie, ""))

    @property
    def csrf(self) -> str:
        """What every form of this session carries: nobody else's page can know it."""
        key = self.token.reveal().encode("utf-8", "surrogatepass")
        return hmac.new(key, b"form", hashlib.sha256).hexdigest()

    @property
    def current(self) -> Current:
        """Who is signed in. Raises Forbidden on a page that is open to everybody."""
        if self.who is None:
            raise Forbidden("sign in first")
        return self.who

    def value(self, name: str) -> str:
        """A field of the form; empty when it is not there."""
        return (self.form.get(name) or [""])[0]

    def values(self, name: str) -> list[str]:
        """A field that may be there more than once."""
        return self.form.get(name, [])

    def is_checked(self, name: str) -> bool:
        """Whether a box of the form is ticked."""
        return bool(self.value(name))

    @property
    def passkeys(self) -> list[Passkey]:
        """The person's, oldest first; none where the issuer's host has no name."""
        if self.site.party is None:
            return []
        with self.database.read() as connection:
            return credentials.passkeys(connection, self.current.operator.operator_id)

    @property
    def needs_code(self) -> bool:
        """Whether the person has an authenticator app."""
        with self.database.read() as connection:
            return credentials.has_totp(connection, self.current.operator.operator_id)

    # --- what the visitor may do --------------------------------------------------------------

    @property
    def places(self) -> Places:
        """The organizations that the person may look at."""
        if self._places is None:
            remembered = self.cookies.get(ORGANIZATION_COOKIE, "")
            self._places = Places(self.database, self.current.powers, remembered)
        return self._places

    @property
    def organization(self) -> str | None:
        """The organization that is looked at; None: all of them."""
        current = self.places.current
        return None if current is None else current.id

    @property
    def same_place(self) -> str:
        """The page that is this one in another organization: of one client's, the list."""
        return f"/admin/{self.path.split('/')[2]}" if self.names else self.path

    @property
    def rights(self) -> Rights:
        """What the person may do there, read now."""
        organization, powers = self.organization, self.current.powers
        return Rights(scopes=powers.within(organization), organization=organization)

    @property
    def catalogue(self) -> Catalogue:
        """As it is for the person: without what is kept to organizations they do not see."""
        return self.context.catalogue().within(self.rights.only_organization)

    @property
    def origin(self) -> Origin:
        """Who asks."""
        return Origin(
            actor=SYSTEM if self.who is None else self.who.operator.actor,
            rights=NONE if self.who is None else self.rights,
            request_id=self.request_id,
            ip=self.ip,
            browser=self.browser,
        )

    @property
    def is_fresh(self) -> bool:
        """Whether the person proved themselves recently enough for a dangerous deed."""
        return self.current.session.is_fresh(self.now)

    def prove_again(self) -> None:
        """Before a dangerous deed, unless `is_fresh`: with the fields that `ui.proof()` shows.

        They are `password` and `code`, or `ceremony` and `response` of a passkey. Raises
        SignInRefused, TooManyFailures, TooBusy.
        """
        if self.is_fresh:
            return
        if self.value("response"):
            self._prove_with_passkey()
        else:
            sign_in.reauthenticate(
                self.database,
                self.site.hashing,
                self.context.policy.master,
                self.current,
                Password(self.value("password")),
                self.value("code"),
                self.origin,
            )
        # A form that is shown again after another mistake does not ask for the proof again.
        self.who = who_is(self.site, self.token)

    def _prove_with_passkey(self) -> None:
        if self.site.party is None:
            raise SignInRefused
        try:
            sign_in.reauthenticate_with_passkey(
                self.database,
                self.site.party,
                self.current,
                Token(self.value("ceremony")),
                self.value("response"),
                self.origin,
            )
        except PasskeyRefused:
            raise SignInRefused from None

    # --- answers ------------------------------------------------------------------------------

    def page(self, template: str, *, status: int = 200, **values: object) -> Response:
        """A page made from a template."""
        shared: dict[str, object] = {"visit": self, "now": self.now, "form_key": self.csrf}
        if self.who is not None:
            shared |= {"may": self.rights.may, "person": self.who.operator}
        html = self.site.templates.render(template, {**shared, **values})
        return HTMLResponse(html, status_code=status)

    def redirect(self, path: str) -> Response:
        """Go on there, with GET; `path` begins with /admin/."""
        return RedirectResponse(self.site.root + path, status_code=303)

    def go_on(self) -> Response:
        """Where the visitor was about to go before signing in; nowhere but to pages of ours."""
        wanted = self.value("next") or self.query.get("next", "")
        return self.redirect(wanted if is_ours(wanted) else "/admin/")

    def set_session(self, response: Response, token: Token) -> Response:
        """From now on this browser has that session."""
        response.set_cookie(
            self.site.cookie,
            token.reveal(),
            path="/",
            secure=self.site.secure,
            httponly=True,
            samesite="lax",
        )
        return response

    def end_session(self, response: Response) -> Response:
        """This browser has no session any more."""
        response.delete_cookie(
            self.site.cookie, path="/", secure=self.site.secure, httponly=True, samesite="lax"
        )
        return response


def is_ours(path: str) -> bool:
    """Whether it leads to a page of ours: no other host, whatever a browser makes of it."""
    return _NEXT.fullmatch(path) is not None and "//" not in path and ".." not in path


def who_is(site: Site, token: Token) -> Current | None:
    """Whose session it is; raises NoAccess."""
    return sessions.current(site.context.database, token) if token.reveal() else None
