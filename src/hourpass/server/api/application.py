"""The management API as an ASGI app: FastAPI inside, bounds and refusals around it.

Whatever a caller sends, the answer is JSON with a request ID, is never cached, and shows no
stack trace.
"""

import asyncio
import json
import logging
from collections.abc import Coroutine, Iterator, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from hourpass.oauth import strict_json
from hourpass.oauth.errors import RequestTimeout, RequestTooLarge
from hourpass.server.api import audit, catalogue, clients, document, keys, operators, organizations
from hourpass.server.api.call import Installation
from hourpass.server.api.document import PREFIX
from hourpass.server.api.problems import (
    INTERNAL,
    INVALID_INPUT,
    INVALID_REQUEST,
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    REQUEST_TIMEOUT,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    problem_of,
)
from hourpass.server.audit.events import printable
from hourpass.server.context import Context
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.endpoints.gate import Gate
from hourpass.server.endpoints.http import (
    NO_STORE,
    ROUTE,
    Answer,
    Receive,
    Scope,
    Send,
    all_of,
    caller_address,
    read_body,
    respond,
)
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing
from hourpass.server.request_ids import new_request_id

MAX_BODY = 64 * 1024
# Deeds wait for the database in threads. More of them only wrestle for the interpreter: measured
# with 2, 4 and 8, creating clients was fastest with 4 on both databases.
_THREADS = 4
_WITH_BODY = ("POST", "PUT", "PATCH")
_ONCE = (b"authorization", b"idempotency-key", b"if-match", b"content-type")
_CSP = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_KNOWN = (Problem, BadInput, Missing, Forbidden, Conflict, DatabaseUnavailable)
_log = logging.getLogger(__name__)


