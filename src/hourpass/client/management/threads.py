"""The management API for threads."""

from collections.abc import Callable, Iterable, Iterator
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


class Management:
    """The management API, for threads. Close it, or use it as a context manager."""

    def __init__(self, issuer: str, source: TokenSource | None = None) -> None:
        """`source` gives management tokens; without it one is made from the environment.

        Raises BadConfiguration; each call raises ApiError, and TokenError when there is no token.
        """
        self._http = httpx.Client(**settings(issuer, source))

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
            response = self._http.request(**request_of(call))
        except httpx.HTTPError as fault:
            raise no_answer(fault) from fault
        return call.result(answer_of(response))

    def _all(self, page: Callable[[str | None], Call[Page[T]]]) -> Iterator[T]:
        cursor: str | None = None
        while True:
            found = self._do(page(cursor))
            yield from found.items
            cursor = found.cursor
            if cursor is None:
                return
