"""The composition root: one ASGI app out of an open installation."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hourpass.limits import Limiter
from hourpass.oauth import metadata
from hourpass.oauth.errors import ServerError
from hourpass.server import request_ids
from hourpass.server.chores import Chores
from hourpass.server.context import SERVER_BUSY_TIMEOUT_S, Context
from hourpass.server.db import sqlite as embedded
from hourpass.server.db.engine import BUDGET_S, PATIENCE_S
from hourpass.server.endpoints.authorize import AuthorizeEndpoint
from hourpass.server.endpoints.discovery import JwksEndpoint, MetadataEndpoint
from hourpass.server.endpoints.health import ReadyEndpoint, healthz
from hourpass.server.endpoints.home import HomeEndpoint
from hourpass.server.endpoints.http import Receive, Scope, Send, not_found, refusal, respond
from hourpass.server.endpoints.inquiry import (
    InquiryAnswer,
    InquiryEndpoint,
    introspection,
    revocation,
)
from hourpass.server.endpoints.leaks import LeaksEndpoint
from hourpass.server.endpoints.token import TokenEndpoint
from hourpass.server.endpoints.verify import VerifyEndpoint
from hourpass.server.mount import Mount
from hourpass.server.readiness import readiness
from hourpass.server.routes import Routes
from hourpass.server.tokens.check import published_keys
from hourpass.server.tokens.commit import Backend, CommitLoop
from hourpass.server.tokens.commit_postgres import PostgresCommit
from hourpass.server.tokens.commit_sqlite import SqliteCommit
from hourpass.server.tokens.failures import FailureBudgets
from hourpass.server.tokens.issue import TokenWriter
from hourpass.server.tokens.live import Known, LiveChecks
from hourpass.server.tokens.standing_store import (
    PostgresStanding,
    SqliteStanding,
)
from hourpass.server.traces import wanted
from hourpass.server.watched import Watched

if TYPE_CHECKING:
    from hourpass.server.metrics.meters import Meters

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
EXIT_BROKEN = 3
_BELOW = {
    "/api/v1/": ("hourpass.server.api.application", "ManagementApi"),
    "/admin/": ("hourpass.server.admin.application", "AdminPages"),
}
_log = logging.getLogger(__name__)


class App:
    """The server as an ASGI app. `broken` is set when the process must not go on."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.broken = False
        settings = context.settings
        writer = TokenWriter(settings.issuer)
        self.meters = _meters(context)
        self._traces = wanted.from_environment(os.environ)
        self._commits = CommitLoop(
            _backend(context), self._on_broken, writer.answer, meter=self.meters
        )
        self.readiness = readiness(
            settings, {"commits": self._commit_fault}, saw_newer=context.was_newer
        )
        self._live = online_checks(context)
        self._failures = FailureBudgets()
        path = urlsplit(settings.issuer).path
        url = settings.limits_url
        self._limiter = Limiter(None if url is None else url.get_secret_value())
        verify = VerifyEndpoint(self._live, self._limiter, path)
        self._chores = Chores(context)
        introspect = self._inquiry("introspect", introspection(settings.issuer))
        commits = self._commits if self._traces is None else self._traces.around(self._commits)
        self._routes = _routes(
            settings.issuer,
            {
                "/token": TokenEndpoint(commits, self._failures, settings.trusted_proxies),
                "/introspect": introspect,
                "/revoke": self._inquiry("revoke", revocation(context.database)),
                "/verify": verify,
                "/leaks": LeaksEndpoint(
                    context.database,
                    context.keyring,
                    settings.trusted_proxies,
                    suspend=settings.leaks == "suspend",
                ),
                metadata.WELL_KNOWN: MetadataEndpoint(settings.issuer),
                "/.well-known/jwks.json": JwksEndpoint(self._jwks),
                "/": HomeEndpoint(path),
                "/authorize": AuthorizeEndpoint(settings.issuer),
                "/healthz": healthz,
                "/readyz": ReadyEndpoint(self._is_ready),
            },
        )
        below: dict[str, Endpoint] = {
            start: Mount(context, *where) for start, where in _BELOW.items()
        }
        below["/verify/"] = verify
        self._below = {
            prefix + start: endpoint
            for prefix in dict.fromkeys(("", path))
            for start, endpoint in below.items()
        }
        self._names = Routes(settings.issuer)
        if self.meters is not None:
            self.meters.watch(
                outcomes={"verify": verify.outcomes, "introspect": introspect.outcomes},
                queues={
                    "commit": lambda: self._commits.waiting,
                    "online_checks": lambda: self._live.waiting,
                },
                fault=self._commit_fault,
            )

    @property
    def asgi(self) -> Endpoint:
        """What serves: the app by itself, unless metrics, traces or the log want to see answers."""
        is_logged = self._context.settings.log_level == "debug"
        if self.meters is None and self._traces is None and not is_logged:
            return self
        return Watched(
            self.__call__,
            self._names,
            responses=None if self.meters is None else self.meters.responses,
            traces=self._traces,
            is_logged=is_logged,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the exact path; whatever goes wrong, the caller gets an answer in JSON."""
        if scope["type"] == "http":
            PATIENCE_S.set(BUDGET_S)  # of this request, whose caller waits
            endpoint = self._routes.get(scope["path"])
            if endpoint is None:
                endpoint = self._mounted(scope["path"])
            if endpoint is None:
                await respond(send, not_found())
                return
            try:
                await endpoint(scope, receive, send)
            except Exception:  # noqa: BLE001  (no caller ever meets a stack trace)
                request_id = request_ids.current.get("") or request_ids.new_request_id()
                _log.exception("%s %s failed", scope["method"], self._names.template(scope))
                header = (b"x-request-id", request_id.encode("ascii"))
                await respond(send, refusal(ServerError()), header, scope=scope)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    def _mounted(self, path: str) -> Endpoint | None:
        below = path if path.endswith("/") else path + "/"
        return next((app for start, app in self._below.items() if below.startswith(start)), None)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._commits.start()
                self._chores.start()
                self._carry_over()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.readiness.stop()
                await asyncio.to_thread(self._chores.stop)
                await self._commits.stop()
                await self._live.close()
                self._limiter.close()
                self.readiness.close()
                if self.meters is not None:
                    self.meters.carry_over()
                if self._traces is not None:
                    await asyncio.to_thread(self._traces.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _carry_over(self) -> None:
        if self.meters is not None:
            self.meters.carry_over()
            asyncio.get_running_loop().call_later(1.0, self._carry_over)

    def _jwks(self) -> dict[str, object]:
        database = self._context.database
        with database.read() as connection:
            now = database.now(connection)
        return self._context.keyring().jwks(now)

    def _inquiry(self, name: str, answer: InquiryAnswer) -> InquiryEndpoint:
        trusted = self._context.settings.trusted_proxies
        return InquiryEndpoint(
            self._live, self._commits, self._failures, trusted, name=name, answer=answer
        )

    async def _is_ready(self) -> bool:
        return (await self.readiness.report_async()).is_ready

    def _commit_fault(self) -> str:
        return self._commits.fault

    def _on_broken(self) -> None:
        """After an I/O error nobody knows what is on disk: answer what waits, then end."""
        if not self.broken:
            self.broken = True
            _log.critical("the disk failed in a commit; ending, start again when it is well")
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGINT)


def _meters(context: Context) -> "Meters | None":
    """What counts; nothing of it is loaded where nobody wants metrics."""
    if context.settings.metrics_port is None:
        return None
    from hourpass.server.metrics.meters import Meters

    return Meters()


def _backend(context: Context) -> Backend:
    settings = context.settings
    if settings.is_postgresql:
        return PostgresCommit(settings.database_url.get_secret_value(), context.facts)
    return SqliteCommit(
        settings.sqlite_path,
        context.facts,
        busy_timeout_s=SERVER_BUSY_TIMEOUT_S,
        turn=context.database.turn,
    )


def online_checks(context: Context) -> LiveChecks:
    """The online checks of this process, over a connection of their own."""
    settings = context.settings

    def load() -> Known:
        with context.database.read() as connection:
            now = context.database.now(connection)
        facts = context.facts()
        return Known(facts, published_keys(facts.keyring.keys, now), settings.issuer)

    if settings.is_postgresql:
        return LiveChecks(PostgresStanding(settings.database_url.get_secret_value()), load)
    connection = embedded.raw_connection(settings.sqlite_path, busy_timeout_s=SERVER_BUSY_TIMEOUT_S)
    waits = not embedded.wal_is_safe
    return LiveChecks(SqliteStanding(connection, waits_for_writers=waits), load)


def _routes(issuer: str, routes: dict[str, Endpoint]) -> dict[str, Endpoint]:
    """The routes at the root and, when the issuer has a path, below that path too.

    A proxy in front may pass the path on or strip it. RFC 8414 puts the well-known part
    before the issuer's path; many programs append it.
    """
    path = urlsplit(issuer).path
    if not path:
        return routes
    below = {path + route: endpoint for route, endpoint in routes.items()}
    inserted = {metadata.WELL_KNOWN + path: routes[metadata.WELL_KNOWN]}
    return {**routes, **below, **inserted}
