"""`/api/v1/organizations`: the tenants."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from hourpass.server.api import given, shapes
from hourpass.server.api.call import Call, needs
from hourpass.server.api.document import PREFIX, described
from hourpass.server.cursors import made_as_json, made_from_json
from hourpass.server.organizations import model, operations, store, wire
from hourpass.server.organizations.operations import UnknownOrganization
from hourpass.server.rights import ORGANIZATIONS_READ, ORGANIZATIONS_WRITE

router = APIRouter(prefix=PREFIX, tags=["Organizations"])

Reader = Annotated[Call, needs(ORGANIZATIONS_READ)]
Writer = Annotated[Call, needs(ORGANIZATIONS_WRITE)]
_FILTERS: dict[str, object] = {"list": "organizations"}


@router.post(
    "/organizations",
    operation_id="create_organization",
    summary="Create an organization",
    status_code=201,
    response_model=shapes.Organization,
    **described(ORGANIZATIONS_WRITE, 409, 413, 415, 422),
)
def create(call: Writer, new: given.NewOrganization) -> Response:
    """Its ID can never be changed."""
    made = operations.create(call.database, new.id, new.name, call.origin)
    return JSONResponse(wire.as_json(made), status_code=201)


@router.get(
    "/organizations",
    operation_id="list_organizations",
    summary="List organizations, newest first",
    response_model=shapes.OrganizationPage,
    **described(ORGANIZATIONS_READ, 422),
)
def list_(call: Reader, query: Annotated[given.Page, Query()]) -> Response:
    """Every organization of the installation."""
    before = made_from_json(call.position(_FILTERS, query.cursor))
    with call.database.read() as connection:
        found, more = store.page(connection, limit=query.limit, before=before)
    items = [wire.as_json(organization) for organization in found]
    return call.page(items, _FILTERS, made_as_json(more))


@router.get(
    "/organizations/{organization_id}",
    operation_id="get_organization",
    summary="Read an organization",
    response_model=shapes.Organization,
    **described(ORGANIZATIONS_READ, 404),
)
def get(call: Reader, organization_id: str) -> Response:
    """Its name and whether it is suspended."""
    if not model.is_organization_id(organization_id):
        raise UnknownOrganization(organization_id)
    with call.database.read() as connection:
        found = store.get(connection, organization_id)
    if found is None:
        raise UnknownOrganization(organization_id)
    return JSONResponse(wire.as_json(found))


@router.patch(
    "/organizations/{organization_id}",
    operation_id="update_organization",
    summary="Give an organization another name",
    response_model=shapes.Organization,
    **described(ORGANIZATIONS_WRITE, 404, 413, 415, 422),
)
def update(call: Writer, organization_id: str, change: given.OrganizationChange) -> Response:
    """The name is for people; nothing else can be changed."""
    changed = operations.update(call.database, organization_id, call.origin, name=change.name)
    return JSONResponse(wire.as_json(changed))


@router.post(
    "/organizations/{organization_id}/suspend",
    operation_id="suspend_organization",
    summary="Suspend an organization",
    response_model=shapes.Organization,
    **described(ORGANIZATIONS_WRITE, 404),
)
def suspend(call: Writer, organization_id: str) -> Response:
    """Its clients get no tokens, and its live tokens fail online checks."""
    return JSONResponse(
        wire.as_json(operations.suspend(call.database, organization_id, call.origin))
    )


@router.post(
    "/organizations/{organization_id}/activate",
    operation_id="activate_organization",
    summary="Activate a suspended organization",
    response_model=shapes.Organization,
    **described(ORGANIZATIONS_WRITE, 404),
)
def activate(call: Writer, organization_id: str) -> Response:
    """Its clients are again what they are by themselves."""
    return JSONResponse(
        wire.as_json(operations.activate(call.database, organization_id, call.origin))
    )
