"""A typed client of the management API, for programs that manage API clients.

    with Management("https://auth.example.com") as hourpass:
        made = hourpass.create_client(name="CRM sync", scopes=["customers:read"])
        for client in hourpass.clients(status="suspended"):
            print(client.name, client.last_token_at)

Needs httpx (`pip install 'hourpass[httpx]'`). `AsyncManagement` is the same for coroutines. The
caller is an API client that holds management scopes; its credentials are found as by TokenSource.

calls.py   what is sent and what comes back; pure     model.py   values and errors
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from hourpass.client.httpx import TokenAuth
from hourpass.client.management import calls
from hourpass.client.management.calls import KEEP, Answer, Call, Keep, Page
from hourpass.client.management.model import (
    Actor,
    Api,
    ApiError,
    AuditEvent,
    BadInput,
    Changed,
    Client,
    Conflict,
    Created,
    NotAllowed,
    NotFound,
    Scope,
    Unavailable,
    WithSecret,
)
from hourpass.client.token_source import TokenSource

__all__ = [
    "KEEP",
    "Actor",
    "Api",
    "ApiError",
    "AsyncManagement",
    "AuditEvent",
    "BadInput",
    "Changed",
    "Client",
    "Conflict",
    "Created",
    "Management",
    "NotAllowed",
    "NotFound",
    "Scope",
    "Unavailable",
    "WithSecret",
]

TIMEOUT_S = 30.0
T = TypeVar("T")


class Management:
    """The management API, for threads. Close it, or use it as a context manager."""

    def __init__(self, issuer: str, source: TokenSource | None = None) -> None:
        """`source` gives management tokens; without it one is made from the environment.

        Raises BadConfiguration; each call raises ApiError, and TokenError when there is no token.
        """
        self._http = httpx.Client(**_settings(issuer, source))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def create_client(
        self,
        *,
        name: str,
        scopes: Iterable[str],
        description: str | None = None,
        expires_in_days: int | None = None,
        limit_per_minute: int | None = None,
        organization: str | None = None,
        idempotency_key: str | None = None,
    ) -> Created:
        """A new client and its secret, which no later answer shows.

        With an `idempotency_key` it may be asked again after Unavailable: there will be one client.
        """
        return self._do(
            calls.create_client(
                name=name,
                scopes=scopes,
                description=description,
                expires_in_days=expires_in_days,
                limit_per_minute=limit_per_minute,
                organization=organization,
                idempotency_key=idempotency_key,
            )
        )

    def clients(
        self,
        *,
        status: str | None = None,
        search: str | None = None,
        scope: str | None = None,
        organization: str | None = None,
    ) -> Iterator[Client]:
        """Every client that fits, newest first; asked for page by page as they are used."""
        return self._all(
            lambda cursor: calls.clients(
                cursor, status=status, search=search, scope=scope, organization=organization
            )
        )

    def client(self, client_id: str) -> Client:
        """One client as it is now."""
        return self._do(calls.client(client_id))

    def update(
        self,
        client_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        limit_per_minute: int | Keep | None = KEEP,
    ) -> Client:
        """Change what is given; a limit of None gives it back to the API's own."""
        return self._do(
            calls.update(
                client_id, name=name, description=description, limit_per_minute=limit_per_minute
            )
        )

    def set_scopes(self, client: Client, scopes: Iterable[str]) -> Client:
        """These scopes instead, for the next token; Changed when the client is another by now."""
        return self._do(calls.set_scopes(client, scopes))

    def rotate_secret(
        self,
        client_id: str,
        *,
        revoke_live_tokens: bool = False,
        idempotency_key: str | None = None,
    ) -> WithSecret:
        """A new secret; the old one fails from now on."""
        return self._do(
            calls.rotate_secret(
                client_id, revoke_live_tokens=revoke_live_tokens, idempotency_key=idempotency_key
            )
        )

    def suspend(self, client_id: str, *, revoke_live_tokens: bool = False) -> Client:
        """No new tokens until it is activated."""
        return self._do(calls.suspend(client_id, revoke_live_tokens=revoke_live_tokens))

    def activate(self, client_id: str) -> Client:
        """Tokens again."""
        return self._do(calls.deed(client_id, "activate"))

    def revoke_tokens(self, client_id: str) -> Client:
        """Online checks refuse every token issued so far."""
        return self._do(calls.deed(client_id, "revoke-tokens"))

    def delete(self, client_id: str) -> None:
        """Remove it for good."""
        self._do(calls.delete(client_id))

    def scopes(self) -> list[Scope]:
        """Every scope of the catalogue."""
        return list(self._do(calls.scopes()).items)

    def apis(self) -> list[Api]:
        """Every API of the catalogue."""
        return list(self._do(calls.apis()).items)

    def audit_events(
        self,
        *,
        client_id: str | None = None,
        event: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AuditEvent]:
        """Every event that fits, newest first; asked for page by page as they are used."""
        return self._all(
            lambda cursor: calls.audit_events(
                cursor, client_id=client_id, event=event, actor=actor, since=since, until=until
            )
        )

    def _do(self, call: Call[T]) -> T:
        try:
            response = self._http.request(**_request(call))
        except httpx.HTTPError as fault:
            raise _no_answer(fault) from fault
        return call.result(_answer(response))

    def _all(self, page: Callable[[str | None], Call[Page[T]]]) -> Iterator[T]:
        cursor: str | None = None
        while True:
            found = self._do(page(cursor))
            yield from found.items
            cursor = found.cursor
            if cursor is None:
                return


class AsyncManagement:
    """The management API, for coroutines. Close it, or use it as a context manager."""

    def __init__(self, issuer: str, source: TokenSource | None = None) -> None:
        """As `Management`."""
        self._http = httpx.AsyncClient(**_settings(issuer, source))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def create_client(
        self,
        *,
        name: str,
        scopes: Iterable[str],
        description: str | None = None,
        expires_in_days: int | None = None,
        limit_per_minute: int | None = None,
        organization: str | None = None,
        idempotency_key: str | None = None,
    ) -> Created:
        """As `Management.create_client`."""
        return await self._do(
            calls.create_client(
                name=name,
                scopes=scopes,
                description=description,
                expires_in_days=expires_in_days,
                limit_per_minute=limit_per_minute,
                organization=organization,
                idempotency_key=idempotency_key,
            )
        )

    def clients(
        self,
        *,
        status: str | None = None,
        search: str | None = None,
        scope: str | None = None,
        organization: str | None = None,
    ) -> AsyncIterator[Client]:
        """As `Management.clients`, for `async for`."""
        return self._all(
            lambda cursor: calls.clients(
                cursor, status=status, search=search, scope=scope, organization=organization
            )
        )

    async def client(self, client_id: str) -> Client:
        """As `Management.client`."""
        return await self._do(calls.client(client_id))

    async def update(
        self,
        client_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        limit_per_minute: int | Keep | None = KEEP,
    ) -> Client:
        """As `Management.update`."""
        return await self._do(
            calls.update(
                client_id, name=name, description=description, limit_per_minute=limit_per_minute
            )
        )

    async def set_scopes(self, client: Client, scopes: Iterable[str]) -> Client:
        """As `Management.set_scopes`."""
        return await self._do(calls.set_scopes(client, scopes))

    async def rotate_secret(
        self,
        client_id: str,
        *,
        revoke_live_tokens: bool = False,
        idempotency_key: str | None = None,
    ) -> WithSecret:
        """As `Management.rotate_secret`."""
        return await self._do(
            calls.rotate_secret(
                client_id, revoke_live_tokens=revoke_live_tokens, idempotency_key=idempotency_key
            )
        )

    async def suspend(self, client_id: str, *, revoke_live_tokens: bool = False) -> Client:
        """As `Management.suspend`."""
        return await self._do(calls.suspend(client_id, revoke_live_tokens=revoke_live_tokens))

    async def activate(self, client_id: str) -> Client:
        """As `Management.activate`."""
        return await self._do(calls.deed(client_id, "activate"))

    async def revoke_tokens(self, client_id: str) -> Client:
        """As `Management.revoke_tokens`."""
        return await self._do(calls.deed(client_id, "revoke-tokens"))

    async def delete(self, client_id: str) -> None:
        """As `Management.delete`."""
        await self._do(calls.delete(client_id))

    async def scopes(self) -> list[Scope]:
        """As `Management.scopes`."""
        return list((await self._do(calls.scopes())).items)

    async def apis(self) -> list[Api]:
        """As `Management.apis`."""
        return list((await self._do(calls.apis())).items)

    def audit_events(
        self,
        *,
        client_id: str | None = None,
        event: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[AuditEvent]:
        """As `Management.audit_events`, for `async for`."""
        return self._all(
            lambda cursor: calls.audit_events(
                cursor, client_id=client_id, event=event, actor=actor, since=since, until=until
            )
        )

    async def _do(self, call: Call[T]) -> T:
        try:
            response = await self._http.request(**_request(call))
        except httpx.HTTPError as fault:
            raise _no_answer(fault) from fault
        return call.result(_answer(response))

    async def _all(self, page: Callable[[str | None], Call[Page[T]]]) -> AsyncIterator[T]:
        cursor: str | None = None
        while True:
            found = await self._do(page(cursor))
            for item in found.items:
                yield item
            cursor = found.cursor
            if cursor is None:
                return


def _settings(issuer: str, source: TokenSource | None) -> dict[str, Any]:
    base = f"{issuer}/api/v1"
    if source is None:
        source = TokenSource(issuer=issuer, resource=base)
    auth = TokenAuth(source, origins=[issuer])
    return {"base_url": base, "auth": auth, "timeout": TIMEOUT_S}


def _request(call: Call[Any]) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": call.query or None,
        "headers": {**call.headers, "Accept": "application/json"},
    }
    if call.body is not None:
        request["json"] = call.body
    return request


def _answer(response: httpx.Response) -> Answer:
    return Answer(status=response.status_code, headers=response.headers, body=response.content)


def _no_answer(fault: httpx.HTTPError) -> Unavailable:
    return Unavailable(f"the management API did not answer: {type(fault).__name__}", status=503)
