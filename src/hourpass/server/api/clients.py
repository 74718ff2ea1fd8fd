"""`/api/v1/clients`: the life of an API client over HTTP."""

import json
import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse, Response

from hourpass.server.api import given, shapes
from hourpass.server.api.call import Call, needs
from hourpass.server.api.document import PREFIX, described
from hourpass.server.api.problems import PRECONDITION_REQUIRED, Problem
from hourpass.server.audit.events import printable
from hourpass.server.clients import lifecycle, store, usage, wire
from hourpass.server.clients.idempotency import DoneBefore, IdempotencyKey
from hourpass.server.clients.lifecycle import NewClient, WithSecret
from hourpass.server.clients.model import KEEP, Client
from hourpass.server.clients.store import ClientFilter
from hourpass.server.rights import CLIENTS_READ, CLIENTS_WRITE

router = APIRouter(prefix=PREFIX, tags=["API clients"])

Reader = Annotated[Call, needs(CLIENTS_READ)]
Writer = Annotated[Call, needs(CLIENTS_WRITE)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[ -~]+$",
        description="Kept 24 hours: the same request with the same key is carried out once.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The ETag that the change is based on, or `*`."),
]
_ETAG = re.compile(r'"([0-9]{1,18})"')


@router.post(
    "/clients",
    operation_id="create_client",
    summary="Create an API client",
    status_code=201,
    response_model=shapes.CreatedClient,
    **described(
        CLIENTS_WRITE,
        *(404, 409, 413, 415, 422),
        also={200: shapes.ClientShownBefore},
        etag=(200, 201),
    ),
)
def create(call: Writer, new: given.NewClient, key: Key = None) -> Response:
    """Its secret is in this answer and in no other."""
    wanted = NewClient(
        name=new.name,
        scopes=frozenset(new.scopes),
        description=new.description,
        expires_in_days=new.expires_in_days,
        limit_per_minute=new.limit_per_minute,
        organization=new.organization or call.client.organization,
    )
    idempotency_key = _idempotency_key(call, "POST /clients", key, new.model_dump_json())
    keyring = call.keyring
    try:
        made = lifecycle.create(
            call.database, keyring, wanted, call.origin, idempotency_key=idempotency_key
        )
    except DoneBefore as before:
        return _shown_before(call, before)
    return _with_secret(call, made)


@router.get(
    "/clients",
    operation_id="list_clients",
    summary="List API clients, newest first",
    response_model=shapes.ClientPage,
    **described(CLIENTS_READ, 404, 422),
)
def list_(call: Reader, query: Annotated[given.ClientsWanted, Query()]) -> Response:
    """The caller's organization's; with `hourpass.organizations:read`, every organization's."""
    wanted = ClientFilter(
        status=query.status,
        scope=None if query.scope is None else printable(query.scope, 200),
        organization=call.visible(query.organization),
        search=None if query.search is None else printable(query.search, 100),
    )
    filters: dict[str, object] = {
        "list": "clients",
        **query.model_dump(exclude={"limit", "cursor"}),
    }
    before = call.position(filters, query.cursor)
    with call.database.read() as connection:
        now = call.database.now(connection)
        found, more = store.page(connection, wanted, now, limit=query.limit, before=before)
        last = store.last_token_at(connection, [client.client_id for client in found])
    items = [wire.as_json(client, now, last.get(client.client_id)) for client in found]
    return call.page(items, filters, more)


@router.get(
    "/clients/{client_id}",
    operation_id="get_client",
    summary="Read an API client",
    response_model=shapes.Client,
    **described(CLIENTS_READ, 404, etag=(200,)),
)
def get(call: Reader, client_id: str) -> Response:
    """Its ETag is what If-Match of a change takes."""
    return _answer(call, lifecycle.read(call.database, client_id, call.origin))


@router.patch(
    "/clients/{client_id}",
    operation_id="update_client",
    summary="Change an API client",
    response_model=shapes.Client,
    **described(CLIENTS_WRITE, 404, 409, 412, 413, 415, 422, 428, etag=(200,)),
)
def update(
    call: Writer, client_id: str, change: given.ClientChange, if_match: IfMatch = None
) -> Response:
    """The next token has the new scopes; tokens already issued keep theirs."""
    if change.scopes is not None and if_match is None:
        raise Problem(
            PRECONDITION_REQUIRED,
            "a change of scopes needs If-Match with the client's ETag, so that two people who "
            "edit it at once cannot undo each other",
        )
    client = lifecycle.update(
        call.database,
        client_id,
        call.origin,
        name=change.name,
        description=change.description,
        limit_per_minute=(
            change.limit_per_minute if "limit_per_minute" in change.model_fields_set else KEEP
        ),
        scopes=None if change.scopes is None else frozenset(change.scopes),
        expected_versions=_versions(if_match),
    )
    return _answer(call, client)