class ManagementApi:
    """Everything below `/api/v1`."""

    def __init__(self, context: Context) -> None:
        self._app = _application(context)
        self._trusted = context.settings.trusted_proxies
        self._bounded = False
        self._gate = Gate(_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to its answer."""
        if not self._bounded:
            anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
            self._bounded = True
        request_id = new_request_id()
        answer = _Answering(send, request_id)
        try:
            body = await _checked(scope, receive)
            inner = {
                **scope,
                "path": scope["path"][scope["path"].index(PREFIX) :],
                "root_path": "",
                "hourpass.request_id": request_id,
                "hourpass.ip": caller_address(scope, self._trusted),
            }

            async def begun() -> asyncio.Task[None]:
                return await answer.begun_by(self._app(inner, _replaying(body, receive), answer))

            try:
                await (await self._gate.through(begun))
            finally:
                scope[ROUTE] = getattr(inner.get("route"), "path", None)
        except ConnectionError:
            return
        except Exception as fault:  # noqa: BLE001  (no caller ever meets a stack trace)
            problem = problem_of(fault)
            if problem is None:
                _log.exception("%s %s failed", scope["method"], scope.get(ROUTE) or PREFIX)
                problem = _bug()
            if not answer.began:
                await answer.problem(problem)


class _Answering:
    """Sends an answer with what every answer has."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._begins = asyncio.Event()
        self._is_over = False
        self.began = False

    async def begun_by(self, app: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run it until its answer begins: what follows, an export perhaps, may take its time."""
        running = asyncio.create_task(app)
        running.add_done_callback(self._ended)
        await self._begins.wait()
        return running

    def _ended(self, running: "asyncio.Task[None]") -> None:
        self._begins.set()
        if not running.cancelled():
            running.exception()  # whoever still waits for it gets it

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """What the app sends; ConnectionError when the caller has got a problem meanwhile."""
        if self._is_over:
            raise ConnectionError("the caller was told that this took too long")
        if message["type"] == "http.response.start":
            self._begins.set()  # by the app: after a problem it keeps its slot until it is over
        await self._pass_on(message)

    async def _pass_on(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            extra = [*NO_STORE, (b"x-request-id", self._request_id.encode("ascii"))]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await self._send(message)

    async def problem(self, problem: Problem) -> None:
        """A refusal that FastAPI never saw. What it still sends is for nobody."""
        self._is_over = True
        headers = [(name.lower().encode(), text.encode()) for name, text in problem.headers.items()]
        if problem.kind in (TOO_LARGE, REQUEST_TIMEOUT):
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        media_type = (b"content-type", MEDIA_TYPE.encode("ascii"))
        body = problem.body(self._request_id)
        await respond(self._pass_on, Answer(problem.kind.status, [media_type, *headers], body))


async def _checked(scope: Scope, receive: Receive) -> bytes:
    """The body, when the request is one that FastAPI may see; raises Problem."""
    headers = scope["headers"]
    for name in _ONCE:
        if len(all_of(headers, name)) > 1:
            raise Problem(INVALID_REQUEST, f"the header {name.decode('ascii')} was sent twice")
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Problem(INVALID_REQUEST, "a parameter was sent twice")
    if scope["method"] not in _WITH_BODY:
        return b""
    try:
        body = await read_body(receive, MAX_BODY)
    except RequestTooLarge:
        raise Problem(TOO_LARGE, f"send at most {MAX_BODY // 1024} KiB") from None
    except RequestTimeout:
        raise Problem(REQUEST_TIMEOUT, "send the body in one go, within ten seconds") from None
    if body:
        media_type = b"".join(all_of(headers, b"content-type")).partition(b";")[0].strip().lower()
        if media_type != b"application/json":
            raise Problem(UNSUPPORTED_MEDIA_TYPE, "send application/json")
        _check_json(body)
    return body


def _check_json(body: bytes) -> None:
    """JSON as others read it, too: FastAPI would take any of two equal names."""
    try:
        strict_json.loads(body)
    except ValueError as fault:
        raise Problem(INVALID_REQUEST, "the body is not JSON, or says something twice") from fault


def _replaying(body: bytes, receive: Receive) -> Receive:
    """The body as one message; then whatever comes, which is that the caller went away."""
    done = False

    async def replay() -> MutableMapping[str, Any]:
        nonlocal done
        if done:
            return await receive()
        done = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def with_routes() -> FastAPI:
    """The routes that the document describes; no installation behind them yet."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for part in (clients, catalogue, audit, keys, organizations, operators):
        app.router.routes.extend(part.router.routes)
    return app


def _application(context: Context) -> FastAPI:
    app = with_routes()
    app.state.installation = Installation(context)
    described = document.openapi(
        app, issuer=context.settings.issuer, identifier=context.management_identifier
    )
    app.router.routes.extend(_pages(described))
    for kind in _KNOWN:
        app.add_exception_handler(kind, _on_known)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)
    return app


def _pages(described: dict[str, Any]) -> Iterator[Route]:
    """The document and its page: for everybody, since they tell nothing of this installation."""
    as_json = json.dumps(described, ensure_ascii=False).encode()
    as_html = document.page(described)
    style = document.STYLE.read_bytes()
    pages = {
        "/openapi.json": (as_json, "application/json"),
        "/docs": (as_html, "text/html; charset=utf-8"),
        "/docs/style.css": (style, "text/css; charset=utf-8"),
    }
    for path, (content, media_type) in pages.items():
        response = Response(
            content,
            media_type=media_type,
            headers={"Content-Security-Policy": _CSP, "Referrer-Policy": "no-referrer"},
        )
        yield Route(PREFIX + path, _always(response), methods=["GET"])


def _always(response: Response) -> Any:
    async def endpoint(_request: Request) -> Response:
        return response

    return endpoint


async def _on_known(request: Request, fault: Exception) -> Response:
    problem = problem_of(fault)
    assert problem is not None  # noqa: S101  (registered for kinds that have one)
    return _response(request, problem)


async def _on_invalid(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)  # noqa: S101  (registered for it)
    errors = []
    for error in fault.errors()[:20]:
        where = ".".join(str(part) for part in error["loc"][1:])
        problem = str(error["msg"]).removeprefix("Value error, ")
        errors.append({"member": printable(where, 100), "problem": printable(problem, 300)})
    detail = "; ".join(f"{error['member']}: {error['problem']}" for error in errors[:3])
    return _response(request, Problem(INVALID_INPUT, detail, errors=errors))


async def _on_http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)  # noqa: S101  (registered for it)
    if fault.status_code == 405:
        allowed = ", ".join(sorted(_methods(request)))
        detail = f"this address answers to {allowed}"
        return _response(request, Problem(METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed}))
    if fault.status_code == 404:
        return _response(request, Problem(NOT_FOUND, "there is nothing at this address"))
    return _response(request, Problem(INVALID_REQUEST, "the request cannot be read"))


async def _on_bug(request: Request, _fault: Exception) -> Response:
    """Starlette raises the fault again behind this answer: `ManagementApi` writes it down."""
    return _response(request, _bug())


def _bug() -> Problem:
    return Problem(INTERNAL, "the fault is in the server's log")


def _methods(request: Request) -> set[str]:
    """Of all routes with this path: Starlette names those of the first one only."""
    routes: list[BaseRoute] = request.app.routes
    return {
        method
        for route in routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def _response(request: Request, problem: Problem) -> Response:
    return Response(
        problem.body(request.scope["hourpass.request_id"]),
        status_code=problem.kind.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )
