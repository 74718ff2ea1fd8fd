"""The management API for coroutines: the same as `threads.py`, with `await`."""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx

from hourpass.client.management import calls
from hourpass.client.management.calls import KEEP, Call, Keep, Page
from hourpass.client.management.model import (
    Api,
    AuditEvent,
    Client,
    Created,
    Scope,
    WithSecret,
)
from hourpass.client.management.over_http import answer_of, no_answer, request_of, settings
from hourpass.client.token_source import TokenSource

T = TypeVar("T")


class AsyncManagement:
    """The management API, for coroutines. Close it, or use it as a context manager."""

    def __init__(self, issuer: str, source: TokenSource | None = None) -> None:
        """As `Management`."""
        self._http = httpx.AsyncClient(**settings(issuer, source))

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
            response = await self._http.request(**request_of(call))
        except httpx.HTTPError as fault:
            raise no_answer(fault) from fault
        return call.result(answer_of(response))

    async def _all(self, page: Callable[[str | None], Call[Page[T]]]) -> AsyncIterator[T]:
        cursor: str | None = None
        while True:
            found = await self._do(page(cursor))
            for item in found.items:
                yield item
            cursor = found.cursor
            if cursor is None:
                return
