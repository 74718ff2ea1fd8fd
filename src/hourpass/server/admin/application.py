"""The admin UI as an ASGI app: bounds, who it is, no form from elsewhere, and errors as pages."""

import hmac
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, quote

import anyio
import anyio.to_thread
from starlette.responses import Response

from hourpass.oauth.errors import RequestTimeout, RequestTooLarge, TemporarilyUnavailable
from hourpass.server.admin import assets
from hourpass.server.admin.pages import ALL
from hourpass.server.admin.refusals import sentence
from hourpass.server.admin.routing import Page, find
from hourpass.server.admin.visit import ORGANIZATION_COOKIE, Site, Visit, who_is
from hourpass.server.context import Context
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.endpoints.gate import Gate
from hourpass.server.endpoints.http import (
    ROUTE,
    Headers,
    Receive,
    Scope,
    Send,
    all_of,
    caller_address,
    read_body,
)
from hourpass.server.operators.credentials.passwords import TooBusy
from hourpass.server.operators.sessions.browsers import name_of
from hourpass.server.operators.sessions.operations import NoAccess
from hourpass.server.operators.sessions.sign_in import TooManyFailures
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing, Stale
from hourpass.server.request_ids import new_request_id

MAX_BODY = 64 * 1024
_MAX_FIELDS = 1000
_MAX_PARAMETERS = 100
_SLOTS = 8
# Of their own: who floods the forms that anybody may send keeps out nobody who is signed in.
_DOORS, _SLOTS_AT_THE_DOORS = ("/admin/sign-in", "/admin/invitation"), 4
_FORM = b"application/x-www-form-urlencoded"
_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it browsers send `Origin: null` with a form of our own.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # until the thread has read the clock
_log = logging.getLogger(__name__)


class _FromElsewhere(Exception):
    """The form was not sent by a page of ours."""