@router.post(
    "/clients/{client_id}/rotate-secret",
    operation_id="rotate_client_secret",
    summary="Give an API client a new secret",
    response_model=shapes.RotatedSecret | shapes.ClientShownBefore,
    **described(CLIENTS_WRITE, 404, 409, 413, 415, 422),
)
def rotate_secret(
    call: Writer, client_id: str, asked: given.Revoking | None = None, key: Key = None
) -> Response:
    """The old secret fails from now on; the new one is in this answer and in no other."""
    asked = asked or given.Revoking()
    request = json.dumps([client_id, asked.revoke_live_tokens])
    try:
        made = lifecycle.rotate_secret(
            call.database,
            call.keyring,
            client_id,
            call.origin,
            revoke_live_tokens=asked.revoke_live_tokens,
            idempotency_key=_idempotency_key(call, "POST /clients/…/rotate-secret", key, request),
        )
    except DoneBefore as before:
        return _shown_before(call, before)
    return JSONResponse({"client_id": client_id, "client_secret": made.secret.reveal()})


@router.post(
    "/clients/{client_id}/suspend",
    operation_id="suspend_client",
    summary="Suspend an API client",
    response_model=shapes.Client,
    **described(CLIENTS_WRITE, 404, 409, 413, 415, 422, etag=(200,)),
)
def suspend(call: Writer, client_id: str, asked: given.Revoking | None = None) -> Response:
    """It gets no tokens until it is activated."""
    revoke = asked is not None and asked.revoke_live_tokens
    client = lifecycle.suspend(call.database, client_id, call.origin, revoke_live_tokens=revoke)
    return _answer(call, client)


@router.post(
    "/clients/{client_id}/activate",
    operation_id="activate_client",
    summary="Activate a suspended API client",
    response_model=shapes.Client,
    **described(CLIENTS_WRITE, 404, 409, etag=(200,)),
)
def activate(call: Writer, client_id: str) -> Response:
    """It gets tokens again."""
    return _answer(call, lifecycle.activate(call.database, client_id, call.origin))


@router.post(
    "/clients/{client_id}/revoke-tokens",
    operation_id="revoke_client_tokens",
    summary="Revoke an API client's live tokens",
    response_model=shapes.Client,
    **described(CLIENTS_WRITE, 404, 409, etag=(200,)),
)
def revoke_tokens(call: Writer, client_id: str) -> Response:
    """Online checks refuse every token issued so far."""
    return _answer(call, lifecycle.revoke_tokens(call.database, client_id, call.origin))


@router.delete(
    "/clients/{client_id}",
    operation_id="delete_client",
    summary="Delete an API client",
    status_code=204,
    **described(CLIENTS_WRITE, 404, 409),
)
def delete(call: Writer, client_id: str) -> Response:
    """For good; its audit trail stays."""
    lifecycle.delete(call.database, client_id, call.origin)
    return Response(status_code=204)


@router.get(
    "/clients/{client_id}/usage",
    operation_id="get_client_usage",
    summary="Tokens issued and refused in each hour or day",
    response_model=shapes.Usage,
    **described(CLIENTS_READ, 404, 422),
)
def get_usage(
    call: Reader, client_id: str, query: Annotated[given.UsageWanted, Query()]
) -> Response:
    """Left out, the last 24 hours or 30 days."""
    client = lifecycle.read(call.database, client_id, call.origin)
    periods = usage.of(
        call.database, client.client_id, query.per, since=query.since, until=query.until
    )
    items = [period.as_json() for period in periods]
    return JSONResponse({"client_id": client.client_id, "per": query.per.value, "items": items})


def _answer(call: Call, client: Client, **more: object) -> JSONResponse:
    now, last = _now_and_last_token(call, client)
    return JSONResponse({**wire.as_json(client, now, last), **more}, headers=_etag(client))


def _with_secret(call: Call, made: WithSecret) -> JSONResponse:
    body = {
        **wire.as_json(made.client, made.client.created_at, None),
        "client_secret": made.secret.reveal(),
    }
    return JSONResponse(body, status_code=201, headers=_etag(made.client))


def _shown_before(call: Call, before: DoneBefore) -> JSONResponse:
    client = lifecycle.read(call.database, before.client_id, call.origin)
    return _answer(call, client, secret_shown=True)


def _now_and_last_token(call: Call, client: Client) -> tuple[datetime, datetime | None]:
    with call.database.read() as connection:
        last = store.last_token_at(connection, [client.client_id])
        return call.database.now(connection), last.get(client.client_id)


def _etag(client: Client) -> dict[str, str]:
    return {"ETag": f'"{client.version}"'}


def _versions(if_match: str | None) -> frozenset[int] | None:
    """Which versions the change is for; None: any. Compared strongly (RFC 9110 13.1.1)."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (_ETAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return frozenset(int(tag[1]) for tag in tags if tag is not None)


def _idempotency_key(
    call: Call, route: str, key: str | None, request: str
) -> IdempotencyKey | None:
    if key is None:
        return None
    return IdempotencyKey.of(call.client.client_id, route, key, request)
