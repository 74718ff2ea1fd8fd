"""The calls of the management API: what is sent, and what the answer is. Pure.

Each function gives a `Call`, which the clients for threads and for coroutines carry out alike.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

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

T = TypeVar("T")
Json = dict[str, Any]


class Keep:
    """A member that is not to be changed; None may be a value of its own."""


KEEP = Keep()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request, below `<issuer>/api/v1`; `read` makes the result of a good answer."""

    method: str
    path: str
    read: Callable[[Json, Mapping[str, str]], T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def result(self, answer: Answer) -> T:
        """The result; raises ApiError, also for what is no answer of a management API."""
        members = _members(answer)
        if not 200 <= answer.status < 300:
            raise _error(answer, members)
        try:
            return self.read(members, answer.headers)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ApiError(
                "this is no answer of a management API: check the issuer", status=answer.status
            ) from None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; `cursor` leads to the next, None after the last."""

    items: tuple[T, ...]
    cursor: str | None


def create_client(
    *,
    name: str,
    scopes: Iterable[str],
    description: str | None,
    expires_in_days: int | None,
    limit_per_minute: int | None,
    organization: str | None,
    idempotency_key: str | None,
) -> Call[Created]:
    """`POST /clients`."""
    body: Json = {"name": name, "scopes": sorted(scopes)}
    for member, value in (
        ("description", description),
        ("expires_in_days", expires_in_days),
        ("limit_per_minute", limit_per_minute),
        ("organization", organization),
    ):
        if value is not None:
            body[member] = value
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}

    def read(members: Json, headers: Mapping[str, str]) -> Created:
        client = _client(members, headers)
        return Created(
            client_id=client.client_id,
            client_secret=members.get("client_secret"),
            client=client,
        )

    return Call(method="POST", path="/clients", read=read, body=body, headers=headers)


def clients(
    cursor: str | None,
    *,
    status: str | None,
    search: str | None,
    scope: str | None,
    organization: str | None,
) -> Call[Page[Client]]:
    """`GET /clients`."""
    query = {"status": status, "search": search, "scope": scope, "organization": organization}
    return _page("/clients", cursor, query, lambda item: _client(item, {}))


def client(client_id: str) -> Call[Client]:
    """`GET /clients/{client_id}`."""
    return Call(method="GET", path=_path(client_id), read=_client)


def update(
    client_id: str,
    *,
    name: str | None,
    description: str | None,
    limit_per_minute: int | Keep | None,
) -> Call[Client]:
    """`PATCH /clients/{client_id}`."""
    body: Json = {}
    if name is not None:
        body["name"] = name
    if description is not None:
        body["description"] = description
    if not isinstance(limit_per_minute, Keep):
        body["limit_per_minute"] = limit_per_minute
    return Call(method="PATCH", path=_path(client_id), read=_client, body=body)


def set_scopes(client: Client, scopes: Iterable[str]) -> Call[Client]:
    """`PATCH /clients/{client_id}` with `If-Match`."""
    if client.etag is None:
        raise ValueError("read the client by its ID first: one out of a list has no ETag")
    return Call(
        method="PATCH",
        path=_path(client.client_id),
        read=_client,
        body={"scopes": sorted(scopes)},
        headers={"If-Match": client.etag},
    )


def rotate_secret(
    client_id: str, *, revoke_live_tokens: bool, idempotency_key: str | None
) -> Call[WithSecret]:
    """`POST /clients/{client_id}/rotate-secret`."""
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    return Call(
        method="POST",
        path=_path(client_id, "/rotate-secret"),
        read=lambda members, _: WithSecret(
            client_id=members["client_id"], client_secret=members.get("client_secret")
        ),
        body={"revoke_live_tokens": revoke_live_tokens},
        headers=headers,
    )


def suspend(client_id: str, *, revoke_live_tokens: bool) -> Call[Client]:
    """`POST /clients/{client_id}/suspend`."""
    body = {"revoke_live_tokens": revoke_live_tokens}
    return Call(method="POST", path=_path(client_id, "/suspend"), read=_client, body=body)


def deed(client_id: str, name: str) -> Call[Client]:
    """`POST /clients/{client_id}/<name>` without a body."""
    return Call(method="POST", path=_path(client_id, f"/{name}"), read=_client)


def delete(client_id: str) -> Call[None]:
    """`DELETE /clients/{client_id}`."""
    return Call(method="DELETE", path=_path(client_id), read=lambda _members, _headers: None)


def scopes() -> Call[Page[Scope]]:
    """`GET /scopes`."""
    return _page("/scopes", None, {}, _scope)


def apis() -> Call[Page[Api]]:
    """`GET /apis`."""
    return _page("/apis", None, {}, _api)


def audit_events(
    cursor: str | None,
    *,
    client_id: str | None,
    event: str | None,
    actor: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Call[Page[AuditEvent]]:
    """`GET /audit-events`."""
    query = {
        "client_id": client_id,
        "event": event,
        "actor": actor,
        "since": None if since is None else _written(since),
        "until": None if until is None else _written(until),
    }
    return _page("/audit-events", cursor, query, _event)


def _page(
    path: str, cursor: str | None, query: Mapping[str, str | None], read: Callable[[Json], T]
) -> Call[Page[T]]:
    given = {**query, "cursor": cursor}
    return Call(
        method="GET",
        path=path,
        query={name: value for name, value in given.items() if value is not None},
        read=lambda members, _: Page(
            tuple(read(item) for item in members["items"]), members["next_cursor"]
        ),
    )


def _path(client_id: str, more: str = "") -> str:
    return f"/clients/{quote(client_id, safe='')}{more}"


def _client(members: Json, headers: Mapping[str, str]) -> Client:
    return Client(
        client_id=members["client_id"],
        name=members["name"],
        description=members["description"],
        scopes=frozenset(members["scopes"]),
        status=members["status"],
        organization=members["organization"],
        created_at=_time(members["created_at"]),
        created_by=_actor(members["created_by"]),
        expires_at=_time_or_none(members["expires_at"]),
        suspended_at=_time_or_none(members["suspended_at"]),
        secret_rotated_at=_time_or_none(members["secret_rotated_at"]),
        last_token_at=_time_or_none(members["last_token_at"]),
        limit_per_minute=members.get("limit_per_minute"),
        etag=headers.get("etag"),
    )


def _actor(members: Json) -> Actor:
    return Actor(type=members["type"], id=members["id"], name=members["name"])


def _scope(members: Json) -> Scope:
    return Scope(
        name=members["name"],
        description=members["description"],
        api=members["api"],
        grants=tuple(members["grants"]),
        limit_per_minute=members.get("limit_per_minute"),
        retired=members["retired"],
        organizations=_set_or_none(members.get("organizations")),
    )


def _api(members: Json) -> Api:
    return Api(
        key=members["key"],
        identifier=members["identifier"],
        name=members["name"],
        base_url=members["base_url"],
        limit_per_minute=members.get("limit_per_minute"),
        retired=members["retired"],
        organizations=_set_or_none(members.get("organizations")),
    )


def _event(members: Json) -> AuditEvent:
    return AuditEvent(
        id=members["id"],
        time=_time(members["time"]),
        event=members["event"],
        actor=_actor(members["actor"]),
        client_id=members["client_id"],
        client_name=members["client_name"],
        organization=members["organization"],
        request_id=members["request_id"],
        ip=members["ip"],
        detail=members["detail"],
    )


def _set_or_none(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _time(text)


def _written(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("give a time with its zone, such as datetime.now(UTC)")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _members(answer: Answer) -> Json:
    try:
        members = json.loads(answer.body) if answer.body else {}
    except (ValueError, RecursionError):
        members = {}
    return members if isinstance(members, dict) else {}


_KINDS: Mapping[int, type[ApiError]] = {
    400: BadInput,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Changed,
    422: BadInput,
    503: Unavailable,
}


def _error(answer: Answer, members: Json) -> ApiError:
    kind = _KINDS.get(answer.status, ApiError)
    detail, errors = members.get("detail"), members.get("errors")
    return kind(
        detail if isinstance(detail, str) else f"the server answered {answer.status}",
        status=answer.status,
        type=members.get("type") if isinstance(members.get("type"), str) else None,
        request_id=answer.headers.get("x-request-id"),
        errors=errors if isinstance(errors, list) else (),
    )