class AdminPages:
    """Everything below `/admin`."""

    def __init__(self, context: Context) -> None:
        self._site = Site(context)
        self._inside, self._doors = _Room(_SLOTS), _Room(_SLOTS_AT_THE_DOORS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to its answer."""
        path = scope["path"][scope["path"].index("/admin") :]
        path = "/admin/" if path == "/admin" else path
        if path.startswith("/admin/static/"):
            response = assets.answer(path.removeprefix("/admin/static/"), scope)
        else:
            try:
                response = await self._page(scope, receive, path)
            except ConnectionError:
                return
            response.headers.setdefault("Cache-Control", "no-store")
        response.headers.update(_ALWAYS)
        if self._site.secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        await response(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, path: str) -> Response:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        visit = self._visit(scope, method, path)
        try:
            if method == "POST":
                visit.form = await _form(scope, receive, self._site.origin)
            is_at_a_door = method == "POST" and path.startswith(_DOORS)
            return await (self._doors if is_at_a_door else self._inside).answer(visit)
        except TemporarilyUnavailable:  # a thread may still be busy with this visit
            return _calm(self._visit(scope, method, path))
        except (RequestTooLarge, RequestTimeout):
            words = "That was more than this page takes, or it did not arrive in time."
            response = visit.page("error.html", status=413, title="Too much", words=words)
            response.headers["Connection"] = "close"
            return response
        except _FromElsewhere:
            return _refused_form(visit)
        finally:
            scope[ROUTE] = visit.route

    def _visit(self, scope: Scope, method: str, path: str) -> Visit:
        settings = self._site.context.settings
        return Visit(
            site=self._site,
            method=method,
            path=path,
            names={},
            query=_query(scope["query_string"]),
            form={},
            cookies=_cookies(scope["headers"], self._site.cookie, ORGANIZATION_COOKIE),
            request_id=new_request_id(),
            ip=caller_address(scope, settings.trusted_proxies) or None,
            browser=name_of(b" ".join(all_of(scope["headers"], b"user-agent")).decode("latin-1")),
            now=_EPOCH,
        )


class _Room:
    """Threads, and the gate before them."""

    def __init__(self, slots: int) -> None:
        self._limiter = anyio.CapacityLimiter(slots)
        self._gate = Gate(slots)

    async def answer(self, visit: Visit) -> Response:
        """The page. Raises Overloaded, TemporarilyUnavailable."""
        return await self._gate.through(
            lambda: anyio.to_thread.run_sync(_answer, visit, limiter=self._limiter)
        )


def _answer(visit: Visit) -> Response:
    """The page, in a thread: whatever goes wrong, it is a page that says what to do."""
    try:
        with visit.database.look() as connection:
            visit.now = visit.database.now(connection)
        return _opened(visit)
    except NoAccess:
        return visit.page("no_access.html", status=403)
    except DatabaseUnavailable as fault:
        _log.warning("%s %s: no database: %s", visit.method, visit.route or "/admin", fault)
        return _calm(visit)
    except Exception as fault:  # noqa: BLE001  (nobody ever meets a stack trace)
        kind = next((kind for kind in _WORDS if isinstance(fault, kind)), None)
        if kind is None:
            _log.exception("%s %s failed", visit.method, visit.route or "/admin")
            title, status = "Something is wrong on our side", 500
            words = f"It is in the server's log under {visit.request_id}. Nothing was changed."
        else:
            title, status = _WORDS[kind]
            words = sentence(str(fault))
        try:
            return visit.page("error.html", status=status, title=title, words=words)
        except DatabaseUnavailable:
            return _calm(visit)


def _opened(visit: Visit) -> Response:
    """Find the page, and see that the visitor may have it."""
    try:
        visit.who = who_is(visit.site, visit.token)
        no_access = None
    except NoAccess as fault:
        no_access = fault
    page, visit.names, allowed = find(ALL, visit.method, visit.path)
    visit.route = None if page is None else page.route.path
    if page is not None and page.is_open:
        _same_session(visit)
        return page.handler(visit)
    if no_access is not None:
        return visit.page("no_access.html", status=403)
    if visit.who is None:
        return _to_sign_in(visit)
    if page is None:
        if allowed:
            methods = ", ".join(sorted(allowed))
            words = "This address is where a form goes; there is nothing to look at."
            response = visit.page("error.html", status=405, title="Nothing to see", words=words)
            response.headers["Allow"] = methods
            return response
        raise Missing("there is no page at this address")
    _same_session(visit)
    _needs(visit, page)
    return page.handler(visit)


def _needs(visit: Visit, page: Page) -> None:
    if page.needs is not None:
        visit.rights.need(page.needs)


def _same_session(visit: Visit) -> None:
    """A form belongs to the session that it was made for; raises Conflict."""
    if visit.method == "POST" and not hmac.compare_digest(
        visit.value("csrf").encode("utf-8", "replace"), visit.csrf.encode()
    ):
        raise Conflict("you signed in or out meanwhile; open the page again and repeat it")


def _to_sign_in(visit: Visit) -> Response:
    if visit.method != "GET":
        form, _, _ = find(ALL, "GET", visit.path)
        back = quote(visit.path, safe="/") if form else ""
        return visit.redirect(f"/admin/sign-in?ended=1&next={back}")
    if visit.path in ("/admin", "/admin/"):
        return visit.redirect("/admin/sign-in")
    query = "&".join(f"{quote(k)}={quote(v)}" for k, v in visit.query.items())
    wanted = visit.path + (f"?{query}" if query else "")
    return visit.redirect(f"/admin/sign-in?next={quote(wanted, safe='/')}")


def _refused_form(visit: Visit) -> Response:
    words = (
        "This form was sent by another site, so nothing was done. Open the page here and repeat it."
    )
    return visit.page("error.html", status=403, title="Not from here", words=words)


def _calm(visit: Visit) -> Response:
    response = visit.site.templates.response("unavailable.html", 503, now=visit.now)
    response.headers["Retry-After"] = "5"
    return response


async def _form(scope: Scope, receive: Receive, own: str) -> dict[str, list[str]]:
    """The fields; raises _FromElsewhere for what no page of ours, at `own`, can have sent."""
    headers = scope["headers"]
    media_type = b"".join(all_of(headers, b"content-type")).partition(b";")[0].strip().lower()
    if not _is_from_here(headers, own) or media_type != _FORM:
        raise _FromElsewhere
    body = await read_body(receive, MAX_BODY)
    try:
        return parse_qs(
            body.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="replace",
        )
    except ValueError:
        raise RequestTooLarge from None


def _is_from_here(headers: Headers, own: str) -> bool:
    """By what the browser says of the page that sent it, which no page can change.

    Every browser of today sends Sec-Fetch-Site; an older one sends Origin, which then has to be
    `own`, the issuer's.
    """
    site = all_of(headers, b"sec-fetch-site")
    if site:
        return site == [b"same-origin"]
    return all_of(headers, b"origin") == [own.encode("ascii")]


def _query(octets: bytes) -> Mapping[str, str]:
    """The parameters of the address; of one with absurdly many, none."""
    try:
        return dict(parse_qsl(octets.decode("latin-1"), max_num_fields=_MAX_PARAMETERS))
    except ValueError:
        return {}


def _cookies(headers: Headers, *names: str) -> Mapping[str, str]:
    """Those with one of `names`; of two with the same name neither: which is ours nobody can tell.

    Not `SimpleCookie`, whose time grows with the square of the backslashes in a value. Blanks
    are RFC 6265's two: with more of them a name that begins with one would be `__Host-…`, too.
    """
    found: dict[str, list[str]] = {name: [] for name in names}
    for pair in b";".join(all_of(headers, b"cookie")).decode("latin-1").split(";"):
        name, _, value = pair.partition("=")
        found.get(name.strip(" \t"), []).append(value.strip(" \t"))
    return {name: values[0] for name, values in found.items() if len(values) == 1}


_WORDS: dict[type[Exception], tuple[str, int]] = {
    TooManyFailures: ("Wait a moment", 429),
    TooBusy: ("Many people are signing in", 503),
    Missing: ("Not here", 404),
    Forbidden: ("Not for you to do", 403),
    Stale: ("It was changed meanwhile", 412),
    Conflict: ("That does not fit how things stand", 409),
    BadInput: ("That cannot be used", 422),
}
